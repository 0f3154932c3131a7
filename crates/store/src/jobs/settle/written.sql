, spent AS (
    SELECT kind, calls FROM unnest($6::text[], $7::bigint[]) AS spent (kind, calls)
), booked AS (
    INSERT INTO call_ledger (org_id, night, step, kind, calls)
    SELECT $1, sync.ledger_night, mine.kind, spent.kind, spent.calls
      FROM spent, mine JOIN sync ON sync.org_id = $1 AND sync.id = mine.sync_id
     ORDER BY spent.kind
    ON CONFLICT (org_id, night, step, kind) DO UPDATE SET calls = call_ledger.calls + excluded.calls
), billed AS (
    INSERT INTO sync_bill (org_id, sync_id, kind, calls)
    SELECT $1, mine.sync_id, spent.kind, spent.calls FROM spent, mine WHERE mine.sync_id IS NOT NULL ORDER BY spent.kind
    ON CONFLICT (org_id, sync_id, kind) DO UPDATE SET calls = sync_bill.calls + excluded.calls
), line AS (
    INSERT INTO timeline (org_id, sync_id, at, job_id, kind, event, fence, attempts, deaths, waits, detail)
    SELECT $1, mine.sync_id, nightshift_now(), $2, mine.kind, $4, $3, mine.attempts, mine.deaths, mine.waits, $5
      FROM mine WHERE mine.sync_id IS NOT NULL AND $4::text IS NOT NULL
)
