//! The private broker and database, ended and started by the scripts of `tests/deps`.

use std::path::Path;

use nightshift_testkit::variable;

/// Which one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Server {
    Broker,
    Database,
}

/// Ends one and starts it again on the same port with what it had; `signal` is how, politely when there is none.
pub async fn restart(server: Server, signal: Option<&str>) {
    let (server, name) = match server {
        Server::Broker => ("rabbitmq", set()),
        Server::Database => ("postgres", set()),
    };
    let mut arguments = vec![server, &name];
    arguments.extend(signal);
    run("restart", &arguments).await;
}

/// Tells the broker something by `rabbitmqctl`; `wipe` takes all that it has.
pub async fn ctl(arguments: &[&str]) {
    let name = set();
    run("ctl", &[&[name.as_str()], arguments].concat()).await;
}

fn set() -> String {
    variable("NIGHTSHIFT_TEST_DEPS")
}

async fn run(script: &str, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/deps/{script}"));
    let output = tokio::process::Command::new(path)
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{script} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
