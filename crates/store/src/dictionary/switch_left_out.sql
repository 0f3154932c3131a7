-- dictionary.switch.left_out
-- A gap that one job reported and another closed is none. A name of a type that nobody lists (StandardValueSet), which
-- cannot be found and was never held, is nothing.
INSERT INTO sync_left_out (org_id, sync_id, type, name, reason, kind, detail)
SELECT DISTINCT ON (o.type, o.name, o.reason) $1, $2, o.type, o.name, o.reason, o.kind, o.detail
  FROM staged_left_out o
 WHERE o.org_id = $1 AND o.sync_id = $2
   AND NOT (o.kind = 'gap' AND EXISTS (
            SELECT FROM staged_component c
             WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = o.type AND c.name = o.name))
   AND NOT (o.reason = 'cannot_be_found'
            AND NOT EXISTS (SELECT FROM staged_type t WHERE t.org_id = $1 AND t.sync_id = $2 AND t.type = o.type)
            AND NOT EXISTS (SELECT FROM version v
                             WHERE v.org_id = $1 AND v.type = o.type AND v.name = o.name AND v.to_revision IS NULL))
 ORDER BY o.type, o.name, o.reason, o.job_id DESC, o.fence DESC, o.ordinal DESC
