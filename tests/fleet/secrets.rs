//! Nothing that runs writes a secret down: every token that was ever given out is looked for in all that a run leaves.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Stdio,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use nightshift_simulator::OrgSpec;
use nightshift_testkit::variable;
use tokio::process::Command;

use crate::{harness::Fleet, needles::Needles, requests::publish_within};

/// What a fleet says to the broker: prints every job and event, as they come.
const TAP: &str = r##"
import os, sys, time, pika
connection = pika.BlockingConnection(pika.URLParameters(os.environ["NIGHTSHIFT__BROKER__URL"]))
while True:
    channel = connection.channel()
    try:
        queue = channel.queue_declare("", exclusive=True).method.queue
        for exchange in [".jobs", ".events"]:
            channel.queue_bind(queue, sys.argv[1] + exchange, "#")
        break
    except pika.exceptions.ChannelClosedByBroker:
        time.sleep(0.2)
print("listening", flush=True)
for method, properties, body in channel.consume(queue, auto_ack=True):
    print(method.routing_key, properties, body.decode(), flush=True)
"##;

/// `pg_dump` beside the newest server of this machine; a database of a newer server cannot be read by an older one.
fn pg_dump() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let programs = versions.filter_map(|entry| {
        let folder = entry.ok()?.path();
        let version: u32 = folder.file_name()?.to_str()?.parse().ok()?;
        Some((version, folder.join("bin/pg_dump")))
    });
    programs
        .filter(|(_, program)| program.exists())
        .max()
        .map_or_else(|| "pg_dump".into(), |(_, program)| program)
}

async fn dump(url: &str) -> String {
    let output = Command::new(pg_dump())
        .args(["--inserts", url])
        .output()
        .await
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    let dump = String::from_utf8(output.stdout).unwrap();
    assert!(
        dump.contains("INSERT INTO public.version "),
        "the dictionary is in it"
    );
    dump
}

/// The rows of connected orgs, in which their tokens stand encrypted.
fn org_rows(dump: &str) -> Vec<&str> {
    let rows = dump
        .lines()
        .filter(|line| line.starts_with("INSERT INTO public.org "));
    rows.inspect(|row| assert!(row.matches("'\\x").count() >= 2, "a row without tokens: {row}"))
        .collect()
}

/// The key's text and its bytes.
fn add_key(needles: &mut Needles, key: &str) {
    let (_, text) = key.split_once(':').unwrap();
    needles.add("the key's text", text.as_bytes());
    needles.add("the key", &BASE64_STANDARD.decode(text).unwrap());
}

fn assert_clean(needles: &Needles, texts: &[(String, Vec<u8>)]) {
    for (place, text) in texts {
        assert!(
            !text.is_empty(),
            "{place} is empty, so that nothing was looked at"
        );
        if let Some(found) = needles.found_in(text) {
            panic!("{found} stands in {place}");
        }
    }
}

/// What each of these commands says, on both of its outputs.
async fn answers(fleet: &Fleet, variables: &[(String, String)], commands: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut texts = Vec::new();
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let output = fleet.run_with(&words, variables).await;
        texts.push(((*command).to_owned(), [output.stdout, output.stderr].concat()));
    }
    texts
}

