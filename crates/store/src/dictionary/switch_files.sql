-- dictionary.switch.files
-- The files of a member come from the job that its component came from. Runs after the versions were switched.
WITH files AS MATERIALIZED (
    SELECT DISTINCT ON (f.type, f.name, f.path) f.type, f.name, f.path, f.canonical_hash, f.blob, f.size
      FROM staged_file f
     WHERE f.org_id = $1 AND f.sync_id = $2
       AND EXISTS (SELECT FROM staged_component c
                    WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = f.type AND c.name = f.name
                      AND c.job_id = f.job_id AND c.fence = f.fence)
       AND NOT EXISTS (SELECT FROM staged_component c
                        WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = f.type AND c.name = f.name
                          AND (c.job_id, c.fence) > (f.job_id, f.fence))
     ORDER BY f.type, f.name, f.path, f.ordinal DESC
), differs AS MATERIALIZED (
    SELECT f.type, f.name, f.path, f.canonical_hash, f.blob, f.size, v.from_revision AS old
      FROM files f
      LEFT JOIN file_version v ON v.org_id = $1 AND v.type = f.type AND v.name = f.name AND v.path = f.path
                              AND v.to_revision IS NULL
     WHERE v.canonical_hash IS DISTINCT FROM f.canonical_hash
), lost AS MATERIALIZED (
    -- Its member came without it.
    SELECT v.type, v.name, v.path, v.from_revision AS old
      FROM (SELECT DISTINCT type, name FROM staged_component
             WHERE org_id = $1 AND sync_id = $2 AND parent_type IS NULL) m
      JOIN file_version v ON v.org_id = $1 AND v.type = m.type AND v.name = m.name AND v.to_revision IS NULL
     WHERE NOT EXISTS (
           SELECT FROM staged_file f
            WHERE f.org_id = $1 AND f.sync_id = $2 AND f.type = v.type AND f.name = v.name AND f.path = v.path
              AND NOT EXISTS (SELECT FROM staged_component c
                               WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = f.type AND c.name = f.name
                                 AND (c.job_id, c.fence) > (f.job_id, f.fence)))
    UNION ALL
    -- Its member is gone.
    SELECT v.type, v.name, v.path, v.from_revision
      FROM version g
      JOIN file_version v ON v.org_id = $1 AND v.type = g.type AND v.name = g.name AND v.to_revision IS NULL
     WHERE g.org_id = $1 AND g.to_revision = $3
       AND NOT EXISTS (SELECT FROM version n
                        WHERE n.org_id = $1 AND n.type = g.type AND n.name = g.name AND n.from_revision = $3)
), closed AS (
    UPDATE file_version v SET to_revision = $3
      FROM (SELECT type, name, path, old FROM differs WHERE old IS NOT NULL
            UNION ALL SELECT type, name, path, old FROM lost) x
     WHERE v.org_id = $1 AND v.type = x.type AND v.name = x.name AND v.path = x.path AND v.from_revision = x.old
)
INSERT INTO file_version (org_id, type, name, path, from_revision, canonical_hash, blob, size)
SELECT $1, type, name, path, $3, canonical_hash, blob, size FROM differs ORDER BY type, name, path
