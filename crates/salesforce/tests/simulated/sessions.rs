//! Sessions that lie elsewhere than the org does, or whose token SOAP does not take.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use axum::{Router, http::StatusCode};
use futures::future::BoxFuture;
use nightshift_domain::{FailureCode, OrgId};
use nightshift_salesforce::{
    ApiVersion, CallCounter, CallKind, Client, ListQuery, SalesforceError, Session, TokenError,
    TokenGeneration, TokenSource,
};
use nightshift_simulator::Call;

use crate::desk::{Desk, act, code};

/// A first session, and a second one for whoever refreshes.
struct Two {
    first: Session,
    second: Session,
    refreshes: AtomicU32,
}

impl TokenSource for Two {
    fn token<'a>(&'a self, _: OrgId, _: &'a CallCounter) -> BoxFuture<'a, Result<Session, TokenError>> {
        Box::pin(async { Ok(self.first.clone()) })
    }

    fn refresh<'a>(
        &'a self,
        _: OrgId,
        _: TokenGeneration,
        _: &'a CallCounter,
    ) -> BoxFuture<'a, Result<Session, TokenError>> {
        self.refreshes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(self.second.clone()) })
    }
}

/// An instance that the org has left: it says so to every call, and counts them.
async fn left_behind() -> (url::Url, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let answer = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let words = r#"[{"errorCode":"URL_NOT_RESET","message":"Destination URL not reset. The URL returned from login must be set"}]"#;
        std::future::ready((
            StatusCode::BAD_REQUEST,
            [("content-type", "application/json")],
            words,
        ))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    let router = Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

async fn session(desk: &Desk, generation: i64) -> Session {
    let given = desk
        .refresh(&desk.access.client_id, None, &desk.access.refresh_token)
        .await
        .unwrap();
    Session {
        instance_url: given.instance_url,
        access_token: given.access_token,
        generation: TokenGeneration(generation),
    }
}

fn client(desk: &Desk, first: Session, second: Session) -> (Client, Arc<Two>) {
    let refreshes = AtomicU32::new(0);
    let tokens = Arc::new(Two {
        first,
        second,
        refreshes,
    });
    let org = OrgId::from_uuid(uuid::Uuid::nil());
    let version = ApiVersion::NEWEST_TESTED;
    let source: Arc<dyn TokenSource> = tokens.clone();
    (
        desk.salesforce.client(org, source, CallCounter::new(), version),
        tokens,
    )
}

#[tokio::test]
async fn an_org_that_moved_is_followed_once_to_the_address_that_the_refresh_names() {
    let desk = Desk::acme().await;
    let (old, asked) = left_behind().await;
    let (here, there) = (session(&desk, 2).await, session(&desk, 1).await);
    let there = Session {
        instance_url: old.clone(),
        ..there
    };
    let (moved, tokens) = client(&desk, there.clone(), here);
    moved.limits().await.unwrap();
    assert_eq!(
        (
            asked.load(Ordering::Relaxed),
            tokens.refreshes.load(Ordering::Relaxed)
        ),
        (1, 1)
    );
    assert_eq!(desk.seen(Call::Limits), 1);
    // where the refresh names the old address again, that is the end
    let again = Session {
        generation: TokenGeneration(2),
        ..there.clone()
    };
    let (lost, tokens) = client(&desk, there, again);
    let error = lost.limits().await.unwrap_err();
    assert!(matches!(error, SalesforceError::WrongHost(_)), "{error}");
    assert_eq!(
        (
            asked.load(Ordering::Relaxed),
            tokens.refreshes.load(Ordering::Relaxed)
        ),
        (3, 1)
    );
}

#[tokio::test]
async fn a_refresh_that_names_a_foreign_address_sends_no_token_there() {
    let desk = Desk::acme().await;
    let (old, _) = left_behind().await;
    let there = Session {
        instance_url: old,
        ..session(&desk, 1).await
    };
    let foreign = Session {
        instance_url: "https://salesforce.com.evil.test".parse().unwrap(),
        generation: TokenGeneration(2),
        ..there.clone()
    };
    let (moved, _) = client(&desk, there, foreign);
    let error = moved.limits().await.unwrap_err();
    assert!(matches!(error, SalesforceError::Host { .. }), "{error}");
}

#[tokio::test]
async fn soap_is_not_asked_with_a_token_of_jwt_shape_and_nothing_is_refreshed() {
    let desk = Desk::acme().await;
    let jwt = Session {
        access_token: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln".into(),
        ..session(&desk, 1).await
    };
    let (client, tokens) = client(&desk, jwt.clone(), jwt);
    let error = client
        .list_metadata(&[ListQuery::of("ApexClass")])
        .await
        .map(drop)
        .unwrap_err();
    assert_eq!(
        (code(&error), act(&error)),
        (FailureCode::JwtAccessToken, "permanent"),
        "{error}"
    );
    assert_eq!(
        (desk.seen(Call::List), tokens.refreshes.load(Ordering::Relaxed)),
        (0, 0)
    );
    assert_eq!(client.calls().count(CallKind::List), 0);
}
