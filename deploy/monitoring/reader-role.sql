-- The role with which Grafana reads the tables that its panels show, and no secret; run it once, as the owner of the
-- tables, after the migrations. Give it a password afterwards: \password nightshift_reader
CREATE ROLE nightshift_reader LOGIN CONNECTION LIMIT 10;
ALTER ROLE nightshift_reader SET default_transaction_read_only = on;
ALTER ROLE nightshift_reader SET statement_timeout = '10s';
ALTER ROLE nightshift_reader SET idle_in_transaction_session_timeout = '10s';
GRANT SELECT ON sync, sync_bill, timeline, night, job, support_case, process, revision TO nightshift_reader;
-- tokens stand in the table of orgs too, encrypted, and are none of Grafana's business
GRANT SELECT (id, name, paused, broken_with, current_revision, current_as_of, next_run, time_zone, edition, is_sandbox,
              instance_name, api_version, nights_since_full) ON org TO nightshift_reader;
