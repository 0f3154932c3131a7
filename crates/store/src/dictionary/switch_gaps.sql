-- dictionary.switch.gaps
-- Tonight's gaps; one that was open already keeps its `since`, and its row when nothing changed.
INSERT INTO gap AS g (org_id, type, name, reason, detail, since)
SELECT DISTINCT ON (o.type, o.name) $1, o.type, o.name, o.reason, o.detail, nightshift_now()
  FROM sync_left_out o
 WHERE o.org_id = $1 AND o.sync_id = $2 AND o.kind = 'gap'
 ORDER BY o.type, o.name, o.reason
ON CONFLICT (org_id, type, name) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
  WHERE (g.reason, g.detail) IS DISTINCT FROM (excluded.reason, excluded.detail)
