//! A token endpoint whose connection is cut at any byte: what was lost on the way is told from what never arrived.

use nightshift_connections::{Grant, NewConnection};
use nightshift_domain::{FailureCode, Verdict};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::{
    proxy::{Fault, Proxy, Way, When},
    seed,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::{
    desk::{Bare, Desk},
    refreshes::next_refresh,
};

const PLACES: usize = 12;

/// An org whose refresh tokens rotate, and whose token endpoint lies behind a proxy.
async fn behind_proxy() -> (Proxy, Desk) {
    let spec = OrgSpec::generated("acme", 1, 100).rotating().with_secret("app");
    let bare = Bare::new(spec).await;
    let proxy = Proxy::before(bare.simulator.addr()).await;
    let token = bare.access.refresh_token.clone();
    let connection = NewConnection {
        login_url: format!("http://{}", proxy.address()),
        ..bare.connection(Grant::RefreshToken(token.into()))
    };
    let desk = bare.through(connection).await;
    (proxy, desk)
}

#[tokio::test(flavor = "multi_thread")]
async fn b61_an_answer_cut_at_any_byte_after_a_rotation_is_told_as_lost() {
    let (proxy, desk) = behind_proxy().await;
    let before = proxy.carried(Way::ToClient);
    next_refresh(&desk).await.unwrap();
    let bytes = proxy.carried(Way::ToClient) - before;
    let mut rng = StdRng::seed_from_u64(seed());
    let drawn = (0..PLACES).map(|_| rng.random_range(1..bytes - 1));
    for place in [0, bytes - 1].into_iter().chain(drawn.collect::<Vec<_>>()) {
        let (proxy, desk) = behind_proxy().await;
        proxy.arm(Fault::CutAfter(Way::ToClient, place));
        let lost = next_refresh(&desk).await.unwrap_err();
        assert_eq!(lost.0, FailureCode::SalesforceUnreachable, "{place} of {bytes}");
        assert_eq!(proxy.cuts(), 1, "{place} of {bytes}");
        let told = next_refresh(&desk).await;
        assert_eq!(
            told,
            Err((FailureCode::TokenAnswerLost, Verdict::Reauthenticate)),
            "{place} of {bytes}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_whose_request_never_arrived_heals_by_the_next_one() {
    let (proxy, desk) = behind_proxy().await;
    let calls = desk.token_calls();
    proxy.arm(Fault::CutOn(Way::ToServer, b"POST ", When::Before));
    let lost = next_refresh(&desk).await.unwrap_err();
    assert_eq!(lost.0, FailureCode::SalesforceUnreachable);
    assert_eq!((proxy.cuts(), desk.token_calls()), (1, calls), "it was not seen");
    next_refresh(&desk).await.unwrap();
    assert!(desk.opens(desk.tokens().await).await);
}
