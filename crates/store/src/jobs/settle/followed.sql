, few AS (
    -- no limit of announcing can bind, and nothing is paused: then the queue is told of what follows at once
    SELECT $10 > 0 AND NOT EXISTS (SELECT FROM pause)
           AND (SELECT count(*) FROM (SELECT FROM job own WHERE own.org_id = $1 LIMIT $10 + 2) AS own)
               - 1 + jsonb_array_length($8) <= $10 AS few
), followed AS (
    INSERT INTO job (org_id, id, sync_id, kind, class, lane, payload, state, not_before, deaths, created_at, traceparent,
                     announced_at)
    SELECT $1, next.id, mine.sync_id, next.kind, next.class, next.lane, coalesce(next.payload, 'null'), 'due',
           coalesce(next.not_before, nightshift_now()), CASE $4 WHEN 'again' THEN mine.deaths ELSE 0 END,
           nightshift_now(), mine.traceparent,
           CASE WHEN few.few AND (next.not_before IS NULL OR next.not_before <= nightshift_now()) THEN nightshift_now() END
      FROM few, mine, jsonb_to_recordset($8) AS next
               (id uuid, kind text, class text, lane text, payload jsonb, not_before timestamptz)
     -- what waits for all others comes when none is left; who settles another one waits for the sync's row
     WHERE NOT $9 OR mine.sync_id IS NOT NULL
                 AND NOT EXISTS (SELECT FROM job other
                                  WHERE other.org_id = $1 AND other.sync_id = mine.sync_id AND other.id <> $2)
    RETURNING id, class, announced_at IS NOT NULL AS marked, not_before <= nightshift_now() AS due
)
SELECT mine.kind, mine.traceparent, coalesce(seen.due, false) AS due, seen.ids, seen.classes
  FROM mine, (SELECT bool_or(due AND NOT marked) AS due, array_agg(id) FILTER (WHERE marked) AS ids,
                     array_agg(class) FILTER (WHERE marked) AS classes
                FROM followed) AS seen
