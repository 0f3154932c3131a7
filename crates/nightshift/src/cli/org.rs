//! What can be said about orgs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Json;

/// `org`.
#[derive(Subcommand, Debug)]
pub enum OrgCommand {
    /// Connect an org, and start its first sync
    Add(OrgAddArgs),
    /// Connect an org by logging in with a browser; an org that is there is connected anew
    Login(OrgLoginArgs),
    /// All orgs
    List(Json),
    /// One org
    Show {
        /// Our id, the name, or Salesforce's organization id
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Change when it is synced
    Schedule(ScheduleArgs),
    /// Fire no slots until resumed; a sync by hand runs all the same (to stop its jobs too: queue pause org)
    Pause {
        /// Our id, the name, or Salesforce's organization id
        name: String,
    },
    /// Fire slots again
    Resume {
        /// Our id, the name, or Salesforce's organization id
        name: String,
    },
    /// Give an org a new refresh token, key or client secret
    Reauthenticate(OrgReauthenticateArgs),
    /// Give an org's token back to Salesforce, forget its secrets and sync it no more; its dictionary stays
    Disconnect {
        /// Our id, the name, or Salesforce's organization id
        name: String,
        /// Yes, do it
        #[arg(long)]
        yes: bool,
    },
}

/// By what an org gives tokens: one of three.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub struct GrantArgs {
    /// File that holds the refresh token
    #[arg(long, value_name = "FILE", conflicts_with_all = ["jwt_key_file", "client_credentials", "username", "audience"])]
    pub refresh_token_file: Option<PathBuf>,
    /// JWT bearer flow: file that holds the app's private key (RSA, PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "username",
        conflicts_with = "client_credentials"
    )]
    pub jwt_key_file: Option<PathBuf>,
    /// JWT bearer flow: the user that the key signs for
    #[arg(long, value_name = "USER", requires = "jwt_key_file")]
    pub username: Option<String>,
    /// JWT bearer flow: to whom it is addressed (default: the login host of production or of sandboxes)
    #[arg(long, value_name = "URL", requires = "jwt_key_file")]
    pub audience: Option<String>,
    /// Client credentials flow: the app's secret is enough; at the org's My Domain alone
    #[arg(long, conflicts_with_all = ["username", "audience"])]
    pub client_credentials: bool,
}

/// `org add`.
#[derive(Args, Debug)]
pub struct OrgAddArgs {
    /// What you call it: 1 to 100 characters
    pub name: String,
    /// Where it logs in, such as https://login.salesforce.com or its My Domain
    #[arg(long, value_name = "URL")]
    pub login_url: String,
    /// The connected app's client id
    #[arg(long, value_name = "ID")]
    pub client_id: String,
    /// File that holds the app's client secret, if it has one
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub grant: GrantArgs,
    #[command(flatten)]
    pub new: NewOrgArgs,
    #[command(flatten)]
    pub json: Json,
}

/// What is said of an org that is connected for the first time, by whichever grant.
#[derive(Args, Debug)]
pub struct NewOrgArgs {
    /// IANA zone of its nights (default: the org's own)
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// It is a sandbox
    #[arg(long)]
    pub sandbox: bool,
    /// Do not start the first sync now
    #[arg(long)]
    pub no_sync: bool,
}

/// `org login`.
#[derive(Args, Debug)]
pub struct OrgLoginArgs {
    /// What you call it; an org of this name is connected anew, through its own app
    pub name: String,
    /// Where a new org logs in, such as https://login.salesforce.com or its My Domain
    #[arg(long, value_name = "URL", requires = "client_id")]
    pub login_url: Option<String>,
    /// The app's client id, for a new org
    #[arg(long, value_name = "ID", requires = "login_url")]
    pub client_id: Option<String>,
    /// File that holds the app's client secret, if it has one
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    /// Port of this machine at which the browser comes back; the app's callback URL is
    /// http://localhost:PORT/OauthRedirect
    #[arg(long, value_name = "PORT", default_value_t = 1717)]
    pub callback_port: u16,
    /// How long to wait for the browser, in seconds
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    #[command(flatten)]
    pub new: NewOrgArgs,
    #[command(flatten)]
    pub json: Json,
}

/// `org reauthenticate`.
#[derive(Args, Debug)]
pub struct OrgReauthenticateArgs {
    /// Our id, the name, or Salesforce's organization id
    pub name: String,
    /// File that holds the app's client secret, when it is another one than before
    #[arg(long, value_name = "FILE")]
    pub client_secret_file: Option<PathBuf>,
    #[command(flatten)]
    pub grant: GrantArgs,
    #[command(flatten)]
    pub json: Json,
}

/// `org schedule`.
#[derive(Args, Debug)]
pub struct ScheduleArgs {
    /// Our id, the name, or Salesforce's organization id
    pub name: String,
    /// Part of the local day, such as 21:00-06:00
    #[arg(long)]
    pub window: Option<String>,
    /// A fixed local time inside the window, such as 23:40
    #[arg(long, conflicts_with = "random")]
    pub at: Option<String>,
    /// Draw a new random minute of the window
    #[arg(long)]
    pub random: bool,
    /// Weekdays on which nights begin: mon,tue,... or all
    #[arg(long)]
    pub days: Option<String>,
    /// IANA zone
    #[arg(long)]
    pub time_zone: Option<String>,
    #[command(flatten)]
    pub json: Json,
}
