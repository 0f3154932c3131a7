-- The role with which KEDA reads how much there is to do; run it once, as the owner of the tables, after the migrations.
-- Give it a password afterwards: \password nightshift_scaler
CREATE ROLE nightshift_scaler LOGIN CONNECTION LIMIT 20;
ALTER ROLE nightshift_scaler SET default_transaction_read_only = on;
ALTER ROLE nightshift_scaler SET statement_timeout = '5s';
GRANT SELECT ON job, pause TO nightshift_scaler;
-- which instance a paused org is on
GRANT SELECT (id, instance_name, instance_url) ON org TO nightshift_scaler;
