//! The proxy does what it says, to the byte: other tests rely on where its cuts fall.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it should be"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nightshift_testkit::proxy::{Fault, Proxy, Way, When};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A server that sends back what it gets, how many bytes it got, and a client behind the proxy.
async fn echo() -> (Proxy, Arc<AtomicUsize>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let got = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&got);
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut piece = [0; 100];
        while let Ok(n @ 1..) = stream.read(&mut piece).await {
            counts.fetch_add(n, Ordering::SeqCst);
            if stream.write_all(&piece[..n]).await.is_err() {
                break;
            }
        }
    });
    let proxy = Proxy::before(address).await;
    let client = TcpStream::connect(proxy.address()).await.unwrap();
    (proxy, got, client)
}

/// What comes back before the connection ends, or within a while; by then the server has counted.
async fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = tokio::time::timeout(Duration::from_millis(300), client.read_to_end(&mut all)).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_falls_behind_the_byte_that_was_asked_for() {
    for way in [Way::ToServer, Way::ToClient] {
        let (proxy, got, mut client) = echo().await;
        proxy.arm(Fault::CutAfter(way, 7));
        client.write_all(b"0123456789").await.unwrap();
        let back = rest(&mut client).await;
        let arrived = got.load(Ordering::SeqCst);
        match way {
            Way::ToServer => assert_eq!(arrived, 7),
            Way::ToClient => assert_eq!((arrived, &back[..]), (10, &b"0123456"[..])),
        }
        assert_eq!((proxy.cuts(), proxy.accepted(), proxy.heal()), (1, 1, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pattern_is_found_across_two_pieces_and_only_after_it_was_armed() {
    for (when, arrives) in [(When::Before, 6 + 2), (When::After, 6 + 6)] {
        let (proxy, got, mut client) = echo().await;
        client.write_all(b"COMMIT").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        proxy.arm(Fault::CutOn(Way::ToServer, b"COMMIT", when));
        client.write_all(b"CO").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(proxy.cuts(), 0);
        client.write_all(b"MMIT").await.unwrap();
        let back = rest(&mut client).await;
        assert_eq!(got.load(Ordering::SeqCst), arrives, "{when:?}");
        assert_eq!(back, b"COMMITCO", "{when:?}: nobody hears the answer");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_silent_moves_again_once_it_is_healed() {
    let (proxy, got, mut client) = echo().await;
    proxy.arm(Fault::HalfOpen);
    client.write_all(b"0123456789").await.unwrap();
    assert_eq!(
        (rest(&mut client).await.len(), got.load(Ordering::SeqCst)),
        (0, 0)
    );
    proxy.heal();
    assert_eq!(rest(&mut client).await.len(), 10);
    assert_eq!(
        (proxy.carried(Way::ToServer), proxy.carried(Way::ToClient)),
        (10, 10)
    );
    proxy.hang_up();
    assert_eq!(client.read(&mut [0; 1]).await.unwrap_or(0), 0, "it has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_drips_takes_its_time_and_what_is_late_comes_whole() {
    let slow = [
        Fault::Drip {
            bytes: 2,
            every: Duration::from_millis(20),
        },
        Fault::Delay(Duration::from_millis(60)),
    ];
    for fault in slow {
        let (proxy, _, mut client) = echo().await;
        proxy.arm(fault);
        let begun = Instant::now();
        client.write_all(b"0123456789").await.unwrap();
        let mut back = [0; 10];
        client.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"0123456789");
        assert!(
            begun.elapsed() >= Duration::from_millis(100),
            "{:?}",
            begun.elapsed()
        );
    }
}
