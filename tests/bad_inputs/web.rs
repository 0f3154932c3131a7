//! A server of bytes: what it answers need not be HTTP, and need not end.
//!
//! Whoever says `NEIGHBOUR` is the org beside the one that gets the bad answer, and gets a good one.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

/// How an answer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The connection is closed.
    Close,
    /// Nothing more comes, and the connection stands.
    Silence,
    /// A byte comes now and then, for ever.
    Drip,
}

/// Bytes as they go over the wire, head included.
#[derive(Clone, Debug)]
pub struct Answer {
    pub bytes: Vec<u8>,
    pub end: End,
}

/// `HTTP/1.1 ...` with these headers and this body.
pub fn http(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Answer {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    Answer {
        bytes: [head.as_bytes(), body].concat(),
        end: End::Close,
    }
}

/// Answers every request of the one org alike; the port.
pub fn serve(bad: Answer, good: Answer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (bad, good) = (Arc::new(bad), Arc::new(good));
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (bad, good) = (Arc::clone(&bad), Arc::clone(&good));
            thread::spawn(move || talk(stream.unwrap(), &bad, &good));
        }
    });
    port
}

fn talk(mut stream: TcpStream, bad: &Answer, good: &Answer) {
    let request = request(&mut stream);
    let answer = if request.contains("NEIGHBOUR") { good } else { bad };
    // a client that has seen enough hangs up
    let _ = stream.write_all(&answer.bytes).and_then(|()| stream.flush());
    match answer.end {
        End::Close => {}
        End::Silence => thread::sleep(Duration::from_secs(30)),
        End::Drip => {
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Head and body of one request.
fn request(stream: &mut TcpStream) -> String {
    let (mut all, mut piece) = (Vec::new(), [0; 8 << 10]);
    loop {
        let n = stream.read(&mut piece).unwrap_or(0);
        all.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&all).into_owned();
        let length = text
            .to_ascii_lowercase()
            .split_once("content-length: ")
            .and_then(|(_, rest)| rest.split("\r\n").next()?.parse::<usize>().ok());
        let whole = text
            .split_once("\r\n\r\n")
            .is_some_and(|(_, body)| body.len() >= length.unwrap_or(0));
        if whole || n == 0 {
            return text;
        }
    }
}
