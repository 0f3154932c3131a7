, differs AS MATERIALIZED (
    SELECT t.type, t.name, t.full_name, t.file_name, t.parent_type, t.parent_name, t.namespace, t.content_hash,
           t.last_modified, t.blob, t.slice_from, t.slice_to, v.from_revision AS old
      FROM tonight t
      LEFT JOIN version v ON v.org_id = $1 AND v.type = t.type AND v.name = t.name AND v.to_revision IS NULL
     WHERE v.content_hash IS DISTINCT FROM t.content_hash
), closed AS (
    UPDATE version v SET to_revision = $3
      FROM (SELECT type, name, old FROM differs WHERE old IS NOT NULL
            UNION ALL SELECT type, name, from_revision FROM gone) x
     WHERE v.org_id = $1 AND v.type = x.type AND v.name = x.name AND v.from_revision = x.old
), opened AS (
    INSERT INTO version (org_id, type, name, from_revision, full_name, file_name, parent_type, parent_name, namespace,
                         content_hash, last_modified, blob, slice_from, slice_to)
    SELECT $1, type, name, $3, full_name, file_name, parent_type, parent_name, namespace, content_hash, last_modified,
           blob, slice_from, slice_to
      FROM differs ORDER BY type, name
)
SELECT (SELECT count(*) FROM differs WHERE old IS NULL),
       (SELECT count(*) FROM differs WHERE old IS NOT NULL),
       (SELECT count(*) FROM gone)
