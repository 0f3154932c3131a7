-- dictionary.switch.gaps_closed
-- A gap that was not reported again ends when its component came, is left out by rule, or is gone; that of a whole
-- type ends at once.
DELETE FROM gap g
 WHERE g.org_id = $1
   AND NOT EXISTS (SELECT FROM sync_left_out o
                    WHERE o.org_id = $1 AND o.sync_id = $2 AND o.type = g.type AND o.name = g.name AND o.kind = 'gap')
   AND (g.name = ''
     OR EXISTS (SELECT FROM staged_component c
                 WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = g.type AND c.name = g.name)
     OR EXISTS (SELECT FROM sync_left_out o
                 WHERE o.org_id = $1 AND o.sync_id = $2 AND o.type = g.type AND o.name = g.name AND o.kind = 'excluded')
     OR (NOT EXISTS (SELECT FROM version v
                      WHERE v.org_id = $1 AND v.type = g.type AND v.name = g.name AND v.to_revision IS NULL)
         AND (EXISTS (SELECT FROM version v
                       WHERE v.org_id = $1 AND v.type = g.type AND v.name = g.name AND v.to_revision = $3)
           OR (g.type IN (SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2
                           GROUP BY type HAVING bool_and(good))
               AND NOT EXISTS (SELECT FROM staged_listed s
                                WHERE s.org_id = $1 AND s.sync_id = $2 AND s.type = g.type AND s.name = g.name)))))
