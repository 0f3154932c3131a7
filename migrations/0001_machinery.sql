-- Orgs, syncs, nights, jobs, cases, the outbox, processes and requests.
--
-- Every table of an org's data has org_id first in its primary key and no foreign key crosses orgs, so that the tables
-- may be distributed by org. Times are the database's: nightshift_now() is the one clock of leases and due times.

-- Seconds that tests add to the clock; one row, 0 in production.
CREATE TABLE clock (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    offset_seconds double precision NOT NULL DEFAULT 0
);
INSERT INTO clock DEFAULT VALUES;

-- STABLE, so that it may stand in an index condition.
CREATE FUNCTION nightshift_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT statement_timestamp() + make_interval(secs => (SELECT offset_seconds FROM clock)) $$;

CREATE TABLE org (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL,
    -- Names are unique without regard to case.
    name_folded         text NOT NULL UNIQUE,
    organization_id     text NOT NULL UNIQUE,
    login_url           text NOT NULL,
    instance_url        text NOT NULL,
    client_id           text NOT NULL,
    -- Encrypted: key id, nonce, ciphertext (see keyring.rs).
    client_secret       bytea,
    refresh_token       bytea NOT NULL,
    access_token        bytea,
    -- Grows with every refresh.
    token_generation    bigint NOT NULL DEFAULT 0,
    -- Whoever set it refreshes the token until then.
    refreshing_until    timestamptz,
    -- The code with which the connection was found broken.
    broken_with         text,
    is_sandbox          boolean NOT NULL,
    instance_name       text,
    edition             text,
    api_version         text,
    time_zone           text NOT NULL,
    window_opens        smallint NOT NULL CHECK (window_opens BETWEEN 0 AND 1439),
    window_closes       smallint NOT NULL CHECK (window_closes BETWEEN 0 AND 1439),
    slot                smallint NOT NULL CHECK (slot BETWEEN 0 AND 1439),
    days                smallint NOT NULL CHECK (days BETWEEN 1 AND 127),
    paused              boolean NOT NULL DEFAULT false,
    -- Slots at or before it are never caught up: the connection or the last resume.
    slots_after         timestamptz NOT NULL,
    last_night          date,
    next_run            timestamptz,
    -- Nights since the last full sync.
    nights_since_full   integer NOT NULL DEFAULT 0,
    current_revision    bigint,
    current_as_of       timestamptz,
    event_sequence      bigint NOT NULL DEFAULT 0,
    connected_at        timestamptz NOT NULL,
    CHECK (window_opens <> window_closes)
);
CREATE INDEX org_next_run ON org (next_run) WHERE next_run IS NOT NULL;

CREATE TABLE sync (
    org_id            uuid NOT NULL,
    id                uuid NOT NULL,
    state             text NOT NULL CHECK (state IN
        ('queued', 'running', 'succeeded', 'succeeded_with_gaps', 'held', 'superseded', 'failed')),
    mode              text NOT NULL CHECK (mode IN ('incremental', 'full')),
    door              text NOT NULL CHECK (door IN ('slot', 'queue_message', 'hand', 'same_night_retry')),
    reason            text,
    night             date,
    admitted_at       timestamptz NOT NULL,
    started_at        timestamptz,
    ended_at          timestamptz,
    -- A wait beyond it fails the sync.
    give_up_at        timestamptz NOT NULL,
    api_version       text,
    listed_at         timestamptz,
    revision          bigint,
    components        bigint,
    added             bigint,
    changed           bigint,
    deleted           bigint,
    asked             bigint,
    got               bigint,
    failure_code      text,
    failure_message   text,
    traceparent       text,
    PRIMARY KEY (org_id, id)
);
-- An org never has two syncs at once.
CREATE UNIQUE INDEX sync_open ON sync (org_id) WHERE state IN ('queued', 'running');
CREATE INDEX sync_latest ON sync (org_id, admitted_at DESC);

CREATE TABLE sync_bill (
    org_id  uuid NOT NULL,
    sync_id uuid NOT NULL,
    kind    text NOT NULL,
    calls   bigint NOT NULL,
    PRIMARY KEY (org_id, sync_id, kind)
);

