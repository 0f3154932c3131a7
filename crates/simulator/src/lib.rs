//! A Salesforce that fits into a test: orgs behind a real HTTP server, with the limits and the moods of the real one.
//!
//! It stands in for Salesforce in tests, in the demo and on a developer's desk, so it is built from what is known of
//! Salesforce and from nothing of ours: no crate of the workspace is imported, and what both sides need (types, names,
//! where files lie) is written down twice. Orgs come from a seed and a size or from a folder in Metadata API format;
//! a night can pass in them; faults can be ordered. Clients see OAuth, some REST, and the Metadata API over SOAP.
//!
//! [`Simulator`] is the handle; `/_control` offers the same over HTTP (`control`).

mod calls;
mod clock;
mod control;
mod door;
mod error;
mod faults;
mod http;
mod ids;
mod inventory;
mod latency;
mod limits;
mod mangle;
mod mix;
mod oauth;
mod org;
mod rest;
mod routes;
mod server;
mod settings;
mod soap;
mod soql;
mod spec;
mod spoil;
mod tables;
mod tls;
mod tokens;
mod types;
mod wire;
mod xml;
mod zip;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

pub use calls::{Call, CallCounts};
pub use error::SimulatorError;
pub use faults::{Fault, FaultKind, FaultPlan, NamedFault, PlannedFault, Seen};
pub use inventory::{
    Change, ChangeKind, Listed, SourceFile,
    extras::{Extra, ExtraType, Quirk},
};
pub use latency::Latency;
pub use limits::OrgLimits;
pub use settings::{Compressing, RetrievePace, SimulatorSettings, TlsFiles};
pub use spec::{Cloud, Edition, OrgAccess, OrgSource, OrgSpec};
pub use tokens::Rotation;

use org::Org;
use server::{Shared, handle};
use wire::{CuttableListener, Wire};

/// How long requests under way may take after `stop`.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// A running simulator. Dropping it leaves the server running until the runtime ends; `stop` ends it.
pub struct Simulator {
    shared: Arc<Shared>,
    stopping: CancellationToken,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Listens and answers from now on.
    pub async fn start(settings: SimulatorSettings) -> Result<Self, SimulatorError> {
        let wanted = settings.listen;
        let refused = |source| SimulatorError::Listen {
            address: wanted,
            source,
        };
        let acceptor = settings.tls.as_ref().map(tls::acceptor).transpose()?;
        let listener = TcpListener::bind(wanted).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shared = Arc::new(Shared::new(settings, address));
        let app = Router::new().fallback(handle).with_state(shared.clone());
        let service = app.into_make_service_with_connect_info::<Wire>();
        let stopping = CancellationToken::new();
        let stop = stopping.clone().cancelled_owned();
        let server = tokio::spawn(async move {
            let serve =
                axum::serve(CuttableListener { listener, acceptor }, service).with_graceful_shutdown(stop);
            if let Err(error) = serve.await {
                tracing::error!(%error, "the simulator's server ended");
            }
        });
        Ok(Self {
            shared,
            stopping,
            server,
        })
    }

    pub fn addr(&self) -> SocketAddr {
        self.shared.address
    }

    /// Login URL and instance URL of every org.
    pub fn base_url(&self) -> String {
        self.shared.base_url()
    }

    /// Adds an org; reads its folder when it is made from one (blocking, some milliseconds per thousand files).
    pub fn add_org(&self, spec: OrgSpec) -> Result<OrgAccess, SimulatorError> {
        let org = self.shared.add(Org::new(
            spec,
            self.shared.settings.seed,
            self.shared.clock.clone(),
        )?)?;
        Ok(self.shared.access(&org))
    }

    /// All orgs, with their present refresh tokens.
    pub fn orgs(&self) -> Vec<OrgAccess> {
        self.shared.accesses()
    }

    /// One org, with its present refresh token.
    pub fn access(&self, org: &str) -> Result<OrgAccess, SimulatorError> {
        Ok(self.shared.access(&*self.shared.org(org)?))
    }

    /// Number of components by type (members, folders, children) that the org holds now.
    pub fn expected_counts(&self, org: &str) -> Result<BTreeMap<String, u64>, SimulatorError> {
        Ok(self.shared.org(org)?.snapshot().counts())
    }

