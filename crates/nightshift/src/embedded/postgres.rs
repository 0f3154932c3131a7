//! A private PostgreSQL cluster that this process starts and stops.
//!
//! PostgreSQL refuses to run as root, so a process started by root runs it as `nobody`, in a directory which that user
//! can enter. The server listens on a socket in that directory and on no network address, so it cannot be in anybody's
//! way; it dies with this process (PR_SET_PDEATHSIG by way of `setpriv`), and one that a killed process left behind
//! is stopped at the next start. The machine's own PostgreSQL service is never touched.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, chown},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Why there is no private cluster.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No binaries.
    #[error(
        "PostgreSQL's programs are not on this machine; on Debian: apt-get install postgresql (see README), else set database.url"
    )]
    NotInstalled,
    /// A program failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which.
        program: &'static str,
        /// Its last words.
        output: String,
    },
    /// The file system.
    #[error("{place}: {source}")]
    Io {
        /// Where.
        place: String,
        /// Why.
        source: io::Error,
    },
    /// It did not come up.
    #[error("the private PostgreSQL did not answer within {0} s; see {1}")]
    NotReady(u64, String),
}

/// The unprivileged account that root uses.
const NOBODY: u32 = 65_534;
/// How long a start may take.
const START_WITHIN: Duration = Duration::from_secs(60);

/// A running cluster; dropping it stops the server.
#[derive(Debug)]
pub struct PrivatePostgres {
    server: Child,
    directory: PathBuf,
    keep_data: Keep,
}

/// What is left when the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keep {
    /// The data stays for the next start.
    Data,
    /// The directory is removed.
    Nothing,
}

impl PrivatePostgres {
    /// Starts a cluster below `directory` (made if need be; its path must stay short, since a socket's ends at 107
    /// bytes).
    pub fn start(directory: &Path, keep_data: Keep) -> Result<Self, EmbeddedError> {
        let programs = programs().ok_or(EmbeddedError::NotInstalled)?;
        make_directory(directory)?;
        let data = directory.join("data");
        if !data.join("PG_VERSION").exists() {
            init(&programs, directory, &data)?;
        }
        stop_left_over(&data);
        let server = serve(&programs, directory, &data)?;
        let mut postgres = Self {
            server,
            directory: directory.to_owned(),
            keep_data,
        };
        postgres.wait_until_ready(&programs)?;
        Ok(postgres)
    }

    /// Where to connect.
    pub fn url(&self) -> String {
        let host = percent_encode(&self.directory.display().to_string());
        format!("postgres://nightshift@{host}/postgres")
    }

    fn wait_until_ready(&mut self, programs: &Path) -> Result<(), EmbeddedError> {
        let began = Instant::now();
        loop {
            let ready = Command::new(programs.join("pg_isready"))
                .args(["-q", "-h"])
                .arg(&self.directory)
                .status()
                .is_ok_and(|status| status.success());
            if ready {
                return Ok(());
            }
            let ended = self.server.try_wait().ok().flatten().is_some();
            if ended || began.elapsed() > START_WITHIN {
                let log = self.directory.join("postgres.log");
                return Err(EmbeddedError::NotReady(
                    began.elapsed().as_secs(),
                    log.display().to_string(),
                ));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn stop(&mut self) {
        // SIGINT: "fast" shutdown
        let _ = Command::new("kill")
            .args(["-INT", &self.server.id().to_string()])
            .status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if matches!(self.server.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.stop();
        if self.keep_data == Keep::Nothing {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// The folder of the newest installed version.
pub fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
            path.join("bin/initdb")
                .exists()
                .then_some((version, path.join("bin")))
        })
        .max()
        .map(|(_, path)| path)
        .or_else(on_path)
}

fn on_path() -> Option<PathBuf> {
    let output = Command::new("sh")
        .args(["-c", "command -v initdb"])
        .output()
        .ok()?;
    let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim().to_owned());
    path.parent()
        .filter(|folder| folder.join("postgres").exists())
        .map(Path::to_owned)
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0)
}

fn make_directory(directory: &Path) -> Result<(), EmbeddedError> {
    let io = |source| EmbeddedError::Io {
        place: directory.display().to_string(),
        source,
    };
    fs::create_dir_all(directory).map_err(io)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(io)?;
    if is_root() {
        chown(directory, Some(NOBODY), Some(NOBODY)).map_err(io)?;
    }
    Ok(())
}

/// A command that runs as the unprivileged account when we are root, with an environment of its own.
fn unprivileged(program: &Path, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .env("HOME", directory)
        .current_dir(directory)
        .stdin(Stdio::null());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn init(programs: &Path, directory: &Path, data: &Path) -> Result<(), EmbeddedError> {
    let output = unprivileged(&programs.join("initdb"), directory)
        .arg("-D")
        .arg(data)
        .args(["-U", "nightshift", "--auth-local=trust", "--auth-host=reject"])
        .args(["--encoding=UTF8", "--locale=C.UTF-8", "-N"])
        .output()
        .map_err(|source| EmbeddedError::Io {
            place: "initdb".into(),
            source,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr)
        .trim()
        .chars()
        .take(1_000)
        .collect();
    Err(EmbeddedError::Program {
        program: "initdb",
        output: words,
    })
}

fn serve(programs: &Path, directory: &Path, data: &Path) -> Result<Child, EmbeddedError> {
    let log = directory.join("postgres.log");
    let io = |place: &Path| {
        let place = place.display().to_string();
        move |source| EmbeddedError::Io { place, source }
    };
    let out = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log)
        .map_err(io(&log))?;
    let err = out.try_clone().map_err(io(&log))?;
    let settings = [
        "listen_addresses=".to_owned(),
        format!("unix_socket_directories={}", directory.display()),
        "max_connections=100".into(),
        "shared_buffers=256MB".into(),
        // up to 0.6 s of settled work may run again after a power loss; nothing breaks, because a step that runs twice writes the same
        "synchronous_commit=off".into(),
        "max_wal_size=2GB".into(),
        "checkpoint_timeout=15min".into(),
        "autovacuum_naptime=10s".into(),
        "idle_in_transaction_session_timeout=60s".into(),
        "client_connection_check_interval=5s".into(),
    ];
    let postgres = programs.join("postgres");
    // `setpriv --pdeathsig` asks the kernel to send SIGINT when this process dies, after the account is changed
    let mut command = unprivileged(Path::new("/usr/bin/setpriv"), directory);
    command
        .args(["--pdeathsig", "INT", "--"])
        .arg(&postgres)
        .arg("-D")
        .arg(data);
    for setting in settings {
        command.arg("-c").arg(setting);
    }
    command
        .stdout(out)
        .stderr(err)
        .process_group(0)
        .spawn()
        .map_err(io(&postgres))
}

/// A process that was killed may have left its server behind.
fn stop_left_over(data: &Path) {
    let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
        return;
    };
    let Some(pid) = text
        .lines()
        .next()
        .map(str::trim)
        .filter(|pid| pid.parse::<u32>().is_ok())
    else {
        return;
    };
    let is_postgres =
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres");
    if !is_postgres {
        return;
    }
    let _ = Command::new("kill").args(["-INT", pid]).status();
    let began = Instant::now();
    while Path::new(&format!("/proc/{pid}")).exists() && began.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn percent_encode(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}
