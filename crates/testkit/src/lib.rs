//! What tests need of the real servers: a fresh database each, with the tables of this version, and an org to put there.
//!
//! The servers come from `make test` or `make deps-up`, by variables; without them a test fails and says so, because a
//! test that skips itself proves nothing.

pub mod history;
pub mod hostile;
pub mod proxy;
pub mod servers;
pub mod toys;

use std::time::Duration;

use futures::TryStreamExt;
use jiff::Timestamp;
use nightshift_domain::schedule::{Days, Schedule, Window};
use nightshift_store::{Grant, Keyring, Store, StoreSettings, orgs::NewOrg};
use sqlx::{Connection, Executor, PgConnection};
use uuid::Uuid;

use proxy::Proxy;

/// A key for what is encrypted at rest: 0, 1, 2, ... 31.
const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A database of its own on the tests' server. It goes with the server.
#[derive(Clone, Debug)]
pub struct TestDb {
    url: String,
}

impl TestDb {
    /// Creates one and applies the migrations.
    ///
    /// # Panics
    /// When the tests' server is not there.
    pub async fn fresh() -> Self {
        let server = variable("NIGHTSHIFT__DATABASE__URL");
        let name = format!("t_{}", Uuid::now_v7().simple());
        let mut connection = PgConnection::connect(&server)
            .await
            .expect("the tests' PostgreSQL answers");
        let create = format!("CREATE DATABASE {name}");
        connection
            .execute(sqlx::AssertSqlSafe(create))
            .await
            .expect("a database can be created");
        let (base, _) = server.rsplit_once('/').expect("the URL names a database");
        let database = Self {
            url: format!("{base}/{name}"),
        };
        database
            .store()
            .await
            .migrate()
            .await
            .expect("the migrations apply");
        database
    }

    /// One that another process made and gave the URL of.
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned() }
    }

    /// The same database behind a proxy.
    ///
    /// # Panics
    /// When the server has no address of numbers.
    pub async fn behind_proxy(&self) -> (Proxy, Self) {
        let (proxy, url) = Proxy::on_the_way(&self.url).await;
        (proxy, Self { url })
    }

    /// `postgres://...`
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The store on it.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn store(&self) -> Store {
        self.store_of(20).await
    }

    /// The same with at most so many connections.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn store_of(&self, max_connections: u32) -> Store {
        self.store_with(|settings| StoreSettings {
            max_connections,
            ..settings
        })
        .await
    }

    /// The same with the test's own settings.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn store_with(&self, set: impl FnOnce(StoreSettings) -> StoreSettings) -> Store {
        let settings = set(StoreSettings::new(self.url.as_str().into()));
        let keyring = Keyring::parse(&KEY.into()).expect("the key is one");
        Store::connect(&settings, keyring)
            .await
            .expect("the test's database answers")
    }

    /// A connection of the test's own.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.url)
            .await
            .expect("the test's database answers")
    }

    /// Moves the database's clock forward: of this database, in the middle of whatever runs on it.
    ///
    /// # Panics
    /// When the server is gone.
    pub async fn advance(&self, by: Duration) {
        let mut connection = self.connect().await;
        connection
            .execute(sqlx::raw_sql(include_str!("clock.sql")))
            .await
            .expect("the clock can be replaced");
        sqlx::query("UPDATE clock SET offset_seconds = offset_seconds + $1")
            .bind(by.as_secs_f64())
            .execute(&mut connection)
            .await
            .expect("the clock can be moved");
    }

    /// All rows of a table, in COPY's binary form.
    ///
    /// # Panics
    /// When there is no such table.
    pub async fn copy_out(&self, table: &str) -> Vec<u8> {
        let mut connection = self.connect().await;
        let rows = connection
            .copy_out_raw(&format!("COPY {table} TO STDOUT (FORMAT binary)"))
            .await
            .expect("the table can be read");
        let pieces: Vec<_> = rows.try_collect().await.expect("the rows come");
        pieces.concat()
    }

    /// Puts such rows into a table.
    ///
    /// # Panics
    /// When the table refuses them.
    pub async fn copy_in(&self, table: &str, rows: &[u8]) {
        let mut connection = self.connect().await;
        let mut copy = connection
            .copy_in_raw(&format!("COPY {table} FROM STDIN (FORMAT binary)"))
            .await
            .expect("the table takes rows");
        for piece in rows.chunks(128 << 10) {
            copy.send(piece).await.expect("the server takes a piece");
        }
        copy.finish().await.expect("the rows fit");
    }

    /// Empties a table.
    ///
    /// # Panics
    /// When there is no such table.
    pub async fn empty(&self, table: &str) {
        let truncate = format!("TRUNCATE {table}");
        self.connect()
            .await
            .execute(sqlx::AssertSqlSafe(truncate))
            .await
            .expect("the table can be emptied");
    }

    /// What the database is called on its server.
    pub fn name(&self) -> &str {
        self.url.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Runs statements that give nothing back.
    ///
    /// # Panics
    /// When the statements are no SQL.
    pub async fn run(&self, statements: &str) {
        self.connect()
            .await
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())))
            .await
            .expect("the statements are carried out");
    }

    /// Waits until nobody but the asker is inside a transaction.
    ///
    /// # Panics
    /// When somebody stays inside for ten seconds.
    pub async fn quiet(&self) {
        let mut connection = self.connect().await;
        for _ in 0..1_000 {
            let inside: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'",
            )
            .fetch_one(&mut connection)
            .await
            .expect("a number");
            if inside == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("somebody stays inside a transaction");
    }

    /// One number.
    ///
    /// # Panics
    /// When the question is no SQL or its answer no number.
    pub async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(&mut self.connect().await)
            .await
            .expect("a number")
    }

    /// One column of texts.
    ///
    /// # Panics
    /// When the question is no SQL or its answers no texts.
    pub async fn texts(&self, question: &'static str) -> Vec<String> {
        sqlx::query_scalar(question)
            .fetch_all(&mut self.connect().await)
            .await
            .expect("texts")
    }
}

