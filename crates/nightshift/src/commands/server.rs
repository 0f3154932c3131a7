//! `migrate`, `simulator`, and `ready`, which asks a process of this machine how it is.

use std::{process::ExitCode, time::Duration};

use nightshift_simulator::{
    FaultPlan, Latency, OrgLimits, OrgSpec, Rotation, Simulator, SimulatorSettings, TlsFiles,
};
use serde_json::json;

use crate::{
    cli::{ReadyArgs, SimulatorArgs},
    config::Settings,
    error::CommandError,
    output,
    processes::stop_signal,
    wiring,
};

/// How long a process may take to say how it is.
const READY_WITHIN: Duration = Duration::from_secs(3);

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

/// Asks `/readyz`: for a health check where there is neither a shell nor curl.
pub async fn ready(settings: &Settings, args: &ReadyArgs) -> Result<ExitCode, CommandError> {
    let at = match &args.at {
        Some(at) => at.clone(),
        None if settings.http.listen.is_empty() => {
            let message = "http.listen is empty: the process serves no health; give --at HOST:PORT";
            return Err(CommandError::Usage(message.to_owned()));
        }
        None => here(&settings.http.listen),
    };
    match nightshift_telemetry::ask_ready(&at, READY_WITHIN).await {
        Ok(answer) if answer.ready => {
            eprintln!("{}", answer.says);
            Ok(ExitCode::SUCCESS)
        }
        Ok(answer) => Err(CommandError::Refused(answer.says)),
        Err(source) => Err(CommandError::Io { place: at, source }),
    }
}

/// Where an address to listen at is reached from this machine.
fn here(listen: &str) -> String {
    match listen.parse::<std::net::SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() && address.is_ipv4() => {
            format!("127.0.0.1:{}", address.port())
        }
        Ok(address) if address.ip().is_unspecified() => format!("[::1]:{}", address.port()),
        _ => listen.to_owned(),
    }
}

/// The org with what the command line says about all of them.
fn as_asked(spec: OrgSpec, args: &SimulatorArgs) -> OrgSpec {
    let limits = args.daily_requests.map(|daily_requests| OrgLimits {
        daily_requests,
        ..OrgLimits::default()
    });
    OrgSpec {
        edition: args.edition,
        clouds: args.clouds.clone(),
        namespace: args.namespace.clone(),
        rotation: if args.rotate { Rotation::On } else { Rotation::Off },
        limits,
        ..spec
    }
}

/// Serves simulated orgs until it is stopped; prints how to connect each as one JSON line.
pub async fn simulator(args: SimulatorArgs) -> Result<ExitCode, CommandError> {
    let settings = SimulatorSettings {
        listen: args.listen,
        seed: args.seed,
        tls: args
            .tls_certificate
            .clone()
            .zip(args.tls_key.clone())
            .map(|(certificate, key)| TlsFiles { certificate, key }),
        latency: args.speed.map_or(Latency::None, |speed| Latency::Drawn { speed }),
        ..SimulatorSettings::default()
    };
    let simulator = Simulator::start(settings).await?;
    if let Some(folder) = &args.org_from {
        let spec = OrgSpec::from_folder("folder", folder, args.next.clone());
        simulator.add_org(as_asked(spec, &args))?;
    }
    for n in 1..=args.orgs {
        let seed = args.seed.wrapping_add(u64::from(n));
        let spec = OrgSpec::generated(&format!("org-{n}"), seed, u64::from(args.size));
        simulator.add_org(as_asked(spec, &args))?;
    }
    if let Some(file) = &args.fault_plan {
        simulator.plan(&FaultPlan::read(file)?)?;
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
