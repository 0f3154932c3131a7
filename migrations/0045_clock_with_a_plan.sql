-- The same clock in a language whose plans a session keeps. A function in SQL that cannot be inlined (this one reads a
-- table) is parsed and planned anew in each statement for each place that names it: that was the greater part of what a
-- claim or a settlement cost the server (measured: decisions/0007). STABLE still, so that it may stand in an index condition.
CREATE OR REPLACE FUNCTION nightshift_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
BEGIN
    RETURN statement_timestamp() + (SELECT offset_seconds FROM clock) * interval '1 second';
END $$;
