-- What is no longer in the org. Nothing that tonight's files brought is gone. Each step looks from the smaller side
-- into a table by an index: a plan made for few rows then stays bearable for many.
good AS MATERIALIZED (
    SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2 GROUP BY type HAVING bool_and(good)
), unlisted AS MATERIALIZED (
    -- A good listing no longer names one that the last had named.
    SELECT v.type, v.name, v.from_revision
      FROM listed l
      JOIN version v ON v.org_id = $1 AND v.type = l.type AND v.name = l.name AND v.to_revision IS NULL
     WHERE l.org_id = $1 AND l.type IN (SELECT type FROM good)
       AND NOT EXISTS (SELECT FROM staged_listed s
                        WHERE s.org_id = $1 AND s.sync_id = $2 AND s.type = l.type AND s.name = l.name)
), lacking AS MATERIALIZED (
    -- Its parent's file was retrieved and lacks it.
    SELECT v.type, v.name, v.from_revision
      FROM (SELECT DISTINCT type, name FROM staged_component
             WHERE org_id = $1 AND sync_id = $2 AND parent_type IS NULL) p
      JOIN version v ON v.org_id = $1 AND v.parent_type = p.type AND v.parent_name = p.name
                    AND v.to_revision IS NULL AND v.parent_type IS NOT NULL
), orphaned AS MATERIALIZED (
    -- Its parent is gone.
    SELECT v.type, v.name, v.from_revision
      FROM unlisted p
      JOIN version v ON v.org_id = $1 AND v.parent_type = p.type AND v.parent_name = p.name
                    AND v.to_revision IS NULL AND v.parent_type IS NOT NULL
     WHERE NOT EXISTS (SELECT FROM staged_component c
                        WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = p.type AND c.name = p.name)
), gone AS MATERIALIZED (
    SELECT x.type, x.name, x.from_revision
      FROM (SELECT type, name, from_revision FROM unlisted
            UNION SELECT type, name, from_revision FROM lacking
            UNION SELECT type, name, from_revision FROM orphaned) x
     WHERE NOT EXISTS (
           SELECT FROM staged_component c
            WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = x.type AND c.name = x.name
              AND (c.parent_type IS NULL OR NOT EXISTS (
                   SELECT FROM staged_component p
                    WHERE p.org_id = $1 AND p.sync_id = $2 AND p.type = c.parent_type AND p.name = c.parent_name
                      AND p.parent_type IS NULL AND (p.job_id, p.fence) > (c.job_id, c.fence))))
)
