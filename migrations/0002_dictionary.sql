-- The dictionary of an org's metadata, and what a sync stages on its way there.
--
-- Every primary key begins with org_id and no foreign key crosses orgs (the tables may be distributed by org).
-- Names are compared byte by byte (collation "C"), so that the database and Rust sort alike and pages can be merged.
-- `type` is the API name of a type; `name` a component's readable name.
--
-- Staged rows belong to (org, sync, job, fence): nobody reads them as dictionary until `finish` switches the revision.
-- Their keys begin with the component, not with the job: each night is merged with the dictionary in key order, while
-- rows of one job are looked for only when that job starts anew. `ordinal` is the row's number in its writer: a
-- component that Salesforce names twice stops no COPY; the row of the newest job, and of it the last one, counts.

-- Which jobs have staged something: what the sweep looks through. Each chunk touches its row.
CREATE TABLE staging (
    org_id     uuid NOT NULL,
    sync_id    uuid NOT NULL,
    job_id     uuid NOT NULL,
    touched_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, sync_id, job_id)
);

-- Tonight's listings.
CREATE TABLE staged_listed (
    org_id        uuid NOT NULL,
    sync_id       uuid NOT NULL,
    type          text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    job_id        uuid NOT NULL,
    fence         bigint NOT NULL,
    ordinal       bigint NOT NULL,
    full_name     text NOT NULL,
    file_name     text NOT NULL,
    namespace     text,
    salesforce_id text,
    last_modified timestamptz,
    parent_type   text COLLATE "C",
    parent_name   text COLLATE "C",
    PRIMARY KEY (org_id, sync_id, type, name, job_id, fence, ordinal),
    CHECK ((parent_type IS NULL) = (parent_name IS NULL))
);

-- Types listed tonight. A type's listing is good when no row calls it otherwise: in doubt nothing is deleted.
CREATE TABLE staged_type (
    org_id  uuid NOT NULL,
    sync_id uuid NOT NULL,
    type    text COLLATE "C" NOT NULL,
    job_id  uuid NOT NULL,
    fence   bigint NOT NULL,
    ordinal bigint NOT NULL,
    good    boolean NOT NULL,
    PRIMARY KEY (org_id, sync_id, type, job_id, fence, ordinal)
);

-- The plan: who is asked for, in which batch, in which place of it.
CREATE TABLE batch_member (
    org_id    uuid NOT NULL,
    sync_id   uuid NOT NULL,
    n         integer NOT NULL,
    ordinal   bigint NOT NULL,
    job_id    uuid NOT NULL,
    fence     bigint NOT NULL,
    type      text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    full_name text NOT NULL,
    role      text NOT NULL CHECK (role IN ('asked', 'companion')),
    files     bigint NOT NULL,
    bytes     bigint NOT NULL,
    PRIMARY KEY (org_id, sync_id, n, ordinal, job_id, fence)
);
CREATE INDEX batch_member_by_key ON batch_member (org_id, sync_id, type, name);

-- Files that came in parts, because what they hold depends on companions that pass one retrieve: merged before finish.
CREATE TABLE staged_part (
    org_id    uuid NOT NULL,
    sync_id   uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    name      text COLLATE "C" NOT NULL,
    n         integer NOT NULL,
    job_id    uuid NOT NULL,
    fence     bigint NOT NULL,
    ordinal   bigint NOT NULL,
    full_name text NOT NULL,
    path      text NOT NULL,
    blob      bytea NOT NULL,
    -- In how many batches the file is asked for.
    parts     integer NOT NULL,
    PRIMARY KEY (org_id, sync_id, type, name, n, job_id, fence, ordinal)
);

-- Components found in tonight's files.
CREATE TABLE staged_component (
    org_id        uuid NOT NULL,
    sync_id       uuid NOT NULL,
    type          text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    job_id        uuid NOT NULL,
    fence         bigint NOT NULL,
    ordinal       bigint NOT NULL,
    full_name     text NOT NULL,
    file_name     text NOT NULL,
    parent_type   text COLLATE "C",
    parent_name   text COLLATE "C",
    namespace     text,
    content_hash  bytea NOT NULL,
    last_modified timestamptz,
    -- A child's place in its parent's main file; a member's bytes are in its files.
    blob          bytea,
    slice_from    bigint,
    slice_to      bigint,
    PRIMARY KEY (org_id, sync_id, type, name, job_id, fence, ordinal),
    CHECK ((parent_type IS NULL) = (parent_name IS NULL))
);

-- Files of members and folders.
CREATE TABLE staged_file (
    org_id         uuid NOT NULL,
    sync_id        uuid NOT NULL,
    type           text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,
    path           text COLLATE "C" NOT NULL,
    job_id         uuid NOT NULL,
    fence          bigint NOT NULL,
    ordinal        bigint NOT NULL,
    canonical_hash bytea NOT NULL,
    blob           bytea NOT NULL,
    size           bigint NOT NULL,
    PRIMARY KEY (org_id, sync_id, type, name, path, job_id, fence, ordinal)
);

