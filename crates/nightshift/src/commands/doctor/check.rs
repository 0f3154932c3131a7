//! The things that `doctor` looks at, and why each matters.

use super::finding::Check;

macro_rules! checks {
    ($($name:ident $thing:literal $why:literal)*) => {
        $(pub const $name: Check = Check { thing: $thing, why: $why };)*
    };
}

checks! {
    ZONES "zone data" "slots are computed in each org's own time zone, from the data that is built in"
    KEY "key" "every token of an org is encrypted with it"
    DATABASE "database" "it is the truth; nothing works without it"
    MIGRATIONS "migrations" "program and tables must fit: older programs may run beside newer tables, not the other way"
    CLOCK "clock" "leases follow the database's clock alone, but signed logins, certificates and logs follow this machine's"
    CONNECTIONS "connections" "a process that gets no connection claims nothing and loses its leases"
    SNAPSHOT "snapshot" "while somebody holds an old snapshot, dead rows of the job table stay and every claim gets slower"
    VACUUM "vacuum" "the job table changes all night; claims are as fast as it is clean"
    PROCESSES "processes" "without a scheduler no night begins, without workers of each class none ends"
    DUE "due" "a job that is due and unclaimed is a night that is late"
    OUTBOX "outbox" "subscribers hear of syncs and cases only when their events leave"
    DEAD_JOBS "dead jobs" "jobs of no sync that gave up stay until somebody looks at them"
    PAUSES "pauses" "what is paused waits until somebody resumes it; nights may be missed by it"
    SECRETS "secrets" "an org whose grant cannot be decrypted has to be connected again"
    ORGS "orgs" "an org without a working connection has no nights until a person mends it"
    NIGHTS "nights" "a missed night is a day on which nobody knows what changed"
    INSTANCES "instances" "orgs of an instance that is down are not called; their jobs wait"
    BROKER "broker" "it wakes the workers; without it jobs wait, and nothing is lost"
    QUEUES "queues" "each class has a queue of its own; one that is missing or unheard stops its class"
    SALESFORCE "salesforce" "every sync begins with a call to Salesforce, by this very way"
}
