//! Refreshes of one org's token by many, on a real PostgreSQL, at a token endpoint that revokes all on a reuse.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nightshift_connections::{Grant, NewConnection, Tokens, connect};
use nightshift_domain::{FailureCode, OrgId, Verdict};
use nightshift_salesforce::{
    ApiVersion, CallCounter, HostPolicy, Http, HttpSettings, Salesforce, Session, TokenError,
    TokenGeneration, TokenSource,
};
use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec, Simulator, SimulatorSettings};
use nightshift_store::{
    Store,
    connections::{Begun, Refresh, RefreshFailure},
};
use nightshift_testkit::TestDb;
use secrecy::ExposeSecret;
use tokio::sync::Barrier;

const TASKS: usize = 30;
/// How long one refresh may hold an org's token, and when that is over.
const HOLD: Duration = Duration::from_secs(60);
const LAPSED: Duration = Duration::from_secs(61);

/// A connected org whose tokens rotate, and no session in it.
struct Desk {
    database: TestDb,
    store: Store,
    simulator: Simulator,
    salesforce: Salesforce,
    org: OrgId,
}

impl Desk {
    async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let database = TestDb::fresh().await;
        let store = database.store().await;
        let simulator = Simulator::start(SimulatorSettings::default()).await.unwrap();
        let access = simulator
            .add_org(OrgSpec::generated("acme", 1, 100).rotating().with_secret("app"))
            .unwrap();
        let http = Http::new(HttpSettings::default()).unwrap();
        let salesforce = Salesforce::new(http, HostPolicy::new(&["127.0.0.1".to_owned()]));
        let connection = NewConnection {
            name: "acme".parse().unwrap(),
            login_url: simulator.base_url(),
            client_id: access.client_id,
            client_secret: access.client_secret.map(Into::into),
            grant: Grant::RefreshToken(access.refresh_token.into()),
            time_zone: None,
        };
        let org = connect(&store, &salesforce, connection, None, &mut rand::rng())
            .await
            .unwrap();
        simulator.expire_sessions("acme").unwrap();
        Self {
            database,
            store,
            simulator,
            salesforce,
            org,
        }
    }

    /// The tokens as a process of its own sees them.
    async fn tokens(&self) -> Tokens {
        Tokens::new(self.database.store().await, self.salesforce.oauth())
    }

    fn token_calls(&self) -> u64 {
        self.simulator.calls("acme").unwrap()[&Call::Token]
    }

    /// Takes the right to refresh, if it is to be had, as a worker does before its call.
    async fn begins(&self) -> Option<Refresh> {
        let connections = self.store.connections();
        let stale = connections.token(self.org).await.unwrap().unwrap().generation;
        match connections
            .begin_refresh(self.org, Some(stale), HOLD)
            .await
            .unwrap()
        {
            Begun::Ours(refresh) => Some(*refresh),
            _ => None,
        }
    }

    /// Whether the org opens with what is stored: with one call, so that no refresh of the client's own helps.
    async fn opens(&self, tokens: Tokens) -> bool {
        let before = self.token_calls();
        let tokens: Arc<dyn TokenSource> = Arc::new(tokens);
        let client = self
            .salesforce
            .client(self.org, tokens, CallCounter::new(), ApiVersion::NEWEST_TESTED);
        client.organization().await.is_ok() && self.token_calls() == before
    }
}