/// The n-th org, with nights in Berlin and a slot at 23:00.
///
/// # Panics
/// Never: its parts are constants.
pub fn new_org(n: u32, connected_at: Timestamp) -> NewOrg {
    let (zone, slot) = ("Europe/Berlin".parse(), "23:00".parse());
    let schedule = Schedule::new(
        zone.expect("a zone"),
        Window::NIGHT,
        slot.expect("a minute"),
        Days::ALL,
    );
    let schedule = schedule.expect("the slot lies in the window");
    NewOrg {
        name: format!("org-{n}").parse().expect("a name"),
        organization_id: format!("00D{n:012}").parse().expect("15 characters"),
        login_url: "https://login.salesforce.com".into(),
        instance_url: "https://acme.my.salesforce.com".into(),
        client_id: "client".into(),
        client_secret: None,
        grant: Grant::RefreshToken("refresh".into()),
        rotates: false,
        access_token: "access".into(),
        is_sandbox: false,
        instance_name: None,
        edition: None,
        next_run: schedule
            .next_run(None, connected_at)
            .expect("there are nights")
            .slot,
        schedule,
        connected_at,
    }
}

/// A seed for a test that draws: `NIGHTSHIFT_SEED`, or a new one. It is printed, so that a failure can be repeated.
#[expect(clippy::disallowed_methods, reason = "a failure is repeated by a variable")]
pub fn seed() -> u64 {
    let given = std::env::var("NIGHTSHIFT_SEED").ok();
    let seed = given
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| Uuid::now_v7().as_u64_pair().1);
    eprintln!("NIGHTSHIFT_SEED={seed}");
    seed
}

/// A number that a long run gives by a variable, or what is usual.
///
/// # Panics
/// When the variable is no number.
#[expect(
    clippy::disallowed_methods,
    reason = "make names what is unusual by variables"
)]
pub fn given(name: &str, usual: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() {
        return usual;
    }
    text.parse()
        .unwrap_or_else(|_| panic!("{name} is no number: {text}"))
}

/// Whether this is a long run (`make soak`).
pub fn soaks() -> bool {
    given("NIGHTSHIFT_SOAK", 0) > 0
}

/// A port of this machine at which nobody listens.
///
/// # Panics
/// When there is none.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address").port()
}

/// A variable that `make test` sets.
///
/// # Panics
/// When it is not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the servers of tests are named by variables"
)]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; run the tests by `make test`, or after `make deps-up` and `set -a; . target/deps.env`")
    })
}
