//! One simulated org: what it was made from, and its state.
//!
//! The state is small: the present inventory, the tokens, the retrieves under way, the faults that were ordered and
//! the calls that were counted. Each has its own lock, held for the look and never while an answer is written.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use crate::{
    calls::{Call, CallCounts},
    clock::Clock,
    error::SimulatorError,
    faults::{Fault, FaultKind, Faults},
    ids::id18,
    inventory::{
        Change, Inventory,
        extras::{Extra, Quirk},
        folder::FolderOrg,
        generated::GeneratedOrg,
        layers::Snapshot,
    },
    limits::{OrgLimits, Place, Running, Usage},
    mix::{Numbers, mix_text},
    oauth::{AppKey, Code},
    rest::{BulkJob, Cursor},
    soap::jobs::Retrieve,
    spec::{OrgSource, OrgSpec},
    tables::Dependency,
    tokens::Tokens,
};

enum Source {
    Generated(Box<GeneratedOrg>),
    Folder {
        tree: Arc<FolderOrg>,
        next: Option<PathBuf>,
        generation: u32,
    },
}

struct Holding {
    snapshot: Snapshot,
    source: Source,
}

pub(crate) struct Org {
    /// From which what concerns this org alone is drawn.
    pub number: u64,
    pub spec: OrgSpec,
    pub organization_id: String,
    pub user_id: String,
    pub client_id: String,
    /// Of the org's user; a security token may follow it.
    pub password: String,
    tokens: Mutex<Tokens>,
    /// The public key of its app, by which assertions are known.
    app_key: Mutex<Option<AppKey>>,
    codes: Mutex<HashMap<String, Code>>,
    holding: RwLock<Holding>,
    retrieves: Mutex<HashMap<String, Retrieve>>,
    faults: Mutex<Faults>,
    calls: Mutex<CallCounts>,
    cursors: Mutex<HashMap<String, Cursor>>,
    bulk_jobs: Mutex<BTreeMap<String, BulkJob>>,
    dependencies: Mutex<Option<KnownDependencies>>,
    limits: Mutex<OrgLimits>,
    usage: Mutex<Usage>,
    /// Retrieves of types that have a budget.
    budgets: Mutex<BTreeMap<&'static str, Usage>>,
    running: Running,
    clock: Arc<Clock>,
}

