//! Our own network on the way to Salesforce, with real sockets: a proxy, a private CA, certificates that do not fit.
//!
//! Salesforce is the simulator behind TLS; the proxy is forty lines that connect or refuse.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::sync::{Arc, Mutex};

use nightshift_domain::FailureCode;
use nightshift_salesforce::{
    App, Broken, CallCounter, CallKind, Grant, HostPolicy, Http, HttpSettings, Proxy, Salesforce,
    SalesforceError,
};
use nightshift_simulator::{OrgAccess, OrgSpec, Simulator, SimulatorSettings, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

/// How long the certificate of a server is good.
#[derive(Clone, Copy)]
enum Time {
    Now,
    Over,
}

/// A private CA.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// A simulator with a certificate for `name`, and its one org.
    async fn serves(&self, name: &str, time: Time) -> (Simulator, OrgAccess, tempfile::TempDir) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if matches!(time, Time::Over) {
            params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        }
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let files = TlsFiles {
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        let settings = SimulatorSettings {
            tls: Some(files),
            ..SimulatorSettings::default()
        };
        let simulator = Simulator::start(settings).await.unwrap();
        let access = simulator.add_org(OrgSpec::generated("Acme", 1, 50)).unwrap();
        (simulator, access, folder)
    }
}

/// What a proxy does with whoever asks it for a connection.
#[derive(Clone, Copy)]
enum Manner {
    /// Connects only for this user and password, in base64.
    Knows(&'static str),
    Refuses,
}

/// A CONNECT proxy, and the heads of the requests that it saw.
async fn proxy(manner: Manner) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(client, manner, Arc::clone(&seen)));
        }
    });
    (port, heads)
}

async fn serve(mut client: TcpStream, manner: Manner, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = client.read_u8().await else { return };
        head.push(byte);
        if !b"CONNECT".starts_with(&head[..head.len().min(7)]) {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            return;
        }
    }
    let head = String::from_utf8(head).unwrap();
    seen.lock().unwrap().push(head.clone());
    let answer = match manner {
        Manner::Refuses => "403 Forbidden",
        Manner::Knows(word) if !head.contains(word) => "407 Proxy Authentication Required",
        Manner::Knows(_) => "200 Connection established",
    };
    let _ = client
        .write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes())
        .await;
    if answer.starts_with("200") {
        let target = head.split(' ').nth(1).unwrap().to_owned();
        let mut server = TcpStream::connect(target).await.unwrap();
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}

fn salesforce(proxy: Proxy, authorities: Option<Vec<u8>>) -> Salesforce {
    let http = HttpSettings {
        proxy,
        authorities,
        ..HttpSettings::default()
    };
    Salesforce::new(
        Http::new(http).unwrap(),
        HostPolicy::new(["localhost", "127.0.0.1", "no-such-host.invalid"]),
    )
}

fn at(url: String, except: &[&str]) -> Proxy {
    Proxy::At {
        url: url.into(),
        except: except.iter().map(|&host| host.to_owned()).collect(),
    }
}

/// Refreshes the org's token at a host; how that broke, if it did.
async fn refresh(
    salesforce: &Salesforce,
    access: &OrgAccess,
    host: &str,
    port: u16,
) -> Result<(), SalesforceError> {
    let (token, calls) = (access.refresh_token.as_str().into(), CallCounter::new());
    let app = App {
        address: &format!("https://{host}:{port}").parse().unwrap(),
        client_id: &access.client_id,
        client_secret: None,
    };
    let answer = salesforce
        .oauth()
        .token(&app, Grant::RefreshToken(&token), &calls)
        .await;
    if matches!(answer, Err(SalesforceError::Transport { .. })) {
        assert_eq!(calls.count(CallKind::Token), 0, "what never left is not counted");
    }
    answer.map(drop)
}

fn broken(answer: Result<(), SalesforceError>) -> (Broken, FailureCode) {
    match answer {
        Err(error @ SalesforceError::Transport { broken, .. }) => (broken, error.ruling().code),
        other => panic!("{other:?}"),
    }
}

fn port(simulator: &Simulator) -> u16 {
    let url: url::Url = simulator.base_url().parse().unwrap();
    url.port().unwrap()
}

