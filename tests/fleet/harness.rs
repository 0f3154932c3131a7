//! Starts and drives one fleet: processes, command line, simulator.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use nightshift_simulator::{OrgSpec, Simulator, SimulatorSettings};
use nightshift_testkit::{TestDb, variable};
use serde_json::Value;
use tokio::process::{Child, Command};

/// One fleet; its processes end with it.
pub struct Fleet {
    pub database: TestDb,
    pub simulator: Simulator,
    pub prefix: String,
    pub folder: tempfile::TempDir,
    variables: Vec<(String, String)>,
    processes: Vec<Child>,
}

/// The small real org of two nights.
pub fn small_org() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/small-org")
}

impl Fleet {
    /// A migrated database, whose history is written, and a simulator; no process runs yet.
    pub async fn new(settings: &[(&str, &str)]) -> Self {
        let fleet = Self::beside(SimulatorSettings::default(), settings).await;
        fleet.database.record().await;
        fleet
    }

    /// The same, with a simulator of these settings and without a history.
    pub async fn beside(simulator: SimulatorSettings, settings: &[(&str, &str)]) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let database = TestDb::fresh().await;
        let simulator = Simulator::start(simulator).await.unwrap();
        let prefix = format!("t{}", uuid::Uuid::now_v7().simple());
        let folder = tempfile::tempdir().unwrap();
        let own = [
            ("DATABASE__URL", database.url()),
            ("BROKER__URL", &variable("NIGHTSHIFT__BROKER__URL")),
            ("BROKER__PREFIX", &prefix),
            ("SECRETS__KEY", &variable("NIGHTSHIFT__SECRETS__KEY")),
            ("SALESFORCE__ALLOWED_HOSTS", "127.0.0.1,localhost"),
            ("JOBS__SWEEP_MILLIS", "100"),
            ("JOBS__BACKOFF_INITIAL_SECONDS", "1"),
            ("JOBS__REANNOUNCE_SECONDS", "2"),
            ("SYNC__POLL_FIRST_MILLIS", "100"),
            ("SYNC__POLL_MAX_SECONDS", "1"),
        ];
        let variables = own.iter().chain(settings);
        let variables = variables
            .map(|(key, value)| (format!("NIGHTSHIFT__{key}"), (*value).to_owned()))
            .collect();
        Self {
            database,
            simulator,
            prefix,
            folder,
            variables,
            processes: Vec::new(),
        }
    }

    /// With a scheduler and a worker.
    pub async fn running(settings: &[(&str, &str)]) -> Self {
        let mut fleet = Self::new(settings).await;
        fleet.start("scheduler", &[]);
        fleet.start("worker", &[]);
        fleet
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_nightshift"), arguments)
    }

    fn command_of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .kill_on_drop(true);
        command
            .env("PATH", "/usr/bin:/bin")
            .envs(self.variables.clone())
            .stdin(Stdio::null());
        command
    }

    /// Starts a process with some variables more, such as a point of crate `fail` at which it dies; gives its number.
    pub fn start(&mut self, role: &str, variables: &[(&str, &str)]) -> usize {
        self.begin(&[role], variables)
    }

    /// Starts a command that goes on by itself, with some variables more; its log is called as its first word.
    pub fn begin(&mut self, arguments: &[&str], variables: &[(&str, &str)]) -> usize {
        let command = self.command(arguments);
        self.goes_on(command, arguments[0], variables)
    }

    /// The same of another build of the program.
    pub fn start_of(&mut self, program: &str, role: &str) -> usize {
        let command = self.command_of(program, &[role]);
        self.goes_on(command, role, &[])
    }

    fn goes_on(&mut self, mut command: Command, name: &str, variables: &[(&str, &str)]) -> usize {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log(name))
            .unwrap();
        command
            .envs(variables.iter().copied())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.processes.push(command.spawn().unwrap());
        self.processes.len() - 1
    }

    /// What processes of a role wrote.
    pub fn log(&self, role: &str) -> PathBuf {
        self.folder.path().join(format!("{role}.log"))
    }

    /// The process of a number.
    pub fn process(&mut self, n: usize) -> &mut Child {
        &mut self.processes[n]
    }

    /// Sends a signal, such as `TERM`.
    pub async fn signal(&self, n: usize, name: &str) {
        let pid = self.processes[n].id().unwrap().to_string();
        let kill = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(kill.await.unwrap().success());
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, &[]).await
    }

    /// The same with some variables more.
    pub async fn run_with(&self, arguments: &[&str], variables: &[(String, String)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(variables.iter().cloned()).output().await.unwrap()
    }

    /// Waits until a file that grows says these words, and gives what it says by then.
    pub async fn says(&self, file: &Path, words: &str) -> String {
        for _ in 0..900 {
            let text = String::from_utf8_lossy(&std::fs::read(file).unwrap_or_default()).into_owned();
            if text.contains(words) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let end: String = text
            .chars()
            .rev()
            .take(2_000)
            .collect::<Vec<_>>()
            .iter()
            .rev()
            .collect();
        panic!("{} never says {words:?}; it ends with: {end}", file.display());
    }

    /// Waits until what `org show` gives is as wanted.
    pub async fn org_is(&self, org: &str, wanted: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut document = Value::Null;
        for _ in 0..150 {
            document = self.json(&["org", "show", org, "--json"]).await;
            if is(&document) {
                return document;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let syncs = "SELECT concat_ws(' ', door, state, failure_code, failure_message) FROM sync ORDER BY admitted_at";
        let syncs = self.database.texts(syncs).await;
        panic!("org {org} is never {wanted}: {document}; syncs: {syncs:?}");
    }

    /// Gives the org the slot 22:00 of its own zone, and moves the database's clock to where it has come.
    pub async fn slot_comes(&self, org: &str) {
        let saved = self
            .json(&["org", "schedule", org, "--at", "22:00", "--json"])
            .await;
        let next: jiff::Timestamp = saved["next_run"].as_str().unwrap().parse().unwrap();
        let left = next.duration_since(self.database.store().await.now().await.unwrap());
        self.database
            .advance(Duration::try_from(left).unwrap() + Duration::from_secs(1))
            .await;
    }

    /// Runs a command that must end well, and reads its document.
    pub async fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(arguments).await;
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Adds an org to the simulator and connects it, without a sync.
    pub async fn connect(&self, spec: OrgSpec) -> Value {
        let access = self.simulator.add_org(spec).unwrap();
        let token = self.folder.path().join(format!("{}.token", access.name));
        std::fs::write(&token, &access.refresh_token).unwrap();
        let (url, token) = (self.simulator.base_url(), token.display().to_string());
        let add = [
            "org",
            "add",
            &access.name,
            "--login-url",
            &url,
            "--client-id",
            &access.client_id,
        ];
        self.json(&[&add[..], &["--refresh-token-file", &token, "--no-sync", "--json"]].concat())
            .await
    }

    /// Connects the small real org as `quiet` and syncs it undisturbed: what a disturbed night of it must come out as.
    pub async fn quiet_night(&self) -> Vec<String> {
        self.connect(OrgSpec::from_folder("quiet", small_org().join("night-1"), None))
            .await;
        assert_eq!(self.sync("quiet").await["state"], "succeeded");
        contents(&self.export("quiet").await)
    }

    /// Syncs and waits; the document, whatever came of it.
    pub async fn sync(&self, org: &str) -> Value {
        let output = self.run(&["sync", org, "--wait", "--json"]).await;
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("sync {org}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// The dictionary as lines, sorted as it is exported.
    pub async fn export(&self, org: &str) -> Vec<Value> {
        let output = self
            .run(&["dictionary", "export", org, "--format", "jsonl"])
            .await;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The contents of a dictionary without what differs from org to org.
pub fn contents(export: &[Value]) -> Vec<String> {
    export
        .iter()
        .map(|line| format!("{} {} {}", line["type"], line["full_name"], line["content_hash"]))
        .collect()
}
