//! The `nightshift` program: reads the command line and the configuration, wires the crates, runs one command.
//!
//! Results go to stdout and talk to stderr; exit 0 done, 1 failed, 2 wrong usage. It alone reads files, variables and
//! the clock of the machine.

mod cli;
mod commands;
mod demo;
mod embedded;
mod error;
mod output;
mod processes;
mod wiring;

use std::process::ExitCode;

use clap::Parser;
use nightshift::config;

use crate::{
    cli::{Cli, Command, ConfigCommand},
    config::{Settings, Sources, load},
    error::CommandError,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let scenario = fail::has_failpoints().then(fail::FailScenario::setup);
    let code = match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("nightshift: {}", error.chain());
            error.exit_code()
        }
    };
    drop(scenario);
    code
}

fn run(cli: Cli) -> Result<ExitCode, CommandError> {
    let settings = load(&Sources {
        file: cli.config,
        variables: variables(),
        flags: cli.set,
    })?;
    // one TLS for all: with a second provider in the tree rustls would not choose by itself
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?
        .block_on(dispatch(cli.command, settings))
}

fn variables() -> Vec<(String, String)> {
    std::env::vars().collect()
}

async fn dispatch(command: Command, settings: Settings) -> Result<ExitCode, CommandError> {
    match command {
        Command::Scheduler => processes::scheduler(&settings).await,
        Command::Worker(args) => processes::worker(&settings, &args.classes).await,
        Command::Up(args) => processes::up(&settings, args.data).await,
        Command::Demo(args) => demo::run(&settings, &args).await,
        Command::Migrate => commands::migrate(&settings).await,
        Command::Simulator(args) => commands::simulator(args).await,
        Command::Org(command) => commands::org(&settings, command).await,
        Command::Sync(args) => commands::sync(&settings, args).await,
        Command::Dictionary(command) => commands::dictionary(&settings, command).await,
        Command::Case(command) => commands::case(&settings, command).await,
        Command::Queue(command) => commands::queue(&settings, command).await,
        Command::Calls(args) => commands::calls(&settings, args).await,
        Command::Config(ConfigCommand::Show(json)) => Ok(commands::config_show(&settings, json)),
        Command::Doctor(args) => commands::doctor(&settings, &args).await,
        Command::Ready(args) => commands::ready(&settings, &args).await,
    }
}