#[tokio::test]
async fn a_private_authority_is_trusted_once_it_is_named() {
    let authority = Authority::new();
    let (simulator, access, _files) = authority.serves("localhost", Time::Now).await;
    let port = port(&simulator);
    let trusting = salesforce(Proxy::None, Some(authority.pem()));
    refresh(&trusting, &access, "localhost", port).await.unwrap();
    for trusted in [None, Some(Authority::new().pem())] {
        let answer = refresh(&salesforce(Proxy::None, trusted), &access, "localhost", port).await;
        assert_eq!(
            broken(answer),
            (Broken::UnknownAuthority, FailureCode::TlsUntrusted)
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_over_or_another_hosts_is_told_apart() {
    let authority = Authority::new();
    let trusting = salesforce(Proxy::None, Some(authority.pem()));
    let (old, access, _old_files) = authority.serves("localhost", Time::Over).await;
    let answer = refresh(&trusting, &access, "localhost", port(&old)).await;
    assert_eq!(
        broken(answer),
        (Broken::CertificateExpired, FailureCode::TlsCertificate)
    );
    let (other, access, _other_files) = authority.serves("acme.test", Time::Now).await;
    let answer = refresh(&trusting, &access, "localhost", port(&other)).await;
    assert_eq!(
        broken(answer),
        (Broken::CertificateName, FailureCode::TlsCertificate)
    );
}

#[tokio::test]
async fn a_host_that_speaks_no_tls_and_one_that_nobody_knows_are_told_apart() {
    let authority = Authority::new();
    let (_simulator, access, _files) = authority.serves("localhost", Time::Now).await;
    let direct = salesforce(Proxy::None, None);
    let plain = Simulator::start(SimulatorSettings::default()).await.unwrap();
    let answer = refresh(&direct, &access, "127.0.0.1", port(&plain)).await;
    assert_eq!(broken(answer), (Broken::Tls, FailureCode::SalesforceUnreachable));
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let answer = refresh(&direct, &access, "127.0.0.1", free).await;
    assert_eq!(
        broken(answer),
        (Broken::Connect, FailureCode::SalesforceUnreachable)
    );
    // a machine without a resolver cannot tell that the name is unknown, and says so
    let (broken, code) = broken(refresh(&direct, &access, "no-such-host.invalid", 443).await);
    assert!(
        matches!(
            (broken, code),
            (Broken::Dns, FailureCode::HostNotFound) | (Broken::Resolver, FailureCode::NetworkDns)
        ),
        "{broken:?}"
    );
}

#[tokio::test]
async fn a_proxy_is_used_with_its_user_and_password_and_shown_nowhere() {
    let authority = Authority::new();
    let (simulator, access, _files) = authority.serves("localhost", Time::Now).await;
    let (through, heads) = proxy(Manner::Knows("Basic bmlnaHQ6aHVudGVyMg==")).await;
    let url = format!("http://night:hunter2@127.0.0.1:{through}");
    let salesforce = salesforce(at(url, &[]), Some(authority.pem()));
    refresh(&salesforce, &access, "localhost", port(&simulator))
        .await
        .unwrap();
    let heads = heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 1);
    assert!(
        heads[0].starts_with(&format!("CONNECT localhost:{}", port(&simulator))),
        "{heads:?}"
    );
    assert!(
        !heads[0].contains("5Aep861"),
        "what is sent to the org stays inside of the tunnel"
    );
    let shown = format!("{salesforce:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("bmlnaHQ6aHVudGVyMg"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_proxy_that_is_away_refuses_or_asks_who_we_are_is_told_apart_from_salesforce() {
    let authority = Authority::new();
    let (simulator, access, _files) = authority.serves("localhost", Time::Now).await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (refusing, _) = proxy(Manner::Refuses).await;
    let (knowing, _) = proxy(Manner::Knows("Basic somebody")).await;
    for (url, expected) in [
        (
            format!("http://127.0.0.1:{free}"),
            (Broken::ProxyUnreachable, FailureCode::ProxyUnreachable),
        ),
        (
            format!("http://127.0.0.1:{refusing}"),
            (Broken::ProxyRefused, FailureCode::ProxyRefused),
        ),
        (
            format!("http://night:hunter2@127.0.0.1:{knowing}"),
            (Broken::ProxyAuthorization, FailureCode::ProxyAuthentication),
        ),
        // a proxy that speaks plain HTTP, written as https
        (
            format!("https://127.0.0.1:{refusing}"),
            (Broken::ProxyUnreachable, FailureCode::ProxyUnreachable),
        ),
    ] {
        let through = salesforce(at(url.clone(), &[]), Some(authority.pem()));
        let answer = refresh(&through, &access, "localhost", port(&simulator)).await;
        if let Err(error) = &answer {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
        assert_eq!(broken(answer), expected, "{url}");
    }
}

#[tokio::test]
async fn what_is_excepted_goes_past_the_proxy() {
    let authority = Authority::new();
    let (simulator, access, _files) = authority.serves("localhost", Time::Now).await;
    let (refusing, heads) = proxy(Manner::Refuses).await;
    let url = format!("http://127.0.0.1:{refusing}");
    for except in [&["localhost"][..], &["example.com", "localhost"]] {
        let past = salesforce(at(url.clone(), except), Some(authority.pem()));
        refresh(&past, &access, "localhost", port(&simulator))
            .await
            .unwrap();
    }
    assert!(heads.lock().unwrap().is_empty());
    let through = salesforce(at(url, &["example.com"]), Some(authority.pem()));
    assert!(
        refresh(&through, &access, "localhost", port(&simulator))
            .await
            .is_err()
    );
    assert_eq!(heads.lock().unwrap().len(), 1);
}
