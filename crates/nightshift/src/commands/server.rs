//! `migrate` and `simulator`.

use std::process::ExitCode;

use nightshift_simulator::{OrgSpec, Simulator, SimulatorSettings, TlsFiles};
use serde_json::json;

use crate::{
    cli::SimulatorArgs, config::Settings, error::CommandError, output, processes::stop_signal, wiring,
};

/// Brings the database's tables to this version.
pub async fn migrate(settings: &Settings) -> Result<ExitCode, CommandError> {
    let store = wiring::store(settings).await?;
    let before = store.migration_state().await?;
    store.migrate().await?;
    let now = store.migration_state().await?;
    if before.applied == now.applied {
        eprintln!("nothing to do: the database has migration {}", now.applied);
    } else {
        eprintln!("migrated from {} to {}", before.applied, now.applied);
    }
    Ok(ExitCode::SUCCESS)
}

/// Serves simulated orgs until it is stopped; prints how to connect each as one JSON line.
pub async fn simulator(args: SimulatorArgs) -> Result<ExitCode, CommandError> {
    let settings = SimulatorSettings {
        listen: args.listen,
        seed: args.seed,
        tls: args
            .tls_certificate
            .zip(args.tls_key)
            .map(|(certificate, key)| TlsFiles { certificate, key }),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).await?;
    if let Some(folder) = args.org_from {
        simulator.add_org(OrgSpec::from_folder("folder", folder, args.next))?;
    }
    for n in 1..=args.orgs {
        simulator.add_org(OrgSpec::generated(
            &format!("org-{n}"),
            args.seed.wrapping_add(u64::from(n)),
            u64::from(args.size),
        ))?;
    }
    for access in simulator.orgs() {
        let mut line = json!(access);
        line["login_url"] = json!(simulator.base_url());
        output::json(&line);
    }
    eprintln!(
        "simulating Salesforce at {}; POST /_control/... orders faults; Ctrl-C ends it",
        simulator.base_url()
    );
    stop_signal().await;
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}
