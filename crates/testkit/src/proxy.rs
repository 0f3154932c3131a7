//! A TCP proxy between a test and a server, which does on command what networks do at night.
//!
//! It carries bytes and knows no protocol. One [`Fault`] at a time is armed, for all connections, while they run: a cut
//! happens once and is spent; a delay, a drip, a silence last until [`Proxy::heal`]. What it did is counted.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

/// What happens to the bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Each piece waits first.
    Delay(Duration),
    /// Pieces of so many bytes, so far apart.
    Drip {
        /// Of a piece.
        bytes: usize,
        /// Between two.
        every: Duration,
    },
    /// Connections are accepted and nothing moves, either way.
    HalfOpen,
    /// The connection ends after so many bytes that way, counted from now over all connections.
    CutAfter(Way, u64),
    /// The connection ends when these bytes come by that way.
    CutOn(Way, &'static [u8], When),
}

/// A direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// Which side of the bytes is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// They do not arrive.
    Before,
    /// They arrive. Where they go to the server, it answers them, and nobody hears the answer.
    After,
}

/// The proxy; it ends with the value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    fault: Mutex<Option<Fault>>,
    changed: Notify,
    hang_up: Notify,
    accepted: AtomicU64,
    cuts: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// How one connection's pump ended.
#[derive(PartialEq, Eq)]
enum End {
    Closed,
    Cut,
    /// The server has got all; what it answers is lost.
    Unheard,
}

impl Proxy {
    /// Listens at a free port of this machine, for a server at `upstream`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn before(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let of_all = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                of_all.accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, upstream, Arc::clone(&of_all)));
            }
        });
        Self {
            address,
            shared,
            accepting,
        }
    }

    /// A proxy before the server of a URL, and the URL of the same by it.
    ///
    /// # Panics
    /// When the URL has no password, or its server no address of numbers.
    pub async fn on_the_way(url: &str) -> (Self, String) {
        let (_, server, _) = parts(url);
        let proxy = Self::before(server.parse().expect("an address")).await;
        let by = proxy.instead(url);
        (proxy, by)
    }

    /// The URL of the same by this proxy.
    ///
    /// # Panics
    /// When the URL has no password.
    pub fn instead(&self, url: &str) -> String {
        let (login, _, rest) = parts(url);
        format!("{login}@{}/{rest}", self.address)
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this happens, instead of what was armed before.
    pub fn arm(&self, fault: Fault) {
        *self.shared.fault() = Some(fault);
        self.shared.changed.notify_waiters();
    }

    /// Nothing happens any more; says what was still armed.
    pub fn heal(&self) -> Option<Fault> {
        let left = self.shared.fault().take();
        self.shared.changed.notify_waiters();
        left
    }

    /// Ends all connections now.
    pub fn hang_up(&self) {
        self.shared.hang_up.notify_waiters();
    }

    /// Connections so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// Connections that a fault ended.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }

    /// Bytes that were let through.
    pub fn carried(&self, way: Way) -> u64 {
        self.shared.counter(way).load(Ordering::Relaxed)
    }
}

/// What stands before the server's address in a URL, the address, and what stands behind it.
fn parts(url: &str) -> (&str, &str, &str) {
    let (login, rest) = url.split_once('@').expect("the URL has a password");
    let (server, rest) = rest.split_once('/').expect("the URL names what the server has");
    (login, server, rest)
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.hang_up();
    }
}

impl Shared {
    fn fault(&self) -> MutexGuard<'_, Option<Fault>> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, way: Way) -> &AtomicU64 {
        match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        }
    }

    /// Whether the armed cut falls into a piece: how much of it still passes, and how it ends then. `seen` is the piece
    /// with the bytes before it, of which `old` have passed already.
    fn cut(&self, way: Way, seen: &[u8], old: usize) -> Option<(usize, End)> {
        let mut fault = self.fault();
        let cut = match &mut *fault {
            Some(Fault::CutAfter(armed, left)) if *armed == way => {
                let piece = seen.len() - old;
                if *left >= piece as u64 {
                    *left -= piece as u64;
                    return None;
                }
                (*left as usize, End::Cut)
            }
            Some(Fault::CutOn(armed, pattern, when)) if *armed == way => {
                // what lies in the old bytes alone has passed before
                let skipped = (old + 1).saturating_sub(pattern.len());
                let mut windows = seen[skipped..].windows(pattern.len());
                let at = skipped + windows.position(|window| window == *pattern)?;
                match (when, way) {
                    (When::Before, _) => (at.saturating_sub(old), End::Cut),
                    (When::After, Way::ToClient) => (at + pattern.len() - old, End::Cut),
                    (When::After, Way::ToServer) => (seen.len() - old, End::Unheard),
                }
            }
            _ => return None,
        };
        *fault = None;
        self.cuts.fetch_add(1, Ordering::Relaxed);
        Some(cut)
    }

    /// Waits as long as the armed fault wants a piece to wait; says how large it may be.
    async fn hold(&self) -> usize {
        loop {
            let changed = self.changed.notified();
            let fault = self.fault().clone();
            match fault {
                Some(Fault::Delay(by)) => tokio::time::sleep(by).await,
                Some(Fault::Drip { bytes, every }) => {
                    tokio::time::sleep(every).await;
                    return bytes;
                }
                Some(Fault::HalfOpen) => {
                    // a change may come between the look and the wait
                    let _ = tokio::time::timeout(Duration::from_millis(20), changed).await;
                    continue;
                }
                _ => {}
            }
            return usize::MAX;
        }
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, shared: Arc<Shared>) {
    let Ok(server) = TcpStream::connect(upstream).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let end = tokio::select! {
        end = pump(Way::ToServer, &mut from_client, &mut to_server, &shared) => end,
        end = pump(Way::ToClient, &mut from_server, &mut to_client, &shared) => end,
        () = shared.hang_up.notified() => End::Cut,
    };
    drop((from_client, to_client));
    if end == End::Unheard {
        // closing at once could take back what has not been read yet
        let mut answer = [0; 1_024];
        let unheard = from_server.read(&mut answer);
        let _ = tokio::time::timeout(Duration::from_secs(5), unheard).await;
    }
}

async fn pump(
    way: Way,
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    shared: &Shared,
) -> End {
    let mut buffer = vec![0; 16 << 10];
    // the last bytes that have passed: a pattern may lie across two pieces
    let mut tail: Vec<u8> = Vec::new();
    loop {
        let piece = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return End::Closed,
            Ok(n) => &buffer[..n],
        };
        let mut sent = 0;
        while sent < piece.len() {
            let size = shared.hold().await.min(piece.len() - sent);
            let part = &piece[sent..sent + size];
            let seen = [&tail, part].concat();
            let cut = shared.cut(way, &seen, tail.len());
            let passes = cut.as_ref().map_or(size, |(passes, _)| *passes);
            if to.write_all(&part[..passes]).await.is_err() || to.flush().await.is_err() {
                return End::Closed;
            }
            shared.counter(way).fetch_add(passes as u64, Ordering::Relaxed);
            if let Some((_, end)) = cut {
                return end;
            }
            sent += size;
            tail = seen[seen.len().saturating_sub(32)..].to_vec();
        }
    }
}
