//! Answers that are too much or come too late, each for a call with a bound of its own.
//!
//! Where a bound is more than a test has time or memory for, the client gets a smaller one: what counts is the same.

use std::{net::TcpStream, time::Duration};

use nightshift_metadata::{Described, ListingContext, RawListing, correct_listing};
use nightshift_salesforce::{BULK_COLUMNS, BULK_ROW_BYTES, CallLimit, CallLimits, HttpSettings, MIB};

use crate::{
    Judged, Prepared,
    answers::{JSON, XML, envelope, raw, xml},
    calls::Call,
    web::{Answer, End, http},
};

const CSV: &str = "content-type: text/csv\r\n";
const SOON: Duration = Duration::from_millis(400);
const LATE: Duration = Duration::from_millis(1_000);

/// Calls whose times are bounded, by the words of their inputs' names.
const CALLS: [(&str, Call); 6] = [
    ("token", Call::Token),
    ("rest", Call::Versions),
    ("soap", Call::List),
    ("poll", Call::Poll),
    ("zip", Call::Zip),
    ("bulk_rows", Call::BulkRows),
];

/// The call and its answer, if the name is one of a bound.
pub fn made(name: &str) -> Option<(Call, Answer)> {
    let of = |word: &str| {
        CALLS
            .into_iter()
            .find_map(|(known, call)| (known == word).then_some(call))
    };
    if let Some(word) = name.strip_prefix("http_no_answer_to_") {
        return Some((of(word)?, raw("", End::Silence)));
    }
    if let Some(word) = name.strip_prefix("http_answer_that_drips_for_ever_to_") {
        return Some((
            of(word)?,
            raw(format!("HTTP/1.1 200 OK\r\n{}\r\n", begun(word)), End::Drip),
        ));
    }
    too_much(name)
}

/// Of an answer that goes on.
fn begun(word: &str) -> String {
    match word {
        "token" | "rest" => format!("{JSON}\r\n["),
        "bulk_rows" => format!("{CSV}\r\nId\n"),
        _ => format!("{XML}\r\n<Envelope><Body>"),
    }
}

fn too_much(name: &str) -> Option<(Call, Answer)> {
    let csv = |text: &str| http("200 OK", CSV, text);
    Some(match name {
        "http_no_connection_comes_to_be" => (Call::List, raw("", End::Close)),
        "http_poll_larger_than_its_limit" => {
            let file = "<fileProperties><fullName>A</fullName></fileProperties>".repeat(19_000);
            let status = format!("{}{}", file, " ".repeat(1 << 20));
            (Call::Poll, polled(&status))
        }
        "http_zip_larger_than_its_limit" => {
            let text = "A".repeat(2 << 20);
            let result = format!("<done>true</done><status>Succeeded</status><zipFile>{text}</zipFile>");
            (Call::Zip, polled(&result))
        }
        "http_bulk_rows_larger_than_their_limit" => (Call::BulkRows, csv(&"Id\n".repeat(400_000))),
        "bulk_row_larger_than_its_limit" => (
            Call::BulkRows,
            csv(&format!("Id\n{}\n", "x".repeat(BULK_ROW_BYTES + 1))),
        ),
        "bulk_more_columns_than_its_limit" => (Call::BulkRows, csv(&"x,".repeat(BULK_COLUMNS))),
        "soap_record_larger_than_its_limit" => {
            let values = format!("<value>{}</value>", "x".repeat(900_000)).repeat(10);
            let records = format!("<result><records><fullName>A</fullName>{values}</records></result>");
            let response = format!("<readMetadataResponse>{records}</readMetadataResponse>");
            (Call::Read, xml(&envelope(&response)))
        }
        _ => return None,
    })
}

fn polled(inside: &str) -> Answer {
    xml(&envelope(&format!(
        "<checkRetrieveStatusResponse><result>{inside}</result></checkRetrieveStatusResponse>"
    )))
}

fn each(limits: &mut CallLimits) -> [&mut CallLimit; 6] {
    [
        &mut limits.token,
        &mut limits.rest,
        &mut limits.soap,
        &mut limits.poll,
        &mut limits.zip,
        &mut limits.bulk_results,
    ]
}

/// Bounds that are made smaller for this input.
pub fn shorten(name: &str, settings: &mut HttpSettings) {
    let limits = &mut settings.limits;
    if name == "http_no_connection_comes_to_be" {
        settings.connect_timeout = SOON;
    }
    if name.contains("no_answer") {
        for limit in each(limits) {
            limit.first_byte = SOON;
        }
    }
    if name.contains("drips") {
        for limit in each(limits) {
            limit.whole = LATE;
        }
    }
    match name {
        "soap_body_larger_than_its_limit" => limits.soap.body = MIB,
        "http_poll_larger_than_its_limit" => limits.poll.body = MIB,
        "http_zip_larger_than_its_limit" => limits.zip.body = MIB,
        "http_bulk_rows_larger_than_their_limit" => limits.bulk_results.body = MIB,
        _ => {}
    }
}

/// A port whose queue of connections is full: who knocks hears nothing.
pub fn deaf() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let knocks = (0..100_000).map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(200)));
    let waiting: Vec<TcpStream> = knocks.map_while(Result::ok).collect();
    // for as long as this process lives
    std::mem::forget((listener, waiting));
    address.port()
}

/// An entry of a listing whose type has a name that no type has: it is left out, its neighbour is not.
pub fn type_name() -> Prepared {
    let entry = |type_name: &str| RawListing {
        type_name: Some(type_name.to_owned()),
        full_name: Some("A".to_owned()),
        ..RawListing::default()
    };
    let (bad, good) = (entry(&"x".repeat(256)), entry("ApexClass"));
    Box::new(move || {
        let described = Described::default();
        let context = ListingContext {
            asked: &["ApexClass", "Layout"],
            described: &described,
            own_namespace: None,
        };
        let left_out = correct_listing(&bad, &context).unwrap_err().left_out();
        let harm = correct_listing(&good, &context).err();
        Judged {
            code: left_out.reason.as_str().to_owned(),
            text: left_out.detail,
            harm: harm.map(|fault| fault.to_string()).unwrap_or_default(),
        }
    })
}
