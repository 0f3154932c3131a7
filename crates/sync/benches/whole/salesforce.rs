//! The other end of the wire: a server that has one answer, read from its file while it is sent, and a token for it.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    thread,
};

use nightshift_salesforce::{JustGiven, Session, TokenGeneration};

/// Answers every request with the file, uncompressed, until the process ends; gives its address.
pub fn serve(answer: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            // A client that goes away early is its own business.
            thread::spawn(move || drop(respond(&stream.unwrap(), &answer)));
        }
    });
    address
}

fn respond(stream: &TcpStream, answer: &PathBuf) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    let mut file = fs::File::open(answer)?;
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/xml; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        file.metadata()?.len()
    )?;
    io::copy(&mut file, &mut stream)?;
    Ok(())
}

/// A token that never ends, for the server's address.
pub fn session(address: &str) -> JustGiven {
    JustGiven(Session {
        instance_url: address.parse().unwrap(),
        access_token: "00D000000000001!token".into(),
        generation: TokenGeneration(1),
    })
}
