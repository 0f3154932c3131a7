-- What a test records of a database: one line for each thing that happens to a job, a sync, a case, a night, a revision.
--
-- Written by triggers, so that it tells what the rows went through and not what the code believes. A transaction that is
-- rolled back leaves no line; lines about one row stand in the order in which its lock was held.
CREATE TABLE history (
    n        bigserial PRIMARY KEY,
    -- Microseconds of the one clock, and the transaction.
    at       bigint NOT NULL DEFAULT (extract(epoch FROM nightshift_now()) * 1000000)::bigint,
    tx       bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    event    text NOT NULL,
    org      uuid NOT NULL,
    sync     uuid,
    job      uuid,
    fence    bigint,
    lease    bigint,
    -- A count: deaths of a job, rows staged, a revision.
    number   bigint,
    -- A word: a state, a code, a table.
    word     text
);
CREATE INDEX history_org ON history (org);

CREATE FUNCTION history_job() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    what text;
    r job := coalesce(NEW, OLD);
BEGIN
    what := CASE
        WHEN TG_OP = 'INSERT' THEN 'added'
        WHEN TG_OP = 'DELETE' THEN CASE OLD.state WHEN 'claimed' THEN 'settled' ELSE 'dropped' END
        WHEN NEW.fence <> OLD.fence THEN 'claimed'
        WHEN NEW.state <> OLD.state THEN CASE NEW.state WHEN 'due' THEN 'freed' WHEN 'dead' THEN 'buried' ELSE 'claimed' END
        WHEN NEW.lease_until IS DISTINCT FROM OLD.lease_until THEN 'kept'
        WHEN NEW.announced_at IS DISTINCT FROM OLD.announced_at THEN
            CASE WHEN NEW.announced_at IS NULL THEN NULL ELSE 'announced' END
        ELSE 'changed'
    END;
    IF what IS NOT NULL THEN
        INSERT INTO history (event, org, sync, job, fence, lease, number)
        VALUES (what, r.org_id, r.sync_id, r.id, r.fence, (extract(epoch FROM r.lease_until) * 1000000)::bigint, r.deaths);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE OR DELETE ON job FOR EACH ROW EXECUTE FUNCTION history_job();

-- One line for a statement's rows, whatever their number.
CREATE FUNCTION history_staged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (event, org, sync, job, fence, number, word)
    SELECT 'staged', org_id, sync_id, job_id, fence, count(*), TG_TABLE_NAME
      FROM new_rows GROUP BY org_id, sync_id, job_id, fence;
    RETURN NULL;
END $$;
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c
          JOIN pg_attribute f ON f.attrelid = c.oid AND f.attname = 'fence'
          JOIN pg_attribute j ON j.attrelid = c.oid AND j.attname = 'job_id'
         WHERE c.relkind = 'r' AND c.relname <> 'timeline'
    LOOP
        EXECUTE format('CREATE TRIGGER history AFTER INSERT ON %I REFERENCING NEW TABLE AS new_rows
                        FOR EACH STATEMENT EXECUTE FUNCTION history_staged()', name);
    END LOOP;
END $$;

-- The timeline's line is written by the settlement: it stands for all of its effects.
CREATE FUNCTION history_line() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.job_id IS NOT NULL AND NEW.fence IS NOT NULL THEN
        INSERT INTO history (event, org, sync, job, fence, word)
        VALUES ('effects', NEW.org_id, NEW.sync_id, NEW.job_id, NEW.fence, NEW.event);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT ON timeline FOR EACH ROW EXECUTE FUNCTION history_line();

CREATE FUNCTION history_sync() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.state <> OLD.state THEN
        INSERT INTO history (event, org, sync, number, word)
        VALUES ('sync_' || NEW.state, NEW.org_id, NEW.id, NEW.revision, NEW.failure_code);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE ON sync FOR EACH ROW EXECUTE FUNCTION history_sync();

CREATE FUNCTION history_org() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.current_revision IS DISTINCT FROM OLD.current_revision THEN
        INSERT INTO history (event, org, number) VALUES ('revision', NEW.id, NEW.current_revision);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER UPDATE ON org FOR EACH ROW EXECUTE FUNCTION history_org();

CREATE FUNCTION history_case() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (event, org, sync, word)
    VALUES (CASE WHEN TG_OP = 'INSERT' THEN 'case_opened' WHEN NEW.state = 'open' THEN 'case_again' ELSE 'case_resolved' END,
            NEW.org_id, NEW.sync_id, NEW.code);
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT OR UPDATE ON support_case FOR EACH ROW EXECUTE FUNCTION history_case();

CREATE FUNCTION history_night() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO history (event, org, word) VALUES ('night', NEW.org_id, NEW.night::text);
    RETURN NULL;
END $$;
CREATE TRIGGER history AFTER INSERT ON night FOR EACH ROW EXECUTE FUNCTION history_night();
