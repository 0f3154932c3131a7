//! What a fuzzer does with its bytes: the readers of production, and what must hold whatever they read.
//!
//! Plain functions, one for each target (the configuration's stands in `configuration/body.rs`, for it needs the program): libFuzzer calls them in `targets`, the short replay of the corpus in
//! `tests/bad_inputs`. No bytes may make a reader panic, and no answer may depend on how the network cut it.

use std::{fmt::Debug, io::Read, sync::LazyLock};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use nightshift_archive::{ArchiveReader, Limits};
use nightshift_metadata::{
    Assembler, Described, ListingContext, Rules, TypeInfo, XmlLimits, canonical_form, correct_listing, merge,
    parse_file, registry,
};
use nightshift_queue::{JobMessage, RequestMessage};
use nightshift_salesforce::{Recorded, SalesforceError, ZipAnswer, ZipReader, read_message};
use tokio::runtime::Runtime;

/// One thread besides the caller's: the zip's reader blocks, as it does in production.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("a runtime of one thread")
});

/// The first byte says how the rest is cut. Every call reads the rest as its answer.
pub fn envelope(data: &[u8]) {
    let Some((step, body)) = data.split_first() else {
        return;
    };
    let step = 1 + usize::from(*step);
    let whole = RUNTIME.block_on(every_answer(body, body.len().max(1)));
    let cut = RUNTIME.block_on(every_answer(body, step));
    assert_eq!(whole, cut, "read whole and in pieces of {step} bytes");
}

async fn every_answer(body: &[u8], step: usize) -> Vec<String> {
    let recorded = || recorded(body, step);
    let mut answers = vec![
        said(&recorded().describe().await),
        said(&recorded().started().await),
        said(&recorded().status().await),
    ];
    let mut listed = Vec::new();
    let ended = match recorded().listing().await {
        Ok(mut listing) => loop {
            match listing.next().await {
                Ok(Some(entry)) => listed.push(corrected(&entry)),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        },
        Err(error) => Err(error),
    };
    answers.push(format!("{listed:?} {}", said(&ended)));
    answers
}

fn recorded(body: &[u8], step: usize) -> Recorded {
    Recorded(body.chunks(step).map(Bytes::copy_from_slice).collect())
}

/// What came, and of an error what is made of it. Of two faults in one answer the cuts may say which is met first.
fn said<T: Debug>(answer: &Result<T, SalesforceError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => {
            let step = error.step_error();
            assert!(step.message.len() <= 1_000, "{}", step.message);
            let _ = error.refusal().map(|refusal| read_message(&refusal.text));
            format!("{:?} {:?}", step.code, step.verdict)
        }
    }
}

fn corrected(sent: &nightshift_salesforce::RawListing) -> String {
    let raw = nightshift_metadata::RawListing {
        type_name: sent.type_name.clone(),
        full_name: sent.full_name.clone(),
        file_name: sent.file_name.clone(),
        id: sent.id.clone(),
        namespace_prefix: sent.namespace.clone(),
        manageable_state: sent.manageable_state.clone(),
        last_modified_date: sent.last_modified.clone(),
    };
    let described = Described::default();
    let context = ListingContext {
        asked: &["CustomObject", "CustomField", "Report"],
        described: &described,
        own_namespace: None,
    };
    format!("{:?}", correct_listing(&raw, &context))
}

/// The first byte says whether the rest is the base64 text, or a zip that is written as such a text.
pub fn zip(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    if how % 2 == 0 {
        let _ = through_the_answer(rest);
        return;
    }
    let direct = entries(rest);
    let through = through_the_answer(STANDARD.encode(rest).as_bytes());
    assert_eq!(through, direct, "through base64 and without it");
}

/// Names and contents until the end or the fault, and what was wrong.
type Unpacked = (Vec<(String, Vec<u8>)>, Result<(), Option<&'static str>>);

fn through_the_answer(text: &[u8]) -> Unpacked {
    let body = [
        &b"<Envelope><Body><checkRetrieveStatusResponse><result><zipFile>"[..],
        text,
        b"</zipFile></result></checkRetrieveStatusResponse></Body></Envelope>",
    ]
    .concat();
    let recorded = recorded(&body, 1_000);
    let opened = RUNTIME.block_on(RUNTIME.spawn(recorded.zip()));
    let Ok(Ok(ZipAnswer::Zip(download))) = opened else {
        return (Vec::new(), Err(Some("archive_truncated")));
    };
    let unpacked = entries::<ZipReader>(download.reader);
    let end = RUNTIME.block_on(download.end.wait());
    assert!(
        end.is_err() || unpacked.1 != Err(None),
        "a stream that failed has its reason"
    );
    unpacked
}

fn entries<R: Read>(source: R) -> Unpacked {
    let mut reader = ArchiveReader::new(source, Limits::default());
    let (mut found, mut bytes) = (Vec::new(), Vec::new());
    loop {
        match reader.next_entry(&mut bytes) {
            Ok(Some(name)) => found.push((name, bytes.clone())),
            Ok(None) => return (found, Ok(())),
            Err(fault) => return (found, Err(fault.code())),
        }
    }
}

/// Two bytes choose the type, then comes a path up to its line's end, then the file.
pub fn metadata(data: &[u8]) {
    let Some((chosen, rest)) = data.split_first_chunk::<2>() else {
        return;
    };
    let types = registry().types();
    let info = &types[usize::from(u16::from_le_bytes(*chosen)) % types.len()];
    let (path, file) = cut(rest, b'\n');
    let described = Described::default();
    let mut assembler = Assembler::new(&described);
    if let Ok(path) = std::str::from_utf8(path) {
        assembler.file(path, file);
    }
    assembler.finish();
    read_as(info, file);
}

fn read_as(info: &TypeInfo, file: &[u8]) {
    let rules = Rules::of(info);
    let form = canonical_form(file, rules, XmlLimits::DEFAULT);
    let parsed = parse_file(info, "A", file);
    assert_eq!(form.is_ok(), parsed.is_ok(), "{form:?} {parsed:?}");
    let Ok(parsed) = parsed else { return };
    for child in &parsed.children {
        let (from, to) = child.slice;
        assert_eq!(file[from as usize], b'<');
        assert_eq!(file[to as usize - 1], b'>');
    }
    let twice = [file.to_vec(), file.to_vec()];
    let merged = merge(&twice, rules, XmlLimits::DEFAULT)
        .expect("what can be read can be merged")
        .expect("of two parts");
    let again = parse_file(info, "A", &merged).expect("what was merged can be read");
    assert_eq!(again.children.len(), parsed.children.len(), "merged with itself");
}

/// A request of another program, and a message of our own.
pub fn message(data: &[u8]) {
    let _ = RequestMessage::decode(data).map_err(|error| {
        let text = error.to_string();
        assert!(text.starts_with("request_invalid"), "{text}");
    });
    if let Ok(job) = JobMessage::decode(data, None) {
        let again = JobMessage::decode(&job.encode(), None);
        assert_eq!(again.as_ref(), Ok(&job), "written and read again");
    }
}

fn cut(data: &[u8], at: u8) -> (&[u8], &[u8]) {
    match data.iter().position(|byte| *byte == at) {
        Some(place) => (&data[..place], &data[place + 1..]),
        None => (data, &[]),
    }
}