    /// A night passes in a generated org; about `share` (0 to 1) of its components are touched.
    pub fn evolve(&self, org: &str, share: f64) -> Result<Vec<Change>, SimulatorError> {
        self.shared.org(org)?.evolve(share)
    }

    /// The tree of the night after takes the place of the present one. The changes are by bytes (a child's slice, a
    /// parent without its children), as Salesforce's dates are; a dictionary may see fewer.
    pub fn next_night(&self, org: &str) -> Result<Vec<Change>, SimulatorError> {
        self.shared.org(org)?.next_night()
    }

    /// Names the tree that `next_night` will take.
    pub fn set_next(&self, org: &str, dir: impl Into<PathBuf>) -> Result<(), SimulatorError> {
        self.shared.org(org)?.set_next(dir.into())
    }

    pub fn fault(&self, org: &str, fault: Fault) -> Result<(), SimulatorError> {
        self.shared.org(org)?.order_fault(fault)
    }

    /// Orders the faults of a plan for the orgs that are there.
    pub fn plan(&self, plan: &FaultPlan) -> Result<(), SimulatorError> {
        self.shared.plan(plan)
    }

    /// Sets what an org allows from now on.
    pub fn set_limits(&self, org: &str, limits: OrgLimits) -> Result<(), SimulatorError> {
        self.shared.org(org)?.set_limits(limits);
        Ok(())
    }

    /// Forgets the org's faults, or those of one kind, and frees retrieves that they hold.
    pub fn clear_faults(&self, org: &str, kind: Option<FaultKind>) -> Result<(), SimulatorError> {
        self.shared.org(org)?.clear_faults(kind);
        Ok(())
    }

    /// Requests of the org by kind of call.
    pub fn calls(&self, org: &str) -> Result<CallCounts, SimulatorError> {
        Ok(self.shared.org(org)?.calls())
    }

    /// Most requests of the org that were under way at once.
    pub fn most_at_once(&self, org: &str) -> Result<usize, SimulatorError> {
        Ok(self.shared.org(org)?.most_at_once())
    }

    /// The secret of the org's app, and every access and refresh token that was ever given out.
    pub fn secrets(&self, org: &str) -> Result<Vec<String>, SimulatorError> {
        Ok(self.shared.org(org)?.secrets())
    }

    /// Registers the public half (PEM) of the key with which the org's app signs its assertions.
    pub fn register_key(&self, org: &str, pem: &str) -> Result<(), SimulatorError> {
        self.shared.org(org)?.register_key(pem)
    }

    /// Revokes all tokens of the org, as its administrator would.
    pub fn revoke(&self, org: &str) -> Result<(), SimulatorError> {
        self.shared.org(org)?.tokens().revoke_all();
        Ok(())
    }

    /// A person connects again; the new refresh token.
    pub fn reauthorize(&self, org: &str) -> Result<String, SimulatorError> {
        Ok(self.shared.org(org)?.tokens().reauthorize())
    }

    /// Ends the org's access tokens; its refresh token stays good.
    pub fn expire_sessions(&self, org: &str) -> Result<(), SimulatorError> {
        self.shared.org(org)?.tokens().expire_access();
        Ok(())
    }

    /// Lays a single member over the org, in the place of one of its type and name.
    pub fn put_extra(&self, org: &str, extra: Extra) -> Result<(), SimulatorError> {
        self.shared.org(org)?.put_extra(extra);
        Ok(())
    }

    pub fn remove_extra(&self, org: &str, kind: &str, full_name: &str) -> Result<(), SimulatorError> {
        self.shared.org(org)?.remove_extra(kind, full_name);
        Ok(())
    }

    /// Moves the simulator's clock (states of retrieves, ends of tokens) forward.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
    }

    /// Ends the server; requests under way get a moment to finish.
    pub async fn stop(self) {
        self.stopping.cancel();
        let mut server = self.server;
        if tokio::time::timeout(LAST_ANSWERS, &mut server).await.is_err() {
            server.abort();
        }
    }

    /// Waits until the server ends, which it does not by itself.
    pub async fn join(self) {
        // A server task that was aborted has nothing to tell.
        let _ = self.server.await;
    }
}
