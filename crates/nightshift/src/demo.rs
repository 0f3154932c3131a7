//! `nightshift demo`: two nights of twelve simulated orgs, from nothing, in one process.
//!
//! Every part is the one that production uses, but for the queue, which is inside of the process, and the clock of
//! slots, which is turned by hand: the night that passes would take a night. On the way a token is revoked, a batch
//! hangs, and a component cannot be served; the demo is over well when each of these ends as it should.

mod cast;
mod report;
mod stage;
mod watch;

use std::process::ExitCode;

use crate::{cli::DemoArgs, config::Settings, error::CommandError, output, processes::stop_signal};

use stage::Stage;

/// Runs the demo.
pub async fn run(settings: &Settings, args: &DemoArgs) -> Result<ExitCode, CommandError> {
    let stage = Stage::build(settings, args).await?;
    let nights = tokio::select! {
        nights = play(&stage) => nights,
        () = stop_signal() => Err(CommandError::Refused("the demo was stopped".into())),
    };
    let told = match nights {
        Ok(nights) => tell(&stage, args, &nights).await,
        Err(error) => Err(error),
    };
    if args.keep && told.is_ok() {
        eprintln!("\nit goes on running; Ctrl-C ends it");
        if let Err(error) = stage.tell_how_to_reach_it() {
            eprintln!("nightshift: {error}");
        }
        stop_signal().await;
    }
    stage.end().await;
    told
}

async fn play(stage: &Stage) -> Result<Vec<report::Night>, CommandError> {
    let cast = stage.connect().await?;
    let first = stage.first_night(&cast).await?;
    stage.evolve(&cast)?;
    let second = stage.second_night(&cast).await?;
    Ok(vec![first, second])
}

async fn tell(stage: &Stage, args: &DemoArgs, nights: &[report::Night]) -> Result<ExitCode, CommandError> {
    let cases = stage.store().cases().list(None).await?;
    if args.json {
        output::json(&report::document(nights, &cases));
    } else {
        report::print(nights, &cases);
    }
    let surprises = report::surprises(nights, &cases);
    for surprise in &surprises {
        eprintln!("nightshift: not as it should be: {surprise}");
    }
    Ok(if surprises.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
