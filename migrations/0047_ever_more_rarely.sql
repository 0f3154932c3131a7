-- When an announcement counts as lost. It is repeated as long after it as the job had waited before it: where the workers
-- are behind, its message is most likely still in the queue, and one more each minute would only be refused. At least
-- one measure later, at most ten.
CREATE FUNCTION lost_at(announced_at timestamptz, not_before timestamptz, lease_until timestamptz, measure double precision)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT announced_at + measure * interval '1 second'
          * least(greatest(floor(extract(epoch FROM announced_at - greatest(not_before, lease_until))::float8 / nullif(measure, 0)),
                           1), 10) $$;
