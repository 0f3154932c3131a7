-- What people do to the queue: deeds with their person and reason, and what is paused.

-- Append-only. A deed that concerns no org (a class, an instance, the dead letters) stands under the nil UUID.
CREATE TABLE hand (
    org_id  uuid NOT NULL,
    id      uuid NOT NULL,
    at      timestamptz NOT NULL,
    person  text NOT NULL CHECK (person <> ''),
    reason  text NOT NULL CHECK (reason <> ''),
    deed    text NOT NULL CHECK (deed IN ('release', 'fail', 'requeue', 'pause', 'resume', 'send_again')),
    -- What it was done to, for people.
    subject text NOT NULL,
    -- The state in which the job was found.
    found   text,
    job_id  uuid,
    sync_id uuid,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX hand_of_job ON hand (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX hand_of_sync ON hand (org_id, sync_id) WHERE sync_id IS NOT NULL;

CREATE FUNCTION hand_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'table hand is append-only';
END $$;
CREATE TRIGGER hand_stays BEFORE UPDATE OR DELETE ON hand FOR EACH ROW EXECUTE FUNCTION hand_stays();

-- What is neither announced nor claimed. Few rows, mostly none.
CREATE TABLE pause (
    -- The org; the nil UUID for a class or an instance.
    org_id uuid NOT NULL,
    kind   text NOT NULL CHECK (kind IN ('class', 'org', 'instance')),
    -- The class's word, the instance's name; empty for an org.
    name   text NOT NULL,
    since  timestamptz NOT NULL,
    person text NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (org_id, kind, name)
);

-- The instance under which an org is known: its host's name until Salesforce has told it.
CREATE FUNCTION instance_of(instance_name text, instance_url text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(instance_name, split_part(split_part(instance_url, '://', 2), '/', 1)) $$;

-- Whether jobs of the org, in whatever class, are paused.
CREATE FUNCTION org_is_paused(the_org uuid) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT EXISTS (SELECT FROM pause
                   WHERE kind = 'org' AND org_id = the_org
                      OR kind = 'instance'
                         AND name = (SELECT instance_of(org.instance_name, org.instance_url) FROM org WHERE org.id = the_org)) $$;

-- Whether a job of the org in the class is paused.
CREATE FUNCTION is_paused(the_org uuid, the_class text) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT EXISTS (SELECT FROM pause WHERE kind = 'class' AND name = the_class) OR org_is_paused(the_org) $$;

-- The release that a process runs; older ones do not say.
ALTER TABLE process ADD COLUMN version text;