-- What happened to a sync, a line for each settled job.
CREATE TABLE timeline (
    org_id   uuid NOT NULL,
    sync_id  uuid NOT NULL,
    n        bigint GENERATED ALWAYS AS IDENTITY,
    at       timestamptz NOT NULL,
    job_id   uuid,
    kind     text NOT NULL,
    event    text NOT NULL,
    fence    bigint,
    attempts integer NOT NULL DEFAULT 0,
    deaths   integer NOT NULL DEFAULT 0,
    waits    integer NOT NULL DEFAULT 0,
    detail   text,
    PRIMARY KEY (org_id, sync_id, n)
);

CREATE TABLE night (
    org_id         uuid NOT NULL,
    night          date NOT NULL,
    state          text NOT NULL CHECK (state IN ('run', 'joined', 'missed')),
    recorded_at    timestamptz NOT NULL,
    -- Real time at which the window closes; a failed sync is tried again before it.
    closes_at      timestamptz NOT NULL,
    retries        integer NOT NULL DEFAULT 0,
    retry_at       timestamptz,
    reason         text,
    PRIMARY KEY (org_id, night)
);
CREATE INDEX night_retry ON night (retry_at) WHERE retry_at IS NOT NULL;

-- Live jobs only. No partial index covers `due` or `claimed`: with one, the planner may claim through it and walk dead
-- entries. lease_until stands in no index, so that heartbeats stay HOT.
CREATE TABLE job (
    org_id       uuid NOT NULL,
    id           uuid NOT NULL,
    sync_id      uuid,
    kind         text NOT NULL,
    class        text NOT NULL CHECK (class IN ('control', 'poll', 'ingest', 'enrich', 'notify')),
    lane         text NOT NULL CHECK (lane IN ('free', 'opens', 'holds')),
    payload      jsonb NOT NULL,
    state        text NOT NULL CHECK (state IN ('due', 'claimed', 'dead')),
    not_before   timestamptz NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    deaths       integer NOT NULL DEFAULT 0,
    waits        integer NOT NULL DEFAULT 0,
    waiting_for  text,
    fence        bigint NOT NULL DEFAULT 0,
    lease_until  timestamptz,
    announced_at timestamptz,
    created_at   timestamptz NOT NULL,
    traceparent  text,
    PRIMARY KEY (org_id, id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off);
CREATE INDEX job_of_sync ON job (org_id, sync_id);
CREATE INDEX job_due ON job (not_before, org_id, id);

CREATE TABLE support_case (
    org_id           uuid NOT NULL,
    id               uuid NOT NULL,
    code             text NOT NULL,
    state            text NOT NULL CHECK (state IN ('open', 'resolved')),
    occurrences      integer NOT NULL DEFAULT 1,
    opened_at        timestamptz NOT NULL,
    last_occurred_at timestamptz NOT NULL,
    resolved_at      timestamptz,
    sync_id          uuid,
    message          text NOT NULL,
    evidence         jsonb NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX support_case_open ON support_case (org_id, code) WHERE state = 'open';

CREATE TABLE outbox (
    org_id     uuid NOT NULL,
    sequence   bigint NOT NULL,
    id         uuid NOT NULL,
    topic      text NOT NULL,
    body       jsonb NOT NULL,
    written_at timestamptz NOT NULL,
    -- Somebody sends it until then.
    taken_until timestamptz,
    traceparent text,
    PRIMARY KEY (org_id, sequence)
);

CREATE TABLE process (
    id         uuid PRIMARY KEY,
    kind       text NOT NULL,
    classes    text NOT NULL,
    host       text NOT NULL,
    started_at timestamptz NOT NULL,
    seen_at    timestamptz NOT NULL
);

CREATE TABLE request_seen (
    id      text PRIMARY KEY,
    seen_at timestamptz NOT NULL
);

-- How a type answered an org's last listing; 'good' ones have no row.
CREATE TABLE type_memory (
    org_id uuid NOT NULL,
    type   text NOT NULL,
    health text NOT NULL CHECK (health IN ('good', 'single', 'failing')),
    since  timestamptz NOT NULL,
    PRIMARY KEY (org_id, type)
);
