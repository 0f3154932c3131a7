//! Answers, before they are HTTP: a status, a type and a body that may be made while it is sent.
//!
//! Long bodies (listings, zips) are iterators of pieces, pulled as fast as the client reads, so that no answer is
//! ever whole in memory. Compression, when asked for, is one more iterator around them.

use std::{io, io::Write, time::Duration};

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use futures::{StreamExt, stream};

use crate::limits::Place;

/// Pieces of a body. An error breaks the connection off.
pub(crate) type Pieces = Box<dyn Iterator<Item = io::Result<Bytes>> + Send>;

/// Piece size worth a write.
pub(crate) const PIECE: usize = 64 * 1024;

/// Time for what was sent to leave before a connection breaks off; else the client would not see a beginning.
const BEFORE_BREAK: Duration = Duration::from_millis(50);

pub(crate) enum Payload {
    Whole(Vec<u8>),
    Pieces(Pieces),
}

pub(crate) struct Answer {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub payload: Payload,
    /// Time before each piece of the body.
    pub drip: Option<Duration>,
    /// The place among the org's running requests, kept until the answer has left.
    pub place: Option<Place>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            content_type,
            headers: Vec::new(),
            payload: Payload::Whole(body.into()),
            drip: None,
            place: None,
        }
    }

    pub(crate) fn pieces(content_type: &'static str, pieces: Pieces) -> Self {
        Self {
            payload: Payload::Pieces(pieces),
            ..Self::new(200, content_type, Vec::new())
        }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json;charset=UTF-8", value.to_string())
    }

    pub(crate) fn html(status: u16, body: &str) -> Self {
        Self::new(status, "text/html; charset=UTF-8", body)
    }

    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn into_response(self, compressed: bool) -> Response {
        let payload = match self.payload {
            Payload::Whole(body) if compressed && body.len() > 500 => {
                Payload::Pieces(Box::new(gzip(Box::new(std::iter::once(Ok(Bytes::from(body)))))))
            }
            Payload::Pieces(pieces) if compressed => Payload::Pieces(Box::new(gzip(pieces))),
            plain => plain,
        };
        let coded = compressed && matches!(payload, Payload::Pieces(_));
        let body = match (payload, self.drip) {
            (Payload::Whole(body), _) => Body::from(body),
            (Payload::Pieces(pieces), drip) => {
                let place = self.place;
                Body::from_stream(stream::iter(pieces).then(move |piece| {
                    // A body that is still sent keeps its place.
                    let _ = &place;
                    async move {
                        if let Some(time) = drip.or(piece.is_err().then_some(BEFORE_BREAK)) {
                            tokio::time::sleep(time).await;
                        }
                        piece
                    }
                }))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if coded {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}

/// Compresses pieces as they come.
fn gzip(mut pieces: Pieces) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    let mut encoder = Some(GzEncoder::new(Vec::new(), Compression::default()));
    std::iter::from_fn(move || {
        let open = encoder.as_mut()?;
        while open.get_ref().len() < PIECE / 4 {
            match pieces.next() {
                Some(Ok(piece)) => {
                    if let Err(error) = open.write_all(&piece) {
                        return Some(Err(error));
                    }
                }
                Some(Err(error)) => {
                    encoder = None;
                    return Some(Err(error));
                }
                None => return encoder.take().map(|whole| whole.finish().map(Bytes::from)),
            }
        }
        Some(Ok(Bytes::from(std::mem::take(open.get_mut()))))
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn compressed_pieces_are_the_same_bytes() {
        let source: Vec<u8> = (0..400_000_u32).flat_map(u32::to_le_bytes).collect();
        let pieces: Vec<io::Result<Bytes>> = source
            .chunks(7_000)
            .map(|c| Ok(Bytes::copy_from_slice(c)))
            .collect();
        let packed: Vec<u8> = gzip(Box::new(pieces.into_iter()))
            .flat_map(|piece| piece.unwrap())
            .collect();
        let mut back = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, source);
    }

    #[test]
    fn a_break_stays_a_break() {
        let pieces = vec![Ok(Bytes::from_static(b"a")), Err(io::Error::other("broken off"))];
        assert!(gzip(Box::new(pieces.into_iter())).any(|piece| piece.is_err()));
    }
}
