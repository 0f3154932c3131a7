-- dictionary.switch.unlisted
-- What a good listing no longer names leaves the last good listing. A member that came all the same stays in it, so
-- that tomorrow's listing decides; such a child follows its parent's file alone from now on.
DELETE FROM listed l
 WHERE l.org_id = $1
   AND l.type IN (SELECT type FROM staged_type WHERE org_id = $1 AND sync_id = $2 GROUP BY type HAVING bool_and(good))
   AND NOT EXISTS (SELECT FROM staged_listed s
                    WHERE s.org_id = $1 AND s.sync_id = $2 AND s.type = l.type AND s.name = l.name)
   AND NOT EXISTS (SELECT FROM staged_component c
                    WHERE c.org_id = $1 AND c.sync_id = $2 AND c.type = l.type AND c.name = l.name
                      AND c.parent_type IS NULL)
