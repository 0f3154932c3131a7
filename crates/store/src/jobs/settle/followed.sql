, followed AS (
    INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, deaths, created_at, traceparent)
    SELECT $1, next.id, mine.sync_id, next.kind, next.class, next.lane, coalesce(next.payload, 'null'), 'due',
           coalesce(next.not_before, nightshift_now()), CASE $4 WHEN 'again' THEN mine.deaths ELSE 0 END,
           nightshift_now(), mine.traceparent
      FROM mine, jsonb_to_recordset($8) AS next
               (id uuid, kind text, class text, lane text, payload jsonb, not_before timestamptz)
     -- what waits for all others comes when none is left; who settles another one waits for the sync's row
     WHERE NOT $9 OR mine.sync_id IS NOT NULL
                 AND NOT EXISTS (SELECT FROM job other
                                  WHERE other.org_id = $1 AND other.sync_id = mine.sync_id AND other.id <> $2)
    RETURNING not_before <= nightshift_now() AS due
)
SELECT kind, coalesce((SELECT bool_or(due) FROM followed), false) AS due FROM mine
