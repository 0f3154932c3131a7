-- jobs.mark_announceable
-- $1 since when or null (of one org: the org; of some: an array of them), $2 seconds until an announcement counts as lost,
-- $3 per class, $4 per org and class, $5 open per org, $6 running per org
WITH paused_class AS MATERIALIZED (
    SELECT name FROM pause WHERE kind = 'class'
), paused_org AS MATERIALIZED (
    SELECT org_id FROM pause WHERE kind = 'org'
    UNION ALL
    SELECT org.id FROM org JOIN pause ON pause.kind = 'instance'
                                     AND pause.name = instance_of(org.instance_name, org.instance_url)
), due AS MATERIALIZED (
    SELECT org_id, id, class, lane, not_before, announced_at,
           state = 'due' AND lost_at > nightshift_now() AS pending,
           class NOT IN (SELECT name FROM paused_class) AND org_id NOT IN (SELECT org_id FROM paused_org) AND
           CASE state
               WHEN 'due' THEN lost_at IS NULL OR lost_at <= nightshift_now()
               -- a lapsed lease is announced once for its end, then again and again
               ELSE lease_until < nightshift_now()
                    AND (lost_at IS NULL OR announced_at <= lease_until OR lost_at <= nightshift_now())
           END AS wanted,
           sync_id IS NOT NULL AS of_sync,
           state = 'claimed' AND lease_until >= nightshift_now() AS running
      FROM job CROSS JOIN LATERAL (SELECT lost_at(announced_at, not_before, lease_until, $2)) AS told (lost_at)
     WHERE not_before <= nightshift_now() AND state <> 'dead' AND not_before >= coalesce($1::timestamptz, '-infinity')
), room AS (
    SELECT class, $3 - count(*) FILTER (WHERE pending) AS room FROM due GROUP BY class
), busy AS (
    SELECT org_id, class, count(*) FILTER (WHERE pending) AS pending FROM due GROUP BY org_id, class
), load AS (
    SELECT org_id, count(*) FILTER (WHERE of_sync AND (pending OR running)) AS load FROM due GROUP BY org_id
), openers AS (
    SELECT org_id,
           $5 - (SELECT count(*) FROM job
                  WHERE job.org_id = due.org_id AND job.state <> 'dead'
                    AND (job.lane = 'holds'
                         OR job.lane = 'opens'
                            AND (job.state = 'claimed' AND job.lease_until >= nightshift_now()
                                 OR job.state = 'due'
                                   AND lost_at(job.announced_at, job.not_before, job.lease_until, $2) > nightshift_now()))
                ) AS room
      FROM due WHERE lane = 'opens' AND wanted GROUP BY org_id
), ranked AS (
    SELECT due.org_id, due.id, due.class, due.lane, due.not_before, due.announced_at, due.of_sync,
           row_number() OVER (PARTITION BY due.org_id, due.lane ORDER BY due.not_before, due.id) AS nth_of_lane
      FROM due WHERE wanted
), allowed AS (
    SELECT ranked.*,
           row_number() OVER (PARTITION BY ranked.org_id, ranked.class
                                  ORDER BY (ranked.lane = 'opens') DESC, ranked.not_before, ranked.id) AS nth
      FROM ranked LEFT JOIN openers USING (org_id)
     WHERE ranked.lane <> 'opens' OR ranked.nth_of_lane <= openers.room
), few AS (
    SELECT allowed.*,
           row_number() OVER (PARTITION BY allowed.org_id, allowed.of_sync
                                  ORDER BY allowed.nth, (allowed.lane = 'opens') DESC, allowed.not_before, allowed.id)
               AS nth_of_org
      FROM allowed JOIN busy USING (org_id, class)
     WHERE allowed.nth <= $4 - busy.pending
), fair AS (
    SELECT few.*,
           row_number() OVER (PARTITION BY few.class ORDER BY few.nth, few.not_before) AS place
      FROM few JOIN load USING (org_id)
     WHERE NOT few.of_sync OR few.nth_of_org <= $6 - load.load
), chosen AS (
    SELECT fair.org_id, fair.id, fair.announced_at
      FROM fair JOIN room USING (class)
     WHERE fair.place <= room.room
), locked AS (
    SELECT job.org_id, job.id, chosen.announced_at IS NOT NULL AS told_before
      FROM job JOIN chosen ON job.org_id = chosen.org_id AND job.id = chosen.id
     -- another sweeper was first
     WHERE job.announced_at IS NOT DISTINCT FROM chosen.announced_at
           -- or its worker has kept it alive since it was read
       AND (job.state = 'due' OR job.lease_until < nightshift_now())
     ORDER BY job.org_id, job.id
       FOR UPDATE OF job SKIP LOCKED
), marked AS (
    UPDATE job SET announced_at = nightshift_now()
      FROM locked
     WHERE job.org_id = locked.org_id AND job.id = locked.id
    RETURNING job.org_id, job.id, job.class, job.traceparent, locked.told_before
)
-- what a transaction still open has made due may be a little older than what is seen here
SELECT marked.*, horizon.since
  FROM (SELECT coalesce(min(not_before), nightshift_now()) - interval '2 seconds' AS since FROM due) AS horizon
  LEFT JOIN marked ON true
