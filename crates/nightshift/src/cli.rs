//! The command line: what can be said, and how it is spelt. What is done about it is in `commands`.
//!
//! Results go to stdout, talk to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage (clap's own).

mod org;
mod queue;

pub use org::{GrantArgs, OrgAddArgs, OrgCommand, OrgLoginArgs, OrgReauthenticateArgs, ScheduleArgs};
pub use queue::{DeedArgs, HandArgs, PauseArgs, PauseKind, QueueCommand, Which};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Syncs Salesforce orgs every night: retrieves their metadata, keeps a dictionary of it in PostgreSQL, and opens a
/// case for every failure.
#[derive(Parser, Debug)]
#[command(
    name = "nightshift",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// Configuration file; without it `nightshift.toml` here, if there is one
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, stronger than file and variables; may be given more than once
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.trim().to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text:?} has no '='; write it like jobs.lease_seconds=30"))
}

/// Subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Fire due orgs, take requests, announce jobs (run two for safety)
    Scheduler,
    /// Run the steps of syncs (run as many as you like)
    Worker(WorkerArgs),
    /// Everything in one process, with a private PostgreSQL of its own unless database.url is set
    Up(UpArgs),
    /// Show a whole night with simulated orgs, from nothing
    Demo(DemoArgs),
    /// Bring the database's tables to this version
    Migrate,
    /// A server that answers as Salesforce does
    Simulator(SimulatorArgs),
    /// Connect, show and schedule orgs
    #[command(subcommand)]
    Org(OrgCommand),
    /// Start a sync of an org now, or join the one that runs; `sync accept ORG` says yes to a held one
    Sync(SyncArgs),
    /// Read an org's dictionary
    #[command(subcommand)]
    Dictionary(DictionaryCommand),
    /// Read support cases
    #[command(subcommand)]
    Case(CaseCommand),
    /// Look at jobs and dead letters; release, fail, requeue and pause them
    #[command(subcommand)]
    Queue(QueueCommand),
    /// What nights have cost their orgs' API requests, by step and kind of call, the newest first
    Calls(CallsArgs),
    /// Show the configuration in force
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at everything a fleet needs; say what was seen, why it matters, what to do
    Doctor(DoctorArgs),
    /// Ask a process of this machine whether it is ready: exit 0, or 1 with what it waits for
    Ready(ReadyArgs),
}

/// `--json`.
#[derive(Args, Debug, Clone, Copy)]
pub struct Json {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// Try the way to Salesforce too
    #[arg(long)]
    pub online: bool,
    #[command(flatten)]
    pub json: Json,
}

/// `ready`.
#[derive(Args, Debug)]
pub struct ReadyArgs {
    /// Where the process listens (default: http.listen)
    #[arg(long, value_name = "HOST:PORT")]
    pub at: Option<String>,
}

/// `calls`.
#[derive(Args, Debug)]
pub struct CallsArgs {
    /// Of this org alone
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// Of this night alone: the local date of the slot, such as 2026-07-01
    #[arg(long, value_name = "DATE")]
    pub night: Option<jiff::civil::Date>,
    /// Lines at most
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(i64).range(1..=1_000_000))]
    pub limit: i64,
    #[command(flatten)]
    pub json: Json,
}

/// `worker`.
#[derive(Args, Debug)]
pub struct WorkerArgs {
    /// Classes to consume, comma-separated: control, poll, ingest (default: worker.classes)
    #[arg(long, value_delimiter = ',')]
    pub classes: Vec<nightshift_domain::Class>,
}

/// `up`.
#[derive(Args, Debug)]
pub struct UpArgs {
    /// Where the private PostgreSQL keeps its data (default: ~/.local/share/nightshift, or /var/lib/nightshift as root)
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

/// `demo`.
#[derive(Args, Debug)]
pub struct DemoArgs {
    /// Leave it running with its address printed, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Components of all orgs together
    #[arg(long, default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(1_200..=1_000_000))]
    pub components: u32,
    /// From which the simulated orgs are drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `simulator`.
#[derive(Args, Debug)]
pub struct SimulatorArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8700")]
    pub listen: std::net::SocketAddr,
    /// Speak TLS with this certificate (PEM, with its chain)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Serve the metadata of this folder (Metadata API format, or source format) as one org
    #[arg(long, value_name = "DIR")]
    pub org_from: Option<PathBuf>,
    /// The same org's folder of the night after, taken over by POST /_control/next
    #[arg(long, value_name = "DIR", requires = "org_from")]
    pub next: Option<PathBuf>,
    /// How many generated orgs
    #[arg(long, default_value_t = 0)]
    pub orgs: u32,
    /// Components of each generated org
    #[arg(long, default_value_t = 2_000)]
    pub size: u32,
    /// From which generated orgs are drawn
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Edition of the orgs: developer, professional, enterprise, unlimited or performance
    #[arg(long)]
    pub edition: Option<nightshift_simulator::Edition>,
    /// What generated orgs have beside the usual types, comma-separated: service, experience, cpq, revenue, omnistudio, field_service, agentforce
    #[arg(long, value_delimiter = ',')]
    pub clouds: Vec<nightshift_simulator::Cloud>,
    /// The orgs' own namespace
    #[arg(long)]
    pub namespace: Option<String>,
    /// Exchange the refresh token at each refresh
    #[arg(long)]
    pub rotate: bool,
    /// How many requests a day each org allows (default: its edition's)
    #[arg(long, value_name = "N")]
    pub daily_requests: Option<u64>,
    /// Take time as Salesforce does, so many times faster (default: as fast as it can)
    #[arg(long, value_parser = speed)]
    pub speed: Option<f64>,
    /// Faults to begin with (TOML; docs/simulator.md)
    #[arg(long, value_name = "FILE")]
    pub fault_plan: Option<PathBuf>,
}

/// A speed is a number above zero.
fn speed(word: &str) -> Result<f64, String> {
    match word.parse::<f64>() {
        Ok(speed) if speed > 0.0 && speed.is_finite() => Ok(speed),
        _ => Err("give a number above 0, such as 10".to_owned()),
    }
}

/// `sync`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SyncArgs {
    /// Our id, the name, or Salesforce's organization id
    #[arg(required = true)]
    pub name: Option<String>,
    /// Retrieve everything, not only what changed
    #[arg(long)]
    pub full: bool,
    /// Wait until it is over; exit 1 when it failed or is held
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    pub json: Json,
    /// More about syncs
    #[command(subcommand)]
    pub more: Option<SyncCommand>,
}

