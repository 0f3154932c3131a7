//! What happens to a good answer on its way out: bodies that break off, bodies that come by drops.

use std::{io, time::Duration};

use bytes::Bytes;

use crate::{
    calls::Call,
    faults::{Fault, FaultKind},
    http::{Answer, PIECE, Payload, Pieces},
    org::Org,
};

/// Sends the answer as the org's faults want it. The zip has its own ways to go wrong (`spoil`).
pub(crate) fn sent(org: &Org, call: Call, answer: Answer) -> Answer {
    let kinds = [FaultKind::CutBody, FaultKind::SlowDrip, FaultKind::NulInResults];
    let Some(fault) = org.fault(call, &kinds, |fault| concerns(fault, call)) else {
        return answer;
    };
    match fault.kind {
        FaultKind::CutBody => cut(answer),
        FaultKind::NulInResults => with_nul(answer),
        _ => dripping(answer, Duration::from_millis(fault.millis.unwrap_or(0))),
    }
}

/// Drops are for zips, unless other calls are named.
fn concerns(fault: &Fault, call: Call) -> bool {
    match fault.kind {
        FaultKind::CutBody => return true,
        FaultKind::NulInResults => return call == Call::BulkResults,
        _ => {}
    }
    call != Call::Download && fault.calls.contains(&call)
}

fn cut(answer: Answer) -> Answer {
    let body: Pieces = match answer.payload {
        Payload::Whole(mut body) => {
            body.truncate(body.len() / 2);
            Box::new(std::iter::once(Ok(Bytes::from(body))))
        }
        Payload::Pieces(mut pieces) => {
            // The half of the first piece: an answer of one piece must not come whole.
            let first = pieces
                .next()
                .map(|piece| piece.map(|bytes| bytes.slice(..bytes.len() / 2)));
            Box::new(first.into_iter())
        }
    };
    let end = || io::Error::new(io::ErrorKind::ConnectionReset, "broken off by a fault");
    let broken = body.chain(std::iter::once_with(move || Err(end())));
    Answer {
        payload: Payload::Pieces(Box::new(broken)),
        ..answer
    }
}

/// The first cell of the first row begins with a NUL.
fn with_nul(answer: Answer) -> Answer {
    let Payload::Pieces(mut pieces) = answer.payload else {
        return answer;
    };
    let first = pieces.next().map(|piece| {
        piece.map(|bytes| {
            let cell = bytes
                .windows(2)
                .position(|pair| pair == b"\n\"")
                .map_or(bytes.len(), |at| at + 2);
            Bytes::from([&bytes[..cell], b"\0", &bytes[cell..]].concat())
        })
    });
    Answer {
        payload: Payload::Pieces(Box::new(first.into_iter().chain(pieces))),
        ..answer
    }
}

fn dripping(answer: Answer, time: Duration) -> Answer {
    let payload = match answer.payload {
        Payload::Whole(body) => {
            let drops: Vec<io::Result<Bytes>> = body
                .chunks(PIECE / 16)
                .map(|drop| Ok(Bytes::copy_from_slice(drop)))
                .collect();
            Payload::Pieces(Box::new(drops.into_iter()))
        }
        pieces @ Payload::Pieces(_) => pieces,
    };
    Answer {
        payload,
        drip: Some(time),
        ..answer
    }
}