-- What did not come, and why. An empty name means the whole type.
CREATE TABLE staged_left_out (
    org_id  uuid NOT NULL,
    sync_id uuid NOT NULL,
    type    text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    job_id  uuid NOT NULL,
    fence   bigint NOT NULL,
    ordinal bigint NOT NULL,
    reason  text NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('gap', 'excluded')),
    detail  text NOT NULL,
    PRIMARY KEY (org_id, sync_id, type, name, job_id, fence, ordinal)
);

-- Bytes of files, each once for an org: zstd level 1.
CREATE TABLE blob (
    org_id    uuid NOT NULL,
    hash      bytea NOT NULL,
    body      bytea NOT NULL,
    size      bigint NOT NULL,
    stored_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, hash)
);
-- What came lately and nobody refers to is collected after each sync.
CREATE INDEX blob_by_age ON blob (org_id, stored_at);
-- The bodies are compressed already.
ALTER TABLE blob ALTER COLUMN body SET STORAGE EXTERNAL;

-- Revisions of an org, quiet ones too. The greatest is the current one.
CREATE TABLE revision (
    org_id     uuid NOT NULL,
    revision   bigint NOT NULL,
    sync_id    uuid NOT NULL,
    at         timestamptz NOT NULL,
    components bigint NOT NULL,
    added      bigint NOT NULL,
    changed    bigint NOT NULL,
    deleted    bigint NOT NULL,
    PRIMARY KEY (org_id, revision),
    -- A sync switches once.
    UNIQUE (org_id, sync_id)
);

-- A component as it was from one revision (included) to another (not included; null: it still is so).
CREATE TABLE version (
    org_id        uuid NOT NULL,
    type          text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    from_revision bigint NOT NULL,
    to_revision   bigint,
    full_name     text NOT NULL,
    file_name     text NOT NULL,
    parent_type   text COLLATE "C",
    parent_name   text COLLATE "C",
    namespace     text,
    content_hash  bytea NOT NULL,
    last_modified timestamptz,
    blob          bytea,
    slice_from    bigint,
    slice_to      bigint,
    PRIMARY KEY (org_id, type, name, from_revision),
    CHECK (to_revision > from_revision),
    CHECK ((parent_type IS NULL) = (parent_name IS NULL))
);
-- The difference of two nights reads only what began or ended between them.
CREATE INDEX version_from ON version (org_id, from_revision);
CREATE INDEX version_to ON version (org_id, to_revision) WHERE to_revision IS NOT NULL;
-- A parent that was retrieved, or is gone, looks for its children.
CREATE INDEX version_child ON version (org_id, parent_type, parent_name) WHERE to_revision IS NULL AND parent_type IS NOT NULL;

-- A file of a member or folder, likewise.
CREATE TABLE file_version (
    org_id         uuid NOT NULL,
    type           text COLLATE "C" NOT NULL,
    name           text COLLATE "C" NOT NULL,
    path           text COLLATE "C" NOT NULL,
    from_revision  bigint NOT NULL,
    to_revision    bigint,
    canonical_hash bytea NOT NULL,
    blob           bytea NOT NULL,
    size           bigint NOT NULL,
    PRIMARY KEY (org_id, type, name, path, from_revision),
    CHECK (to_revision > from_revision)
);

-- The last good listing of each component: what tonight's is compared with. A gap keeps its old row, so that it
-- differs again tomorrow. `files` and `bytes` are what its last retrieve brought: the weight that plans batches.
CREATE TABLE listed (
    org_id        uuid NOT NULL,
    type          text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL,
    full_name     text NOT NULL,
    file_name     text NOT NULL,
    namespace     text,
    salesforce_id text,
    last_modified timestamptz,
    parent_type   text COLLATE "C",
    parent_name   text COLLATE "C",
    files         bigint,
    bytes         bigint,
    PRIMARY KEY (org_id, type, name),
    CHECK ((parent_type IS NULL) = (parent_name IS NULL))
);

-- What the current revision misses, and since when. An empty name means the whole type.
CREATE TABLE gap (
    org_id uuid NOT NULL,
    type   text COLLATE "C" NOT NULL,
    name   text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    since  timestamptz NOT NULL,
    PRIMARY KEY (org_id, type, name)
);

-- What a sync that ended well did not bring.
CREATE TABLE sync_left_out (
    org_id  uuid NOT NULL,
    sync_id uuid NOT NULL,
    type    text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    reason  text NOT NULL,
    kind    text NOT NULL CHECK (kind IN ('gap', 'excluded')),
    detail  text NOT NULL,
    PRIMARY KEY (org_id, sync_id, type, name, reason)
);

-- Staged rows live for one night and go in large numbers: vacuum them by count, not by share.
ALTER TABLE staged_listed SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = off);
ALTER TABLE staged_component SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = off);
ALTER TABLE staged_file SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = off);
ALTER TABLE batch_member SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = off);
