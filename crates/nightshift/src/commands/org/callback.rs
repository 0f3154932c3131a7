//! Listens on this machine for the browser that comes back from a login: for one answer, for a while.
//!
//! What the answer is worth is judged by `connections`. The page says no more than where to look.

use std::{io, time::Duration};

use axum::{Router, extract::Query, response::Html, routing::get};
use nightshift_connections::LoginAnswer;
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::error::CommandError;

/// As the Salesforce CLI has it, so that an app made for that one works.
const PATH: &str = "/OauthRedirect";
const PAGE: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Nightshift</title>\
                    <meta name=viewport content='width=device-width'>\
                    <style>body{font:18px/1.5 system-ui,sans-serif;max-width:32em;margin:20vh auto;padding:0 1em;\
                    color:#222;background:#fafafa}h1{font-size:1.3em}</style>\
                    <h1>Nightshift has the answer</h1>\
                    <p>The terminal says what came of it. You may close this page.";
/// How long the page may take to reach the browser once the answer is there.
const GOODBYE: Duration = Duration::from_secs(2);

/// A port that waits for a browser.
pub struct Callback {
    port: u16,
    answers: mpsc::Receiver<LoginAnswer>,
    stop: CancellationToken,
    serving: JoinHandle<io::Result<()>>,
}

impl Callback {
    /// Listens; port 0 takes any free one.
    pub async fn listen(port: u16) -> Result<Self, CommandError> {
        let failed = |source| CommandError::Io {
            place: format!("127.0.0.1:{port} (choose another one with --callback-port)"),
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        // one place: a second answer waits in vain and is never read
        let (sender, answers) = mpsc::channel(1);
        let take = get(move |Query(answer): Query<LoginAnswer>| async move {
            let _ = sender.try_send(answer);
            Html(PAGE)
        });
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let served = axum::serve(listener, Router::new().route(PATH, take)).with_graceful_shutdown(stopped);
        Ok(Self {
            port,
            answers,
            stop,
            serving: tokio::spawn(served.into_future()),
        })
    }

    /// The callback URL as the app's settings must have it. Salesforce takes plain http for this name alone.
    pub fn redirect_uri(&self) -> String {
        format!("http://localhost:{}{PATH}", self.port)
    }

    /// Waits for the answer, and for its page to be on its way.
    pub async fn answer(mut self, patience: Duration) -> Result<LoginAnswer, CommandError> {
        let answer = tokio::time::timeout(patience, self.answers.recv()).await;
        self.stop.cancel();
        let Ok(Some(answer)) = answer else {
            self.serving.abort();
            return Err(CommandError::Refused(format!(
                "nobody came back from Salesforce within {} s. If its page showed OAUTH_APPROVAL_ERROR_GENERIC or \"app must be \
                 installed\", let an administrator install the app (Setup, Connected Apps OAuth Usage); if it said \
                 redirect_uri_mismatch, give the app the callback URL {}",
                patience.as_secs(),
                self.redirect_uri()
            )));
        };
        let _ = tokio::time::timeout(GOODBYE, self.serving).await;
        Ok(answer)
    }
}
