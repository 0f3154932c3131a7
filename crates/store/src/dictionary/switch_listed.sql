-- dictionary.switch.listed
-- Tonight's listing becomes the last good one, where the component (a child's parent) came or did not have to be
-- asked for. What was asked for and did not come keeps its old row, or none: it differs again tomorrow.
WITH latest AS (
    SELECT DISTINCT ON (type, name)
           type, name, full_name, file_name, namespace, salesforce_id, last_modified, parent_type, parent_name,
           coalesce(parent_type, type) AS member_type, coalesce(parent_name, name) AS member_name
      FROM staged_listed
     WHERE org_id = $1 AND sync_id = $2
     ORDER BY type, name, job_id DESC, fence DESC, ordinal DESC
), judged AS (
    SELECT s.*, l.files AS old_files, l.bytes AS old_bytes,
           (s.full_name, s.file_name, s.namespace, s.salesforce_id, s.last_modified, s.parent_type, s.parent_name)
           IS DISTINCT FROM
           (l.full_name, l.file_name, l.namespace, l.salesforce_id, l.last_modified, l.parent_type, l.parent_name) AS moved,
           EXISTS (SELECT FROM staged_component c
                    WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = s.member_type AND c.name = s.member_name
                      AND c.parent_type IS NULL) AS came
      FROM latest s
      LEFT JOIN listed l ON l.org_id = $1 AND l.type = s.type AND l.name = s.name
), fresh AS MATERIALIZED (
    SELECT j.*,
           CASE WHEN j.came AND j.parent_type IS NULL THEN w.files ELSE j.old_files END AS files,
           CASE WHEN j.came AND j.parent_type IS NULL THEN w.bytes ELSE j.old_bytes END AS bytes
      FROM judged j
      LEFT JOIN LATERAL (
           SELECT count(*) AS files, coalesce(sum(v.size), 0)::bigint AS bytes FROM file_version v
            WHERE v.org_id = $1 AND v.type = j.type AND v.name = j.name AND v.to_revision IS NULL) w
           ON j.came AND j.parent_type IS NULL
     WHERE (j.moved OR (j.came AND j.parent_type IS NULL))
       AND (j.came OR NOT (
            EXISTS (SELECT FROM batch_member b
                     WHERE b.org_id = $1 AND b.sync_id = $2 AND b.type = j.member_type AND b.name = j.member_name
                       AND b.role = 'asked')
         OR EXISTS (SELECT FROM staged_left_out o
                     WHERE o.org_id = $1 AND o.sync_id = $2 AND o.kind = 'gap'
                       AND ((o.type = j.member_type AND o.name = j.member_name) OR (o.type = j.type AND o.name = j.name)))
         OR EXISTS (SELECT FROM gap g WHERE g.org_id = $1 AND g.type = j.member_type AND g.name = j.member_name)))
)
INSERT INTO listed (org_id, type, name, full_name, file_name, namespace, salesforce_id, last_modified, parent_type,
                    parent_name, files, bytes)
SELECT $1, type, name, full_name, file_name, namespace, salesforce_id, last_modified, parent_type, parent_name, files, bytes
  FROM fresh
 WHERE moved OR (files, bytes) IS DISTINCT FROM (old_files, old_bytes)
 ORDER BY type, name
ON CONFLICT (org_id, type, name) DO UPDATE SET
    full_name = excluded.full_name, file_name = excluded.file_name, namespace = excluded.namespace,
    salesforce_id = excluded.salesforce_id, last_modified = excluded.last_modified,
    parent_type = excluded.parent_type, parent_name = excluded.parent_name,
    files = excluded.files, bytes = excluded.bytes