/// `sync ...`.
#[derive(Subcommand, Debug)]
pub enum SyncCommand {
    /// Say yes to a held revision
    Accept {
        /// Our id, the name, or Salesforce's organization id
        name: String,
        /// Wait until it is over
        #[arg(long)]
        wait: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Show one sync with its timeline
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        json: Json,
    },
}

/// `dictionary`.
#[derive(Subcommand, Debug)]
pub enum DictionaryCommand {
    /// One line for each component
    Export {
        /// Our id, the name, or Salesforce's organization id
        name: String,
        /// Of this revision (default: the current one)
        #[arg(long, value_name = "N")]
        revision: Option<i64>,
        /// How
        #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
        format: ExportFormat,
    },
    /// A component's file as stored, or a child's part of it
    Show {
        /// Our id, the name, or Salesforce's organization id
        name: String,
        /// Such as CustomField
        type_name: String,
        /// Such as Account.Region__c
        full_name: String,
        /// Another file of the component
        #[arg(long, value_name = "PATH")]
        file: Option<String>,
    },
    /// What differs between two revisions
    Diff {
        /// Our id, the name, or Salesforce's organization id
        name: String,
        /// The earlier
        from: i64,
        /// The later
        to: i64,
        #[command(flatten)]
        json: Json,
    },
}

/// How to export.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum ExportFormat {
    /// One JSON object a line
    Jsonl,
}

/// `case`.
#[derive(Subcommand, Debug)]
pub enum CaseCommand {
    /// Open cases first
    List {
        /// Of this org alone
        #[arg(long, value_name = "NAME")]
        org: Option<String>,
        #[command(flatten)]
        json: Json,
    },
    /// One case with evidence, steps and the customer's text
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        json: Json,
    },
}

/// `config`.
#[derive(Subcommand, Debug)]
pub enum ConfigCommand {
    /// All settings in force, secrets hidden
    Show(Json),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn add(more: &[&str]) -> Result<Cli, clap::Error> {
        let words = [
            "nightshift",
            "org",
            "add",
            "acme",
            "--login-url",
            "https://x",
            "--client-id",
            "i",
        ];
        Cli::try_parse_from(words.into_iter().chain(more.iter().copied()))
    }

    #[test]
    fn an_org_is_added_by_exactly_one_kind_of_grant() {
        assert!(add(&["--refresh-token-file", "f"]).is_ok());
        assert!(add(&["--jwt-key-file", "k", "--username", "u"]).is_ok());
        assert!(add(&["--client-credentials", "--client-secret-file", "s"]).is_ok());
        for wrong in [
            &[][..],
            &["--jwt-key-file", "k"],
            &["--username", "u"],
            &["--refresh-token-file", "f", "--client-credentials"],
            &["--refresh-token-file", "f", "--username", "u"],
        ] {
            assert!(add(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_org_may_be_called_as_one_likes_and_accept_is_a_command() {
        let cli = Cli::try_parse_from(["nightshift", "sync", "acme", "--wait", "--json"]).unwrap();
        assert!(
            matches!(cli.command, Command::Sync(SyncArgs { name: Some(name), wait: true, .. }) if name == "acme")
        );
        let cli = Cli::try_parse_from(["nightshift", "sync", "accept", "acme"]).unwrap();
        assert!(matches!(
            cli.command,
            Command::Sync(SyncArgs {
                more: Some(SyncCommand::Accept { .. }),
                ..
            })
        ));
        assert!(Cli::try_parse_from(["nightshift", "sync"]).is_err());
    }
}
