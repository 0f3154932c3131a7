//! The wire between a fleet and its Salesforce, with a meter: a TCP proxy that counts what passes, both ways.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A listener that has nobody behind it yet: the simulator must know this address before it starts.
pub struct Wire {
    listener: TcpListener,
    pub address: SocketAddr,
}

/// Bytes that passed so far.
#[derive(Clone, Default)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wire {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    /// Passes everything on from now on.
    pub fn lead_to(self, server: SocketAddr) -> Meter {
        let meter = Meter::default();
        let counted = meter.clone();
        tokio::spawn(async move {
            loop {
                let (client, _) = self.listener.accept().await.unwrap();
                let server = TcpStream::connect(server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let ((from_client, to_client), (from_server, to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(pass(from_client, to_server, counted.clone()));
                tokio::spawn(pass(from_server, to_client, counted.clone()));
            }
        });
        meter
    }
}

/// Until one side has had enough; the other learns it by the end of its stream.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, meter: Meter) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        meter.0.fetch_add(read as u64, Ordering::Relaxed);
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    // A stream that is gone cannot be ended.
    let _ = to.shutdown().await;
}
