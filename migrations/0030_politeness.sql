-- Politeness towards Salesforce: what an org's night has spent, what is left of its day, how an instance is.

-- The night on which a sync's calls are booked: that of its slot; of a sync by hand the one (noon to noon, local) in
-- which it was admitted.
ALTER TABLE sync ADD COLUMN ledger_night date;
UPDATE sync SET ledger_night = coalesce(night, (admitted_at AT TIME ZONE 'UTC' - interval '12 hours')::date);
ALTER TABLE sync ALTER COLUMN ledger_night SET NOT NULL;

-- Requests to Salesforce, OAuth included: some fifteen rows for an org and night, however many calls they stand for.
CREATE TABLE call_ledger (
    org_id uuid NOT NULL,
    night  date NOT NULL,
    step   text NOT NULL,
    kind   text NOT NULL,
    calls  bigint NOT NULL,
    PRIMARY KEY (org_id, night, step, kind)
) WITH (fillfactor = 80);
-- For taking old nights away, and for one night of all orgs.
CREATE INDEX call_ledger_night ON call_ledger (night);

-- The ledger for people, with the org's name.
CREATE VIEW api_calls AS
SELECT org.name AS org, call_ledger.night, call_ledger.step, call_ledger.kind, call_ledger.calls
  FROM call_ledger JOIN org ON org.id = call_ledger.org_id;

-- What an org's last answer said about its day's requests.
CREATE TABLE allowance (
    org_id  uuid PRIMARY KEY,
    used    bigint NOT NULL,
    allowed bigint NOT NULL,
    seen_at timestamptz NOT NULL,
    -- Our own calls of `night` by then: what came later is added to `used`.
    booked  bigint NOT NULL,
    night   date NOT NULL
);

-- How a Salesforce instance is. The row changes by compare-and-set on `version`; while all is well it does not change.
CREATE TABLE instance (
    name           text PRIMARY KEY,
    version        bigint NOT NULL DEFAULT 0,
    circuit        text NOT NULL DEFAULT 'closed' CHECK (circuit IN ('closed', 'open', 'probing')),
    -- Open: nobody calls before it. Probing: then the probe counts as lost.
    until          timestamptz,
    -- How often in a row it opened.
    times          integer NOT NULL DEFAULT 0,
    -- Calls of the current window, as far as they were reported.
    window_began   timestamptz NOT NULL,
    answered       bigint NOT NULL DEFAULT 0,
    unavailable    bigint NOT NULL DEFAULT 0,
    retries        bigint NOT NULL DEFAULT 0,
    changed_at     timestamptz NOT NULL,
    -- How long its queue kept retrieves Pending, in seconds: the last one, and the mean, which forgets.
    pending_last   double precision,
    pending_mean   double precision,
    pending_seen   bigint NOT NULL DEFAULT 0,
    CHECK ((circuit = 'closed') = (until IS NULL))
);

-- Whether the org may have one more job running. Claims of one org wait for each other here for the length of a claim, so
-- that two that come at once do not both see the last room; being VOLATILE, the count sees what the one before wrote.
CREATE FUNCTION org_has_room(the_org uuid, most bigint) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(the_org::text, 30));
    RETURN (SELECT count(*) FROM job
             WHERE job.org_id = the_org AND job.sync_id IS NOT NULL AND job.state = 'claimed'
               AND job.lease_until >= nightshift_now()) < most;
END $$;
