//! The supervisor of one connection: connects, declares the topology, opens a channel, watches, begins again.
//!
//! lapin can recover by itself, but replays only what was declared on channels that survived; beginning from nothing
//! is the one path that is walked at every start and after every outage alike.

use std::{
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use lapin::{Channel, Connection, ConnectionProperties, Event, options::ConfirmSelectOptions, uri::AMQPUri};
use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::topology::{Names, declare, stands};
use crate::port::Health;

/// How long one attempt to connect may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// Between attempts: the first pause, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(10)];
/// How often a silent connection is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Seconds between heartbeats where the URL says nothing; the broker's own would be sixty. A peer that is gone without a
/// word is given up after twice as long.
const HEARTBEAT: u16 = 10;

/// Which of the two connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    Publish,
    Consume,
}

impl Side {
    fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Consume => "consume",
        }
    }
}

/// A connection that works, and a channel on it that confirms.
pub(super) struct Live {
    pub connection: Connection,
    pub channel: Channel,
    /// Cancelled once this connection is given up.
    pub lost: CancellationToken,
}

/// One supervised connection.
pub(super) struct Link {
    live: watch::Receiver<Option<Arc<Live>>>,
    keeper: JoinHandle<()>,
}

impl Link {
    pub fn start(side: Side, url: SecretString, names: Arc<Names>, board: Arc<Board>) -> Arc<Self> {
        let (sender, live) = watch::channel(None);
        let keeper = tokio::spawn(async move {
            let mut failures = 0_u32;
            // what was told before the connection was lost is the broker's to keep; what is told later waits for the next
            let mut without = Instant::now();
            loop {
                match connect(side, &url, &names, without, &board).await {
                    Ok(connected) => {
                        failures = 0;
                        tracing::info!(side = side.as_str(), "connected to the broker");
                        tracing::info!(target: "nightshift::metric", counter = "nightshift_connection_rebuilds_total", side = side.as_str(), value = 1_u64);
                        let connected = Arc::new(connected);
                        sender.send_replace(Some(Arc::clone(&connected)));
                        board.set(side, Health::Connected);
                        until_lost(side, &connected, &board).await;
                        without = Instant::now();
                        sender.send_replace(None);
                        connected.lost.cancel();
                        board.set(side, Health::Connecting);
                    }
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(
                            side = side.as_str(),
                            "no connection to the broker (attempt {failures}): {error}"
                        );
                    }
                }
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(pause(failures, jitter)).await;
            }
        });
        Arc::new(Self { live, keeper })
    }

    /// The working connection, as soon as there is one.
    pub async fn live(&self) -> Arc<Live> {
        let mut live = self.live.clone();
        loop {
            let found = live.borrow_and_update().clone();
            if let Some(live) = found.filter(|live| live.connection.status().connected()) {
                return live;
            }
            if live.changed().await.is_err() {
                // the keeper lives as long as this link
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Ends a connection whose channel failed, so that its supervisor builds a new one.
pub(super) fn rebuild(live: &Arc<Live>) {
    let live = Arc::clone(live);
    tokio::spawn(async move {
        let _ = live.connection.close(200, "rebuilding".into()).await;
    });
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// `without`: since when there was no connection.
async fn connect(
    side: Side,
    url: &SecretString,
    names: &Names,
    without: Instant,
    board: &Board,
) -> Result<Live, String> {
    let name = format!("nightshift {}", side.as_str());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let mut uri = AMQPUri::from_str(url.expose_secret()).map_err(|_| "broker.url is none")?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT);
    let build = async {
        let connection = Connection::connect_uri(uri, properties).await?;
        if !stands(&connection, names).await? {
            // said before it is declared: whoever comes next finds it there
            board.found_empty(without);
        }
        declare(&connection, names).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok::<_, lapin::Error>(Live {
            connection,
            channel,
            lost: CancellationToken::new(),
        })
    };
    match tokio::time::timeout(CONNECT_WITHIN, build).await {
        Ok(Ok(live)) => Ok(live),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
    }
}

async fn until_lost(side: Side, live: &Live, board: &Board) {
    let mut events = live.connection.events_listener();
    let mut listening = true;
    while live.connection.status().connected() && live.channel.status().connected() {
        let event = tokio::select! {
            event = events.next(), if listening => event,
            () = tokio::time::sleep(LOOK_EVERY) => continue,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(
                    side = side.as_str(),
                    reason,
                    "the broker takes no messages now: {reason}"
                );
                board.set(side, Health::Blocked);
            }
            Some(Event::ConnectionUnblocked) => board.set(side, Health::Connected),
            Some(Event::Error(error)) => {
                tracing::warn!(
                    side = side.as_str(),
                    "the connection to the broker is lost: {error}"
                );
                return;
            }
            Some(_) => {}
            None => listening = false,
        }
    }
}

/// Doubled from failure to failure, with jitter (0.5 to 1).
fn pause(failures: u32, jitter: f64) -> Duration {
    let [first, longest] = PAUSES;
    (first * 2_u32.saturating_pow(failures.min(10)))
        .min(longest)
        .mul_f64(jitter)
}

/// How both connections are, as one word; and since when the last one was away that found a broker that knew nothing of us.
pub(super) struct Board {
    sides: Mutex<[Health; 2]>,
    health: watch::Sender<Health>,
    emptied: watch::Sender<Option<Instant>>,
}

impl Board {
    pub fn new() -> Self {
        Self {
            sides: Mutex::new([Health::Connecting; 2]),
            health: watch::channel(Health::Connecting).0,
            emptied: watch::channel(None).0,
        }
    }

    pub fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    pub fn emptied(&self) -> watch::Receiver<Option<Instant>> {
        self.emptied.subscribe()
    }

    fn found_empty(&self, without: Instant) {
        self.emptied
            .send_modify(|emptied| *emptied = (*emptied).max(Some(without)));
    }

    fn set(&self, side: Side, health: Health) {
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        sides[side as usize] = health;
        let worst = if sides.contains(&Health::Connecting) {
            Health::Connecting
        } else if sides.contains(&Health::Blocked) {
            Health::Blocked
        } else {
            Health::Connected
        };
        self.health
            .send_if_modified(|old| std::mem::replace(old, worst) != worst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_at_ten_seconds() {
        assert_eq!(pause(0, 1.0), Duration::from_millis(250));
        assert_eq!(pause(3, 1.0), Duration::from_secs(2));
        assert_eq!(pause(30, 1.0), Duration::from_secs(10));
    }

    #[test]
    fn health_is_that_of_the_worse_connection() {
        let board = Board::new();
        let health = board.health();
        board.set(Side::Publish, Health::Blocked);
        assert_eq!(*health.borrow(), Health::Connecting);
        board.set(Side::Consume, Health::Connected);
        assert_eq!(*health.borrow(), Health::Blocked);
        board.set(Side::Publish, Health::Connected);
        assert_eq!(*health.borrow(), Health::Connected);
    }
}