/// Asks again while another one refreshes, as a job that waits does.
async fn newer_than(tokens: &Tokens, org: OrgId, stale: TokenGeneration) -> Result<Session, TokenError> {
    let calls = CallCounter::new();
    loop {
        match tokens.refresh(org, stale, &calls).await {
            Err(TokenError::BeingRefreshed { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            answer => return answer,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn b59_thirty_who_meet_an_expired_token_refresh_it_once_and_share_the_new_one() {
    let desk = Desk::new().await;
    let (before, start) = (desk.token_calls(), Arc::new(Barrier::new(TASKS)));
    let mut asking = Vec::new();
    for _ in 0..TASKS {
        let (tokens, org, start) = (desk.tokens().await, desk.org, Arc::clone(&start));
        asking.push(tokio::spawn(async move {
            let expired = tokens.token(org, &CallCounter::new()).await.unwrap();
            start.wait().await;
            let fresh = newer_than(&tokens, org, expired.generation).await.unwrap();
            let shared = |session: &Session| session.access_token.expose_secret().to_owned();
            (shared(&expired), shared(&fresh), fresh.generation)
        }));
    }
    let mut answers = BTreeSet::new();
    for task in asking {
        answers.insert(task.await.unwrap());
    }
    assert_eq!(desk.token_calls() - before, 1, "one call, whoever made it");
    assert_eq!(
        answers.len(),
        1,
        "thirty had one expired token, and have one new token"
    );
    let (expired, fresh, _) = answers.pop_first().unwrap();
    assert_ne!(expired, fresh);
    assert!(desk.opens(desk.tokens().await).await);
    // the rotated refresh token was kept: the next refresh is good, and nothing was revoked
    desk.simulator.expire_sessions("acme").unwrap();
    let tokens = desk.tokens().await;
    let expired = tokens.token(desk.org, &CallCounter::new()).await.unwrap();
    newer_than(&tokens, desk.org, expired.generation).await.unwrap();
    assert!(desk.opens(tokens).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn b59_a_refresh_whose_worker_dies_before_its_call_is_taken_over_once_it_lapses() {
    let desk = Desk::new().await;
    let (tokens, org, calls) = (desk.tokens().await, desk.org, CallCounter::new());
    let before = desk.token_calls();
    let stale = tokens.token(org, &calls).await.unwrap().generation;
    drop(
        desk.begins()
            .await
            .expect("nobody else refreshes, and this one dies"),
    );
    let waits = tokens.refresh(org, stale, &calls).await;
    assert!(
        matches!(waits, Err(TokenError::BeingRefreshed { .. })),
        "{waits:?}"
    );
    desk.database.advance(LAPSED).await;
    newer_than(&tokens, org, stale).await.unwrap();
    assert_eq!(desk.token_calls() - before, 1, "who waits calls nobody");
    assert!(desk.opens(tokens).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn b61_a_rotated_token_that_dies_with_its_worker_needs_a_person_and_is_said_to() {
    let desk = Desk::new().await;
    let (tokens, org, calls) = (desk.tokens().await, desk.org, CallCounter::new());
    let before = desk.token_calls();
    let stale = tokens.token(org, &calls).await.unwrap().generation;
    let slow = Fault {
        millis: Some(60_000),
        ..Fault::new(FaultKind::Slow).on(&[Call::Token]).times(1)
    };
    desk.simulator.fault("acme", slow).unwrap();
    let dying = desk.tokens().await;
    let dying = tokio::spawn(async move { dying.refresh(org, stale, &CallCounter::new()).await.is_ok() });
    while desk.token_calls() == before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dying.abort();
    assert!(dying.await.unwrap_err().is_cancelled());
    let waits = tokens.refresh(org, stale, &calls).await;
    assert!(
        matches!(waits, Err(TokenError::BeingRefreshed { .. })),
        "{waits:?}"
    );
    desk.database.advance(LAPSED).await;
    let Err(TokenError::Salesforce(refused)) = newer_than(&tokens, org, stale).await else {
        panic!("Salesforce has taken the token back")
    };
    let answer = refused.step_error();
    assert_eq!(answer.verdict, Verdict::Reauthenticate, "{refused}");
    assert_eq!(answer.code, FailureCode::TokenAnswerLost, "{refused}");
    assert_eq!(
        desk.store.orgs().show(org).await.unwrap().state(),
        "needs_authentication"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn b59_a_worker_that_slept_through_its_refresh_frees_nobody_elses() {
    let desk = Desk::new().await;
    let gives_back = async |refresh| {
        desk.store
            .connections()
            .fail_refresh(refresh, RefreshFailure::PassesByItself)
            .await
            .unwrap();
    };
    let sleeper = desk.begins().await.expect("nobody refreshes yet");
    desk.database.advance(LAPSED).await;
    let taken_over = desk.begins().await.expect("the sleeper's right has lapsed");
    gives_back(sleeper).await;
    let third = desk.begins().await;
    assert!(
        third.is_none(),
        "a second call with the same refresh token would revoke everything"
    );
    gives_back(taken_over).await;
    assert!(desk.begins().await.is_some(), "its own right it gives back");
}
