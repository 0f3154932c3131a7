//! The server, a process of its own on the other core: axum, which answers every poll alike.

use std::{
    fmt,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, http::Uri, serve::Listener};
use rcgen::{CertificateParams, KeyPair};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Barrier, mpsc},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    server::TlsStream,
};

use crate::{CONNECTIONS, measure::pin};

/// A retrieve that is still running, as Salesforce says it.
pub const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns="http://soap.sforce.com/2006/04/metadata" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><checkRetrieveStatusResponse><result><done>false</done><id>09S000000000001AAA</id><status>InProgress</status><success>false</success><zipFile xsi:nil="true"/></result></checkRetrieveStatusResponse></soapenv:Body></soapenv:Envelope>"#;

/// Polls of this id are answered once all connections have one under way.
pub const TOGETHER: &str = "09S000000000002AAA";

/// What it speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Plain,
    Tls,
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain HTTP",
            Self::Tls => "TLS",
        })
    }
}

/// A running one; it ends with this.
pub struct Server {
    pub url: String,
    /// Who signed its certificate, in PEM.
    pub authority: Option<Vec<u8>>,
    pub process: Option<(Child, tempfile::TempDir)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((process, _)) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Server {
    pub fn start(manner: Manner) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("--child").stdout(Stdio::piped());
        let authority = (manner == Manner::Tls).then(|| {
            command.arg(folder.path());
            certify(folder.path())
        });
        let mut process = command.spawn().unwrap();
        pin(process.id(), "1");
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        let scheme = if manner == Manner::Tls { "https" } else { "http" };
        Self {
            url: format!("{scheme}://{}", address.trim()),
            authority,
            process: Some((process, folder)),
        }
    }
}

/// Writes a certificate that is its own authority, and its key.
fn certify(folder: &Path) -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    std::fs::write(folder.join("certificate.pem"), &certificate).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.into_bytes()
}

/// The child: serves until it is killed, with TLS where a folder holds its certificate.
pub async fn serve(folder: &[String]) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let together = Arc::new(Barrier::new(CONNECTIONS));
    let polls = Router::new().fallback(answer).with_state(together);
    match folder {
        [] => axum::serve(listener, polls).await.unwrap(),
        [folder, ..] => {
            let acceptor = acceptor(Path::new(folder));
            axum::serve(Tls { listener, acceptor }, polls).await.unwrap();
        }
    }
}

type Answer = ([(&'static str, &'static str); 1], &'static str);

const SAID: Answer = ([("content-type", "text/xml; charset=UTF-8")], ANSWER);

async fn answer(State(together): State<Arc<Barrier>>, body: Bytes) -> Answer {
    if memchr::memmem::find(&body, TOGETHER.as_bytes()).is_some() {
        together.wait().await;
    }
    SAID
}

fn acceptor(folder: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Greets one client after the other.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.listener.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A request as our client sent it.
pub struct Heard {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Listens to one poll.
pub async fn hear<F: Future<Output = ()>>(poll: impl FnOnce(String) -> F) -> Heard {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, mut told) = mpsc::channel(1);
    let router = Router::new().fallback(overhear).with_state(tell);
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    poll(url).await;
    serving.abort();
    told.recv().await.unwrap()
}

async fn overhear(
    State(tell): State<mpsc::Sender<Heard>>,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Answer {
    for written_by_the_client in ["host", "content-length", "accept-encoding"] {
        headers.remove(written_by_the_client);
    }
    let heard = Heard {
        path: uri.to_string(),
        headers,
        body,
    };
    assert!(tell.send(heard).await.is_ok(), "it is waited for");
    SAID
}
