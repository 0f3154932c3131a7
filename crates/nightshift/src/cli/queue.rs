//! What can be said about jobs: look, and lay hands on them.

use clap::{Args, Subcommand, ValueEnum};
use nightshift_domain::{Class, FailureCode, JobState};

use super::Json;

/// `queue`.
#[derive(Subcommand, Debug)]
pub enum QueueCommand {
    /// Jobs, oldest due first, a count by class, and what is paused
    List {
        #[command(flatten)]
        which: Which,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: i64,
        #[command(flatten)]
        json: Json,
    },
    /// One job, and what people did to it; also of a job that is gone
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        json: Json,
    },
    /// Make jobs due at once, their counts as they are; a claimed one is freed without waiting for its lease
    Release(DeedArgs),
    /// Give jobs up: the sync of each fails with ended_by_hand; one without a sync is kept as dead, a dead one deleted
    Fail(DeedArgs),
    /// Make jobs due at once as if they had never been tried
    Requeue(DeedArgs),
    /// Dead letters; with --requeue, send them again to where they came from
    Dead {
        /// Send them again: says how many there are; with --yes, does it
        #[arg(long)]
        requeue: bool,
        #[command(flatten)]
        hand: HandArgs,
        #[command(flatten)]
        json: Json,
    },
    /// Announce and claim no jobs of a class, an org or a Salesforce instance; what runs ends
    Pause(PauseArgs),
    /// End such a pause
    Resume(PauseArgs),
}

/// Which jobs: those for which everything that is given holds.
#[derive(Args, Debug, Clone, Default)]
pub struct Which {
    /// Of this org
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
    /// Of this class: control, poll, ingest
    #[arg(long)]
    pub class: Option<Class>,
    /// Of this step: start, inventory, retrieve, poll, ingest, merge, finish
    #[arg(long, value_name = "STEP")]
    pub kind: Option<String>,
    /// Of all orgs of this Salesforce instance, such as EU42
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// In this state: due, claimed, dead
    #[arg(long)]
    pub state: Option<JobState>,
    /// That wait for this, such as instance_down
    #[arg(long, value_name = "WORD")]
    pub waiting_for: Option<String>,
    /// Whose last error had this code
    #[arg(long)]
    pub code: Option<FailureCode>,
    /// Due for at least so long, such as 10m or 2h
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<std::time::Duration>,
}

impl Which {
    /// Whether nothing is asked of a job: then it would be any.
    pub fn is_any(&self) -> bool {
        let Self {
            org,
            class,
            kind,
            instance,
            state,
            waiting_for,
            code,
            older_than,
        } = self;
        let texts = [org, kind, instance, waiting_for];
        texts.iter().all(|text| text.is_none())
            && class.is_none()
            && state.is_none()
            && code.is_none()
            && older_than.is_none()
    }
}

fn age(text: &str) -> Result<std::time::Duration, String> {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|age| age.try_into().ok())
        .ok_or_else(|| "an age is written like 90s, 10m or 2h".to_owned())
}

/// `queue release`, `fail`, `requeue`.
#[derive(Args, Debug)]
pub struct DeedArgs {
    /// A job's id; without it the filter says which
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    #[command(flatten)]
    pub which: Which,
    /// Any job at all: needed where neither id nor filter is given
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub hand: HandArgs,
    #[command(flatten)]
    pub json: Json,
}

/// Who, why, and whether for good.
#[derive(Args, Debug)]
pub struct HandArgs {
    /// Do it; without this it is only said what would be done
    #[arg(long, requires = "reason")]
    pub yes: bool,
    /// Why; kept with the deed
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Who (default: the user of this process at this machine); kept with the deed
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
}

/// `queue pause`, `resume`.
#[derive(Args, Debug)]
pub struct PauseArgs {
    /// What kind of thing
    #[arg(value_enum)]
    pub kind: PauseKind,
    /// Its name: a class, an org, a Salesforce instance such as EU42
    pub name: String,
    /// Why; kept with the deed
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who (default: the user of this process at this machine); kept with the deed
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
}

/// What can be paused.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum PauseKind {
    /// All jobs of a class
    Class,
    /// All jobs of an org, and its slots
    Org,
    /// All jobs of all orgs of an instance, and their slots
    Instance,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::{Cli, Command};

    use super::*;

    fn queue(words: &[&str]) -> Result<QueueCommand, clap::Error> {
        let cli = Cli::try_parse_from(["nightshift", "queue"].into_iter().chain(words.iter().copied()))?;
        match cli.command {
            Command::Queue(command) => Ok(command),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_done_for_good_without_a_reason() {
        for deed in ["release", "fail", "requeue"] {
            assert!(queue(&[deed, "--class", "poll"]).is_ok(), "a dry run needs none");
            assert!(queue(&[deed, "--class", "poll", "--yes"]).is_err());
            assert!(queue(&[deed, "--class", "poll", "--yes", "--reason", "why"]).is_ok());
        }
        assert!(queue(&["dead", "--requeue", "--yes"]).is_err());
        assert!(queue(&["pause", "class", "poll"]).is_err());
        assert!(queue(&["resume", "instance", "EU42", "--reason", "it is back"]).is_ok());
    }

    #[test]
    fn a_filter_without_a_wish_is_any_job() {
        let which = |words: &[&str]| match queue(words).unwrap() {
            QueueCommand::Release(args) => args.which.is_any(),
            other => panic!("{other:?}"),
        };
        assert!(which(&["release"]));
        for wish in [
            ["--org", "acme"],
            ["--class", "poll"],
            ["--kind", "ingest"],
            ["--instance", "EU42"],
            ["--state", "dead"],
            ["--waiting-for", "instance_down"],
            ["--code", "internal"],
            ["--older-than", "10m"],
        ] {
            assert!(!which(&["release", wish[0], wish[1]]), "{wish:?}");
        }
    }
}
