-- What tonight's files brought: of each component one row. A member's is that of the newest job; a child counts
-- only when no newer job brought its parent.
tonight AS MATERIALIZED (
    SELECT DISTINCT ON (c.type, c.name)
           c.type, c.name, c.full_name, c.file_name, c.parent_type, c.parent_name, c.namespace, c.content_hash,
           c.last_modified, c.blob, c.slice_from, c.slice_to
      FROM staged_component c
     WHERE c.org_id = $1 AND c.sync_id = $2
       AND (c.parent_type IS NULL OR NOT EXISTS (
            SELECT FROM staged_component p
             WHERE p.org_id = $1 AND p.sync_id = $2 AND p.type = c.parent_type AND p.name = c.parent_name
               AND p.parent_type IS NULL AND (p.job_id, p.fence) > (c.job_id, c.fence)))
     ORDER BY c.type, c.name, c.parent_type IS NOT NULL, c.job_id DESC, c.fence DESC, c.ordinal DESC
)
