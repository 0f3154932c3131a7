//! What an org's nights cost in API calls: the first, a quiet one, and those on which a share of the org changed.

use nightshift_simulator::OrgSpec;

use crate::night::{Kind, Night, Site};

/// What the product that this one is measured against publishes for a moderately complex org.
const ELEMENTS: (u64, u64) = (16_000, 1_600);

/// Nights of one org, by what happened before each.
#[allow(clippy::print_stdout, reason = "see main.rs")]
pub async fn cost(size: u64) {
    let mut site = Site::with(OrgSpec::generated("org", 11, size)).await;
    let first = site.night(Kind::Incremental).await;
    let quiet = site.night(Kind::Incremental).await;
    let mut changed = Vec::new();
    for share in [0.001, 0.01] {
        site.fleet.simulator.evolve("org", share).unwrap();
        changed.push((share, site.night(Kind::Incremental).await));
    }
    println!("  {size} components, calls of a night:");
    line("first", &first);
    line("quiet", &quiet);
    for (share, night) in &changed {
        line(&format!("{} % changed", share * 100.0), night);
    }
    println!(
        "    beside Elements' {} and {}: {:.1} % and {:.1} % (must 10 % at 20,000)",
        ELEMENTS.0,
        ELEMENTS.1,
        percent(&first, ELEMENTS.0),
        percent(&quiet, ELEMENTS.1),
    );
}

fn percent(night: &Night, of: u64) -> f64 {
    100.0 * total(night) as f64 / of as f64
}

fn total(night: &Night) -> u64 {
    night.calls.values().sum()
}

#[allow(clippy::print_stdout, reason = "see main.rs")]
fn line(what: &str, night: &Night) {
    println!(
        "    {what:14} {:5} ({}); asked {}",
        total(night),
        crate::calls(night),
        night.asked
    );
}