/// The dependencies that were found, and the inventory in which.
pub(crate) type KnownDependencies = (Arc<dyn Inventory>, Arc<[Dependency]>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Org {
    pub(crate) fn new(spec: OrgSpec, seed: u64, clock: Arc<Clock>) -> Result<Self, SimulatorError> {
        let number = mix_text(seed, &spec.name);
        let source = match &spec.source {
            OrgSource::Generated { seed, size, weight } => Source::Generated(Box::new(
                GeneratedOrg::weighing(*seed, *size, *weight, &spec.clouds),
            )),
            OrgSource::Folder { dir, next } => {
                let tree = Arc::new(FolderOrg::read(dir, None, 0)?);
                report_unplaced(&tree);
                Source::Folder {
                    tree,
                    next: next.clone(),
                    generation: 0,
                }
            }
        };
        let snapshot = Snapshot {
            base: match &source {
                Source::Generated(org) => Arc::new((**org).clone()),
                Source::Folder { tree, .. } => tree.clone(),
            },
            extras: Arc::new(
                spec.clouds
                    .iter()
                    .flat_map(|cloud| cloud.extras())
                    .chain(spec.extras.clone())
                    .collect(),
            ),
            types: Arc::new(spec.extra_types.clone()),
            namespace: spec.namespace.clone().map(Arc::from),
        };
        let organization_id = id18("00D", number);
        let mut numbers = Numbers::new(number);
        let client_id = format!(
            "3MVG9{}",
            (0..20)
                .map(|_| char::from(b'A' + numbers.below(26) as u8))
                .collect::<String>()
        );
        let password = format!("pw{}", numbers.next());
        Ok(Self {
            number,
            password,
            app_key: Mutex::default(),
            codes: Mutex::default(),
            tokens: Mutex::new(Tokens::new(&organization_id, number, spec.rotation)),
            user_id: id18("005", number),
            organization_id,
            client_id,
            holding: RwLock::new(Holding { snapshot, source }),
            retrieves: Mutex::default(),
            faults: Mutex::new(Faults::new(number)),
            limits: Mutex::new(spec.limits()),
            usage: Mutex::default(),
            budgets: Mutex::default(),
            running: Running::default(),
            clock,
            calls: Mutex::default(),
            cursors: Mutex::default(),
            bulk_jobs: Mutex::default(),
            dependencies: Mutex::default(),
            spec,
        })
    }

    pub(crate) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        locked(&self.tokens)
    }

    /// Everything of this org that nobody but its client may know.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let of_app = self.spec.client_secret.iter().cloned();
        of_app.chain(self.tokens().issued().iter().cloned()).collect()
    }

    /// Codes that wait to be used.
    pub(crate) fn codes(&self) -> MutexGuard<'_, HashMap<String, Code>> {
        locked(&self.codes)
    }

    pub(crate) fn retrieves(&self) -> MutexGuard<'_, HashMap<String, Retrieve>> {
        locked(&self.retrieves)
    }

    /// Results of queries that wait for their next page.
    pub(crate) fn cursors(&self) -> MutexGuard<'_, HashMap<String, Cursor>> {
        locked(&self.cursors)
    }

    pub(crate) fn bulk_jobs(&self) -> MutexGuard<'_, BTreeMap<String, BulkJob>> {
        locked(&self.bulk_jobs)
    }

    pub(crate) fn dependencies(&self) -> MutexGuard<'_, Option<KnownDependencies>> {
        locked(&self.dependencies)
    }

    /// Counts a call; how many of its kind there were, with it.
    pub(crate) fn count(&self, call: Call) -> u64 {
        let mut calls = locked(&self.calls);
        let count = calls.entry(call).or_default();
        *count += 1;
        *count
    }

    /// Whether an access token opens the org now. Its use keeps the session alive where the org bounds its idle time.
    pub(crate) fn opens(&self, session: &str) -> bool {
        let idle = self.limits().session_seconds.map(Duration::from_secs);
        self.tokens().is_good(session, self.clock.now(), idle)
    }

    pub(crate) fn calls(&self) -> CallCounts {
        locked(&self.calls).clone()
    }

    pub(crate) fn forget_calls(&self) {
        locked(&self.calls).clear();
        self.running.forget();
    }

    /// Most requests that the org answered at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.running.most()
    }

    /// What the org holds now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.holding
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .snapshot
            .clone()
    }

    /// The first ordered fault of these kinds that hits the call.
    pub(crate) fn fault(
        &self,
        call: Call,
        kinds: &[FaultKind],
        concerns: impl Fn(&Fault) -> bool,
    ) -> Option<Fault> {
        let now = self.clock.now();
        locked(&self.faults).take(call, now, |fault| kinds.contains(&fault.kind) && concerns(fault))
    }

    /// A fault of that kind, if one is in force; it is not counted.
    pub(crate) fn standing_fault(&self, kind: FaultKind) -> Option<Fault> {
        locked(&self.faults).standing(kind, self.clock.now())
    }

    pub(crate) fn limits(&self) -> OrgLimits {
        *locked(&self.limits)
    }

    pub(crate) fn set_limits(&self, limits: OrgLimits) {
        *locked(&self.limits) = limits;
    }

    /// The key that an administrator has registered for the app.
    pub(crate) fn app_key(&self) -> Option<AppKey> {
        locked(&self.app_key).clone()
    }

    pub(crate) fn register_key(&self, pem: &str) -> Result<(), SimulatorError> {
        *locked(&self.app_key) = Some(AppKey::from_pem(pem)?);
        Ok(())
    }

    /// Requests of the last day.
    pub(crate) fn used(&self) -> u64 {
        locked(&self.usage).used(self.clock.now())
    }

    /// Counts a request against the day's allowance; false when that is used up.
    pub(crate) fn spend(&self) -> bool {
        locked(&self.usage).spend(self.clock.now(), self.limits().daily_requests)
    }

    /// Counts a retrieve that names a type with a budget; false when that is used up.
    pub(crate) fn spend_retrieve(&self, kind: &'static str) -> bool {
        let (now, most) = (self.clock.now(), self.limits().budgeted_retrieves);
        locked(&self.budgets).entry(kind).or_default().spend(now, most)
    }

    /// A place among the running requests; none while too many long ones run.
    pub(crate) fn enter(&self) -> Option<Place> {
        self.running.enter(self.clock.now(), &self.limits())
    }

    pub(crate) fn order_fault(&self, fault: Fault) -> Result<(), SimulatorError> {
        fault.check()?;
        locked(&self.faults).order(fault, self.clock.now());
        Ok(())
    }

    /// Forgets faults, and frees the retrieves that were stuck by them.
    pub(crate) fn clear_faults(&self, kind: Option<FaultKind>) {
        locked(&self.faults).clear(kind);
        for retrieve in self.retrieves().values_mut() {
            retrieve.free(kind);
        }
    }

    /// Lets a night pass in a generated org.
    pub(crate) fn evolve(&self, share: f64) -> Result<Vec<Change>, SimulatorError> {
        let mut holding = self.holding.write().unwrap_or_else(PoisonError::into_inner);
        let Source::Generated(org) = &mut holding.source else {
            return Err(SimulatorError::NotGenerated(self.spec.name.clone()));
        };
        let (next, changes) = org.evolve(share);
        **org = next.clone();
        holding.snapshot.base = Arc::new(next);
        Ok(changes)
    }

    /// Puts the tree of the night after into the place of the present one.
    pub(crate) fn next_night(&self) -> Result<Vec<Change>, SimulatorError> {
        let mut holding = self.holding.write().unwrap_or_else(PoisonError::into_inner);
        let Source::Folder {
            tree,
            next,
            generation,
        } = &mut holding.source
        else {
            return Err(SimulatorError::NoNextNight(self.spec.name.clone()));
        };
        let dir = next
            .take()
            .ok_or_else(|| SimulatorError::NoNextNight(self.spec.name.clone()))?;
        *generation += 1;
        let after = Arc::new(FolderOrg::read(&dir, Some(tree), *generation)?);
        report_unplaced(&after);
        let changes = after.changes_since(tree);
        *tree = after.clone();
        holding.snapshot.base = after;
        Ok(changes)
    }

    /// Names the tree for the next `next_night`.
    pub(crate) fn set_next(&self, dir: PathBuf) -> Result<(), SimulatorError> {
        let mut holding = self.holding.write().unwrap_or_else(PoisonError::into_inner);
        match &mut holding.source {
            Source::Folder { next, .. } => {
                *next = Some(dir);
                Ok(())
            }
            Source::Generated(_) => Err(SimulatorError::NoNextNight(self.spec.name.clone())),
        }
    }

    /// Lays an extra over the org, in the place of one of the same type and name.
    pub(crate) fn put_extra(&self, extra: Extra) {
        self.change_extras(|extras| {
            extras.retain(|old| (&old.kind, &old.full_name) != (&extra.kind, &extra.full_name));
            extras.push(extra);
        });
    }

    /// Lays the members and the types of an oddity over the org.
    pub(crate) fn put_quirk(&self, quirk: Quirk) {
        quirk.extras().into_iter().for_each(|extra| self.put_extra(extra));
        let mut holding = self.holding.write().unwrap_or_else(PoisonError::into_inner);
        let mut types = holding.snapshot.types.to_vec();
        let new = quirk
            .types()
            .into_iter()
            .filter(|new| types.iter().all(|old| old.name != new.name));
        types.extend(new.collect::<Vec<_>>());
        holding.snapshot.types = Arc::new(types);
    }

    pub(crate) fn remove_extra(&self, kind: &str, full_name: &str) {
        self.change_extras(|extras| {
            extras.retain(|old| (old.kind.as_str(), old.full_name.as_str()) != (kind, full_name));
        });
    }

    fn change_extras(&self, change: impl FnOnce(&mut Vec<Extra>)) {
        let mut holding = self.holding.write().unwrap_or_else(PoisonError::into_inner);
        let mut extras = holding.snapshot.extras.to_vec();
        change(&mut extras);
        holding.snapshot.extras = Arc::new(extras);
    }
}

fn report_unplaced(tree: &FolderOrg) {
    if !tree.unplaced().is_empty() {
        let files = tree.unplaced();
        tracing::warn!(count = files.len(), first = %files[0], "files of the folder belong to no known type and are not served");
    }
}
