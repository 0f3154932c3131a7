//! What the scaler asks the database, as `deploy` has it: work in progress is work.

use nightshift_testkit::toys::{Toys, done, job};

use crate::harness::small_org;

/// The questions of the scaler about a class, in order: how much work there is, how old the oldest due is.
fn questions(class: &str) -> Vec<&'static str> {
    let file = small_org().join("../../../deploy/kubernetes/components/keda/scaled-objects.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let queries = text.split("query: >-").skip(1);
    let queries = queries.map(|query| query.split("authenticationRef").next().unwrap());
    let of_class = queries.filter(|query| query.contains(&format!("class = '{class}'")));
    of_class.map(|query| &*query.to_owned().leak()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn b117_the_scaler_counts_work_in_progress() {
    let toys = Toys::new().await;
    toys.admit().await;
    let start = toys.claim_next().await;
    let eight = done((0..8).map(|_| job("toy")).collect());
    toys.store.jobs().settle(start.claim, eight).await.unwrap();
    let [work, oldest] = questions("control")[..] else {
        panic!("the scaler asks two questions about a class");
    };
    assert_eq!(toys.database.count(work).await, 8);
    // nothing is ready, all of it is in work: nobody may be taken away
    let mut claims = Vec::new();
    for job in toys.jobs().await {
        claims.push(toys.claim(job.id).await.unwrap());
    }
    assert_eq!(toys.database.count(work).await, 8);
    assert_eq!(toys.database.count(oldest).await, 0, "and nobody waits");
    // those whose worker was taken away all the same are work still, and go on elsewhere
    toys.leases_run_out().await;
    assert_eq!(toys.database.count(work).await, 8);
    drop(claims);
    for job in toys.jobs().await {
        let claimed = toys.claim(job.id).await.unwrap();
        assert_eq!(claimed.claim.fence().0, 2, "the second run is the last");
        toys.store
            .jobs()
            .settle(claimed.claim, done(vec![]))
            .await
            .unwrap();
    }
    assert_eq!(toys.database.count(work).await, 0);
    toys.database.history_holds().await;
}
