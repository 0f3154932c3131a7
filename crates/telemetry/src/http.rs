//! The little HTTP server of every process: `/metrics`, `/healthz`, `/readyz`.
//!
//! `/healthz` says that the process still turns its wheels, and nothing about the outside: an orchestrator that kills
//! processes because the database is away makes an outage worse. `/readyz` says whether it can work, and why not. There
//! are no secrets here, and nothing can be changed from here; who may reach the address is the network's business.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::{Metrics, TelemetryError};

/// What Prometheus expects of OpenMetrics text.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How long requests under way may go on once the server is stopped.
const LAST_REQUESTS: Duration = Duration::from_secs(1);

/// Most bytes of an answer about readiness that are read.
const ANSWER_BYTES: u64 = 8 << 10;

/// Whether this process can work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Not yet; what it waits for.
    Starting(String),
    /// Yes.
    Ready,
    /// No; what is away.
    Unavailable(String),
    /// No more: it is ending.
    Draining,
}

/// A running server; dropped, it ends at once.
#[must_use = "dropping the server ends it"]
pub struct HttpServer {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Serves at `address` (`127.0.0.1:9100`, `0.0.0.0:9100`, `[::]:0`) until it is stopped.
pub async fn serve(
    address: &str,
    metrics: Metrics,
    readiness: watch::Receiver<Readiness>,
) -> Result<HttpServer, TelemetryError> {
    let cannot = |source| TelemetryError::Listen {
        address: address.to_owned(),
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(show).with_state(metrics));
    let (stop, stopped) = oneshot::channel();
    let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let task = tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "the server of metrics and health ended: {error}");
        }
    });
    Ok(HttpServer {
        address: bound,
        stop: Some(stop),
        task,
    })
}

async fn show(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(CONTENT_TYPE, OPEN_METRICS)], metrics.render())
}

async fn ready(State(readiness): State<watch::Receiver<Readiness>>) -> (StatusCode, String) {
    let (status, text) = match &*readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready".to_owned()),
        Readiness::Starting(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("starting: {what}")),
        Readiness::Unavailable(what) => (StatusCode::SERVICE_UNAVAILABLE, format!("unavailable: {what}")),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining".to_owned()),
    };
    (status, text + "\n")
}

/// What a process said of its readiness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReadyAnswer {
    /// Whether it can work.
    pub ready: bool,
    /// In its words.
    pub says: String,
}

/// Asks the process at `address` (`host:port`) for its readiness. One request by hand: an HTTP client has no place in a
/// health check that runs every few seconds.
pub async fn ask_ready(address: &str, within: Duration) -> std::io::Result<ReadyAnswer> {
    let asking = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(within, asking)
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(ReadyAnswer {
        ready: head.starts_with("HTTP/1.1 200 "),
        says: body.trim().to_owned(),
    })
}

impl HttpServer {
    /// Where it listens, with the port that the system chose when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new request, lets those under way end within a second.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = tokio::time::timeout(LAST_REQUESTS, &mut self.task).await;
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(server: &HttpServer, path: &str) -> (u16, String) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http
            .get(format!("http://{}{path}", server.address()))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn readiness_follows_the_process_and_health_does_not() {
        let (say, readiness) = watch::channel(Readiness::Starting("the database".into()));
        let server = serve("127.0.0.1:0", Metrics::default(), readiness).await.unwrap();
        assert_eq!(
            ask(&server, "/readyz").await,
            (503, "starting: the database\n".into())
        );
        say.send_replace(Readiness::Ready);
        assert_eq!(ask(&server, "/readyz").await, (200, "ready\n".into()));
        say.send_replace(Readiness::Unavailable("the broker".into()));
        assert_eq!(
            ask(&server, "/readyz").await,
            (503, "unavailable: the broker\n".into())
        );
        say.send_replace(Readiness::Draining);
        assert_eq!(ask(&server, "/readyz").await, (503, "draining\n".into()));
        assert_eq!(ask(&server, "/healthz").await, (200, "alive\n".into()));
    }

    #[tokio::test]
    async fn a_health_check_hears_what_the_process_says() {
        let (say, readiness) = watch::channel(Readiness::Ready);
        let server = serve("127.0.0.1:0", Metrics::default(), readiness).await.unwrap();
        let address = server.address().to_string();
        let second = Duration::from_secs(1);
        let answer = ask_ready(&address, second).await.unwrap();
        assert_eq!((answer.ready, answer.says.as_str()), (true, "ready"));
        say.send_replace(Readiness::Unavailable("the broker".into()));
        let answer = ask_ready(&address, second).await.unwrap();
        assert_eq!(
            (answer.ready, answer.says.as_str()),
            (false, "unavailable: the broker")
        );
        server.stop().await;
        assert!(ask_ready(&address, second).await.is_err());
    }

    #[tokio::test]
    async fn metrics_are_served_as_prometheus_reads_them() {
        let metrics = Metrics::default();
        metrics.count("nightshift_claims_total", &[("kind", "poll")], 1);
        let (_say, readiness) = watch::channel(Readiness::Ready);
        let server = serve("127.0.0.1:0", metrics, readiness).await.unwrap();
        let (status, text) = ask(&server, "/metrics").await;
        assert_eq!(status, 200);
        assert!(text.contains("nightshift_claims_total{kind=\"poll\"} 1"));
        assert_eq!(ask(&server, "/elsewhere").await.0, 404);
    }

    #[tokio::test]
    async fn a_taken_address_is_refused_by_name() {
        let (_say, readiness) = watch::channel(Readiness::Ready);
        let first = serve("127.0.0.1:0", Metrics::default(), readiness.clone())
            .await
            .unwrap();
        let address = first.address().to_string();
        let error = serve(&address, Metrics::default(), readiness)
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            error.contains(&address) && error.contains("http.listen"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_client_that_hangs_does_not_hold_the_process() {
        let (_say, readiness) = watch::channel(Readiness::Ready);
        let server = serve("127.0.0.1:0", Metrics::default(), readiness).await.unwrap();
        let mut hanging = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut hanging, b"GET /healthz HTTP/1.1\r\n")
            .await
            .unwrap();
        let begun = std::time::Instant::now();
        server.stop().await;
        assert!(begun.elapsed() < Duration::from_secs(3));
    }
}
