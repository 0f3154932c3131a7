//! The answer of a retrieve, read as a worker's ingest reads it, up to where rows would be written.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use nightshift_archive::Limits;
use nightshift_metadata::{Assembled, Described};
use nightshift_salesforce::{Recorded, ZipAnswer};
use nightshift_sync::ingest::{Broken, Item, failure_of, read, whole};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{Judged, Prepared};

pub static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

/// What a zip brought.
#[derive(PartialEq, Eq, Debug)]
pub struct Brought {
    pub members: Vec<String>,
    /// Members that cannot be read: name, code, words.
    pub lost: Vec<(String, &'static str, String)>,
    /// Code and words, where the zip itself is bad.
    pub end: Result<(), (String, String)>,
}

/// An answer whose zip is this text.
pub fn answer(text: &[u8]) -> Vec<u8> {
    let before = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
        xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"http://soap.sforce.com/2006/04/metadata\">\
        <soapenv:Body><checkRetrieveStatusResponse><result><done>true</done><status>Succeeded</status><zipFile>";
    let behind = "</zipFile></result></checkRetrieveStatusResponse></soapenv:Body></soapenv:Envelope>";
    [before.as_bytes(), text, behind.as_bytes()].concat()
}

/// An answer with this zip.
pub fn answer_with(zip: &[u8]) -> Vec<u8> {
    answer(STANDARD.encode(zip).as_bytes())
}

/// Reads it, in pieces as a network brings them.
pub async fn bring(body: Vec<u8>, limits: Limits) -> Brought {
    let body = Bytes::from(body);
    let pieces = (0..body.len()).step_by(16 << 10);
    let pieces = pieces
        .map(|at| body.slice(at..body.len().min(at + (16 << 10))))
        .collect();
    let mut brought = Brought {
        members: Vec::new(),
        lost: Vec::new(),
        end: Ok(()),
    };
    let failed = |error: &nightshift_salesforce::SalesforceError| {
        Err((error.step_error().code.as_str().to_owned(), error.to_string()))
    };
    let download = match Recorded(pieces).zip().await {
        Ok(ZipAnswer::Zip(download)) => download,
        Ok(other) => panic!("an answer with a zip: {other:?}"),
        Err(error) => {
            brought.end = failed(&error);
            return brought;
        }
    };
    let (send, mut parcels) = mpsc::channel(16);
    let reader = download.reader;
    let thread = tokio::task::spawn_blocking(move || read(reader, &Described::default(), limits, &send));
    while let Some(parcel) = parcels.recv().await {
        for item in parcel {
            match item {
                Item::Assembled(Assembled::Member(member)) => {
                    brought.members.push(member.component.key.to_string());
                }
                Item::Assembled(Assembled::Unreadable(lost)) => {
                    // the words that the sync reports of it
                    let words = format!("{} in {}: {}", lost.error.code(), lost.path, lost.error);
                    brought
                        .lost
                        .push((lost.key.to_string(), lost.error.code(), words));
                }
                Item::Blob { .. } => {}
            }
        }
    }
    let read = thread.await.unwrap();
    brought.end = match whole(download.end.wait().await, read) {
        Ok(_) => Ok(()),
        Err(Broken::Answer(error)) => failed(&error),
        Err(Broken::Zip(fault)) => Err((failure_of(&fault).as_str().to_owned(), fault.to_string())),
    };
    brought
}

/// A small good zip of another org, which is read while the bad one is.
fn other_org() -> Vec<u8> {
    let class =
        crate::writer::Entry::deflated("unpackaged/classes/Other.cls", b"class Other {}").streamed(true);
    let meta = crate::writer::Entry::deflated("unpackaged/classes/Other.cls-meta.xml", b"<ApexClass/>");
    answer_with(&crate::writer::zip(&[class, meta]))
}

/// Gives a bad answer to the ingest; `judge` says what came of it.
pub fn prepared(body: Vec<u8>, limits: Limits, judge: fn(Brought) -> Judged) -> Prepared {
    let other = other_org();
    // threads and tables that every process has
    RUNTIME.block_on(bring(other.clone(), Limits::default()));
    Box::new(move || {
        let (bad, beside) = RUNTIME.block_on(async {
            let beside = RUNTIME.spawn(bring(other, Limits::default()));
            (bring(body, limits).await, beside.await.unwrap())
        });
        let mut judged = judge(bad);
        if beside.members != ["ApexClass Other"] || beside.end != Ok(()) {
            judged.harm = format!("the other org got {beside:?}");
        }
        judged
    })
}
