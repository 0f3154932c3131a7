-- A claim names org and id. Where another index begins with the org too, the planner may take that one (it did on an empty
-- table and on one of many orgs with a job each) and filter by id; under a snapshot that somebody holds, that walks all
-- dead entries of the org. So only the primary key begins with the org.
DROP INDEX job_of_sync;
CREATE INDEX job_of_sync ON job (sync_id, org_id);
