-- A clock that a test can move, in the place of the server's.
DO $$ BEGIN
    PERFORM pg_advisory_xact_lock(46);
    IF to_regclass('clock') IS NULL THEN
        CREATE TABLE clock (offset_seconds double precision NOT NULL);
        INSERT INTO clock VALUES (0);
        CREATE OR REPLACE FUNCTION nightshift_now() RETURNS timestamptz LANGUAGE plpgsql STABLE PARALLEL SAFE AS $now$
        BEGIN
            RETURN statement_timestamp() + (SELECT offset_seconds FROM clock) * interval '1 second';
        END $now$;
    END IF;
END $$
