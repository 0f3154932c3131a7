//! Connecting by a browser, by the app's key and by its secret, and disconnecting, as people do it at the command line.

use nightshift_simulator::{Call, Fault, FaultKind, OrgSpec, SimulatorSettings, TlsFiles};
use nightshift_testkit::free_port;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::harness::{Fleet, small_org};

/// A browser that follows where it is sent.
fn browser() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().unwrap()
}

struct Login {
    process: usize,
    /// Printed for the person to open.
    address: String,
    callback: String,
}

/// Begins `org login` and waits until it has printed its address.
async fn begin(fleet: &mut Fleet, more: &[&str]) -> Login {
    let port = free_port().to_string();
    let words = [
        &["org", "login", "acme", "--callback-port", &port, "--no-sync"],
        more,
    ]
    .concat();
    let _ = std::fs::remove_file(fleet.log("org"));
    let process = fleet.begin(&words, &[]);
    let said = fleet.says(&fleet.log("org"), "code_challenge_method=S256").await;
    let address = said
        .lines()
        .find(|line| line.starts_with("http"))
        .unwrap()
        .to_owned();
    Login {
        process,
        address,
        callback: format!("http://localhost:{port}/OauthRedirect"),
    }
}

/// How it ended, and what it said.
async fn ended(fleet: &mut Fleet, login: &Login) -> (bool, String) {
    let status = fleet.process(login.process).wait().await.unwrap();
    (
        status.success(),
        std::fs::read_to_string(fleet.log("org")).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_connects_an_org_with_a_browser_and_connects_it_anew_the_same_way() {
    let mut fleet = Fleet::running(&[]).await;
    let spec = OrgSpec::from_folder("acme", small_org().join("night-1"), None);
    let access = fleet.simulator.add_org(spec).unwrap();
    let url = fleet.simulator.base_url();
    let new = ["--login-url", &url, "--client-id", &access.client_id];
    let login = begin(&mut fleet, &new).await;
    let page = browser().get(&login.address).send().await.unwrap();
    assert!(page.status().is_success());
    assert!(page.text().await.unwrap().contains("You may close this page"));
    let (good, said) = ended(&mut fleet, &login).await;
    assert!(good && said.contains("connected acme"), "{said}");
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");

    fleet.simulator.revoke("acme").unwrap();
    assert_eq!(fleet.sync("acme").await["failure"]["code"], "token_revoked");
    let again = begin(&mut fleet, &[]).await;
    browser().get(&again.address).send().await.unwrap();
    let (good, said) = ended(&mut fleet, &again).await;
    assert!(good && said.contains("connected again"), "{said}");
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
    for secret in fleet.simulator.secrets("acme").unwrap() {
        assert!(!said.contains(&secret), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_brings_nothing_says_why_and_stores_nothing() {
    let mut fleet = Fleet::new(&[]).await;
    let access = fleet
        .simulator
        .add_org(OrgSpec::generated("acme", 1, 100))
        .unwrap();
    let url = fleet.simulator.base_url();
    let new = ["--login-url", &url, "--client-id", &access.client_id];

    let forged = begin(&mut fleet, &new).await;
    let answer = format!("{}?code=x&state=forged", forged.callback);
    browser().get(answer).send().await.unwrap();
    let (good, said) = ended(&mut fleet, &forged).await;
    assert!(!good && said.contains("another state than this login"), "{said}");

    let no = Fault::new(FaultKind::OauthError).saying("access_denied", "end-user denied authorization");
    fleet
        .simulator
        .fault("acme", no.on(&[Call::Authorize]).times(1))
        .unwrap();
    let denied = begin(&mut fleet, &new).await;
    browser().get(&denied.address).send().await.unwrap();
    let (good, said) = ended(&mut fleet, &denied).await;
    assert!(
        !good && said.contains("the login was denied: end-user denied authorization"),
        "{said}"
    );

    let alone = begin(&mut fleet, &[&new[..], &["--timeout", "1"]].concat()).await;
    let (good, said) = ended(&mut fleet, &alone).await;
    assert!(
        !good && said.contains("nobody came back from Salesforce within 1 s"),
        "{said}"
    );
    assert!(said.contains(&alone.callback), "{said}");

    let nameless = fleet.run(&["org", "login", "acme", "--callback-port", "0"]).await;
    assert_eq!(nameless.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nameless.stderr).contains("--login-url and --client-id"));
    assert_eq!(fleet.database.count("SELECT count(*) FROM org").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_of_the_apps_key_is_synced_disconnected_and_connected_by_the_apps_secret() {
    let fleet = Fleet::running(&[]).await;
    let spec = OrgSpec::from_folder("acme", small_org().join("night-1"), None).with_secret("s3cret");
    let access = fleet.simulator.add_org(spec).unwrap();
    let file = |name: &str, text: &str| {
        let path = fleet.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let pair = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    fleet
        .simulator
        .register_key("acme", &pair.public_key_pem())
        .unwrap();
    let (key, secret) = (
        file("app.key", &pair.serialize_pem()),
        file("app.secret", "s3cret\n"),
    );
    let url = fleet.simulator.base_url();
    let add = [
        "org",
        "add",
        "acme",
        "--no-sync",
        "--json",
        "--login-url",
        &url,
        "--client-id",
        &access.client_id,
    ];
    let by_key = ["--jwt-key-file", &key, "--username", &access.username];
    fleet.json(&[&add[..], &by_key].concat()).await;
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");

    let unsaid = fleet.run(&["org", "disconnect", "acme"]).await;
    assert_eq!(unsaid.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unsaid.stderr).contains("--yes"));
    let said = fleet.run(&["org", "disconnect", "acme", "--yes"]).await;
    let words = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        said.status.success() && words.contains("has taken its token back"),
        "{words}"
    );
    assert_eq!(fleet.sync("acme").await["failure"]["code"], "org_disconnected");
    let resumed = fleet.run(&["org", "resume", "acme"]).await;
    assert!(!resumed.status.success());
    let shown = fleet.json(&["org", "show", "acme", "--json"]).await;
    assert!(
        shown["disconnected_at"].is_string() && shown["revision"] == 1,
        "{shown}"
    );

    let renew = ["org", "reauthenticate", "acme", "--client-credentials"];
    let unproven = fleet.run(&renew).await;
    assert!(
        !unproven.status.success(),
        "the secret was forgotten with the rest"
    );
    let renewed = fleet
        .run(&[&renew[..], &["--client-secret-file", &secret]].concat())
        .await;
    let words = String::from_utf8_lossy(&renewed.stderr).into_owned();
    assert!(
        renewed.status.success() && words.contains("org resume acme"),
        "{words}"
    );
    assert!(fleet.run(&["org", "resume", "acme"]).await.status.success());
    assert_eq!(fleet.sync("acme").await["state"], "succeeded");
}

/// Writes a certificate for 127.0.0.1 with its key; gives the one of the authority that signed it.
fn made_certificate(files: &TlsFiles) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    std::fs::write(&files.certificate, certificate.pem()).unwrap();
    std::fs::write(&files.key, key.serialize_pem()).unwrap();
    authority.pem()
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_tries_the_way_to_salesforce_and_tells_our_network_from_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles {
        certificate: folder.path().join("certificate.pem"),
        key: folder.path().join("key.pem"),
    };
    let authority = made_certificate(&files);
    let trusted = folder.path().join("authority.pem");
    std::fs::write(&trusted, authority).unwrap();
    let trusted = format!("salesforce.ca_file={}", trusted.display());
    let settings = SimulatorSettings {
        tls: Some(files),
        ..SimulatorSettings::default()
    };
    let fleet = Fleet::beside(settings, &[]).await;
    let access = fleet
        .simulator
        .add_org(OrgSpec::generated("acme", 1, 100))
        .unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, &access.refresh_token).unwrap();
    let url = fleet.simulator.base_url();
    let add = [
        "--set",
        &trusted,
        "org",
        "add",
        "acme",
        "--no-sync",
        "--json",
        "--login-url",
        &url,
        "--client-id",
        &access.client_id,
        "--refresh-token-file",
        token.to_str().unwrap(),
    ];
    fleet.json(&add).await;

    let doctor = async |set: &[&str]| {
        let flags: Vec<&str> = set.iter().flat_map(|flag| ["--set", flag]).collect();
        let output = fleet
            .run(&[&flags[..], &["doctor", "--online", "--json"]].concat())
            .await;
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = document["checks"].as_array().unwrap().clone();
        checks
            .into_iter()
            .rfind(|check| check["check"] == "salesforce")
            .unwrap()
    };
    let proxy = format!("salesforce.proxy=http://night:hunter2@127.0.0.1:{}", free_port());
    let found = doctor(&[&proxy]).await;
    assert_eq!(found["verdict"], "failed", "{found}");
    assert!(
        found["saw"]
            .as_str()
            .unwrap()
            .contains("our proxy cannot be reached"),
        "{found}"
    );
    assert!(
        found["remedy"].as_str().unwrap().contains("salesforce.proxy"),
        "{found}"
    );
    assert!(!found.to_string().contains("hunter2"), "{found}");
    let nothing = folder.path().join("nothing.pem");
    std::fs::write(&nothing, "no certificate").unwrap();
    let found = doctor(&[&format!("salesforce.ca_file={}", nothing.display())]).await;
    assert_eq!(found["verdict"], "failed", "{found}");
    assert!(
        found["remedy"].as_str().unwrap().contains("salesforce.ca_file"),
        "{found}"
    );
}