async fn cases(fleet: &Fleet, variables: &[(String, String)]) -> Vec<(String, Vec<u8>)> {
    let list = fleet
        .run_with(&["case", "list", "--json"], variables)
        .await
        .stdout;
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let mut texts = Vec::new();
    for case in list.as_array().unwrap() {
        let show = format!("case show {} --json", case["id"].as_str().unwrap());
        texts.extend(answers(fleet, variables, &[&show]).await);
    }
    assert!(!texts.is_empty(), "there is a case to look at");
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_logs_or_a_dump_of_the_database() {
    let fleet = Fleet::running(&[("TELEMETRY__LOG", "debug")]).await;
    let heard = fleet.folder.path().join("heard");
    let _tap = Command::new(variable("NIGHTSHIFT_TEST_PYTHON"))
        .args(["-c", TAP, &fleet.prefix])
        .stdout(std::fs::File::create(&heard).unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    fleet.says(&heard, "listening").await;
    fleet.connect(OrgSpec::generated("acme", 5, 200).rotating()).await;
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
    fleet.simulator.expire_sessions("acme").unwrap();
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
    fleet.simulator.revoke("acme").unwrap();
    assert_eq!(fleet.sync("acme").await["state"], "failed");
    publish_within(&fleet, None, &["{not json"]).await;
    fleet.says(&heard, "case.opened").await;

    let mut needles = Needles::default();
    let tokens = fleet.simulator.secrets("acme").unwrap();
    let access = tokens.iter().filter(|token| token.starts_with("00D")).count();
    assert!(
        access >= 2 && tokens.len() - access >= 3,
        "{access} of {}",
        tokens.len()
    );
    for token in &tokens {
        needles.add("a token", token.as_bytes());
    }
    add_key(&mut needles, &variable("NIGHTSHIFT__SECRETS__KEY"));
    let dump = dump(fleet.database.url()).await;
    assert_eq!(org_rows(&dump).len(), 1);
    let commands = [
        "queue list --json",
        "queue dead --json",
        "case list --json",
        "config show",
    ];
    let mut texts = answers(&fleet, &[], &commands).await;
    texts.extend(cases(&fleet, &[]).await);
    texts.push(("the dump".into(), dump.into_bytes()));
    texts.push(("messages".into(), std::fs::read(heard).unwrap()));
    for role in ["scheduler", "worker"] {
        texts.push((role.into(), std::fs::read(fleet.log(role)).unwrap()));
    }
    assert_clean(&needles, &texts);
}

/// The value that a file of variables gives.
fn value<'a>(variables: &'a [(String, String)], name: &str) -> &'a str {
    let found = variables.iter().find(|(key, _)| key == name);
    &found
        .unwrap_or_else(|| panic!("{name} is not in the demo's file"))
        .1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_demo_run_shows_no_secret_anywhere() {
    let mut fleet = Fleet::new(&[("TELEMETRY__LOG", "debug")]).await;
    let arguments = ["demo", "--components", "1200", "--keep", "--json"];
    let demo = fleet.begin(&arguments, &[]);
    let log = fleet.log("demo");
    let said = fleet.says(&log, "the simulator is at http://").await;
    let word_after = |words: &str| {
        let (_, rest) = said.split_once(words).unwrap();
        rest.split([';', '\n']).next().unwrap().trim().to_owned()
    };
    let file = word_after("set -a; . ");
    let variables: Vec<(String, String)> = std::fs::read_to_string(&file)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();

    let mut needles = Needles::default();
    let url = format!("{}/_control/secrets", word_after("the simulator is at "));
    let secrets: BTreeMap<String, Vec<String>> = reqwest::get(url).await.unwrap().json().await.unwrap();
    assert_eq!(secrets.len(), 12);
    for (org, secrets) in &secrets {
        let access = secrets.iter().filter(|secret| secret.starts_with("00D")).count();
        let refresh = secrets.iter().filter(|secret| secret.starts_with("5Aep")).count();
        assert_eq!(
            secrets.len() - access - refresh,
            1,
            "{org} has an app with a secret"
        );
        // connected, and refreshed in the second night; one org's token was revoked before that
        let nights = if org == "mumbai-textiles" { 1 } else { 2 };
        assert!(
            access >= nights && refresh > nights,
            "{org}: {access} and {refresh}"
        );
        for secret in secrets {
            needles.add(org, secret.as_bytes());
        }
    }
    add_key(&mut needles, value(&variables, "NIGHTSHIFT__SECRETS__KEY"));
    assert!(needles.len() > 12 * 5 * 8, "{} forms", needles.len());

    let dump = dump(value(&variables, "NIGHTSHIFT__DATABASE__URL")).await;
    let rows = org_rows(&dump);
    assert!(
        secrets
            .keys()
            .all(|org| rows.iter().any(|row| row.contains(org.as_str())))
    );
    let commands = [
        "queue list --json",
        "queue dead --json",
        "case list --json",
        "org list --json",
        "config show",
    ];
    let mut texts = answers(&fleet, &variables, &commands).await;
    texts.extend(cases(&fleet, &variables).await);
    texts.push(("the dump".into(), dump.into_bytes()));
    let server = Path::new(&file).with_file_name("postgres.log");
    texts.push(("the server's log".into(), std::fs::read(server).unwrap()));
    fleet.signal(demo, "TERM").await;
    assert!(fleet.process(demo).wait().await.unwrap().success());
    assert!(!Path::new(&file).exists(), "the file goes with the demo");
    let log = std::fs::read(log).unwrap();
    for kind in ["\"DEBUG\"", "\"nights\""] {
        let there = String::from_utf8_lossy(&log).contains(kind);
        assert!(there, "stdout and stderr lack {kind}");
    }
    texts.push(("stdout and stderr".into(), log));
    assert_clean(&needles, &texts);
}
