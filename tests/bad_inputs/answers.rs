//! What proxies, maintenance pages and attackers answer instead of Salesforce, to the client that production uses.
//!
//! Answers that are only too much or too late, each beyond a bound of its own, stand in `bounded.rs`.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use nightshift_salesforce::{HostPolicy, Http, HttpSettings, Proxy, Salesforce};

use crate::{
    Prepared, bounded,
    calls::{Call, ask, client, list},
    judged,
    retrieves::RUNTIME,
    web::{Answer, End, http, serve},
};

pub fn prepare(name: &str) -> Prepared {
    if name == "soap_type_name_longer_than_its_limit" {
        return bounded::type_name();
    }
    let (call, answer) = bounded::made(name).unwrap_or_else(|| made(name));
    let port = match name {
        "http_nobody_listens" => 1,
        "http_no_connection_comes_to_be" => bounded::deaf(),
        _ => serve(answer, xml(&listing("<result><fullName>A</fullName></result>"))),
    };
    let mut settings = HttpSettings {
        proxy: Proxy::None,
        idle_timeout: Duration::from_millis(400),
        ..HttpSettings::default()
    };
    // what pauses and what drips is refused by the same clock as in production, which goes slower
    bounded::shorten(name, &mut settings);
    let salesforce = Salesforce::new(Http::new(settings).unwrap(), HostPolicy::new(["127.0.0.1"]));
    let alone = ["http_nobody_listens", "http_no_connection_comes_to_be"].contains(&name);
    let neighbour = (!alone).then(|| client(&salesforce, port, "NEIGHBOUR"));
    if let Some(neighbour) = &neighbour {
        // connections, buffers and tables that every process has
        RUNTIME.block_on(list(neighbour)).unwrap();
    }
    Box::new(move || {
        let error = RUNTIME.block_on(ask(&salesforce, port, call)).unwrap_err();
        let harm = neighbour.and_then(|neighbour| RUNTIME.block_on(list(&neighbour)).err());
        let failed = error.step_error();
        judged(
            failed.code.as_str().to_owned(),
            &failed.message,
            harm.map(|error| error.to_string()).unwrap_or_default(),
        )
    })
}

pub const JSON: &str = "content-type: application/json\r\n";
pub const XML: &str = "content-type: text/xml\r\n";
const HTML: &str = "content-type: text/html\r\n";

pub fn envelope(body: &str) -> String {
    format!("<Envelope><Body>{body}</Body></Envelope>")
}

pub fn listing(entries: &str) -> String {
    envelope(&format!("<listMetadataResponse>{entries}</listMetadataResponse>"))
}

fn polled(inside: &str) -> String {
    envelope(&format!(
        "<checkRetrieveStatusResponse><result>{inside}</result></checkRetrieveStatusResponse>"
    ))
}

pub fn xml(text: &str) -> Answer {
    http("200 OK", XML, text)
}

pub fn json(text: impl AsRef<[u8]>) -> Answer {
    http("200 OK", JSON, text)
}

pub fn raw(bytes: impl AsRef<[u8]>, end: End) -> Answer {
    Answer {
        bytes: bytes.as_ref().to_vec(),
        end,
    }
}

fn gzip(bytes: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&spaces).unwrap();
    }
    encoder.finish().unwrap()
}

fn packed(body: &[u8]) -> Answer {
    http(
        "200 OK",
        "content-type: application/json\r\ncontent-encoding: gzip\r\n",
        body,
    )
}

const PAGE: &str = "<!DOCTYPE html><h1>down for maintenance</h1>";
const TOKEN: &str = r#"{"access_token":"00Dxx!t","instance_url":"http://127.0.0.1:1/","id":"https://x.test/id/00Dxx0000001gEREAY/005xx000001Sv6AAAS"}"#;

fn made(name: &str) -> (Call, Answer) {
    match name.split_once('_').unwrap().0 {
        "http" => of_http(name),
        "json" => of_json(name),
        _ => of_soap(name),
    }
}

fn of_http(name: &str) -> (Call, Answer) {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n";
    let begun = format!("{head}content-length: 1000\r\n\r\n<Envelope><Body>");
    match name {
        "http_page_instead_of_xml" => (Call::List, http("200 OK", HTML, PAGE)),
        "http_page_that_says_it_is_xml" => (Call::Describe, http("200 OK", XML, PAGE)),
        "http_maintenance_page" => (Call::Versions, http("503 Service Unavailable", HTML, PAGE)),
        "http_redirect_elsewhere" => (
            Call::Versions,
            http("302 Found", "location: http://127.0.0.1:1/\r\n", ""),
        ),
        "http_answer_that_is_no_http" => (Call::List, raw("SSH-2.0-OpenSSH_9.2\r\n", End::Close)),
        "http_status_that_is_none" => (Call::List, raw("HTTP/1.1 banana\r\n\r\n", End::Close)),
        "http_nobody_listens" | "http_connection_closed_unanswered" => (Call::List, raw("", End::Close)),
        "http_no_answer_at_all" => (Call::Versions, raw("", End::Silence)),
        "http_pause_in_the_body" => (Call::List, raw(begun, End::Silence)),
        "http_body_that_drips_for_ever" => {
            let endless = format!("{head}\r\n<Envelope><Body>");
            (Call::List, raw(endless, End::Drip))
        }
        "http_connection_cut_in_the_body" => (Call::List, raw(begun, End::Close)),
        "http_chunk_that_is_none" => (
            Call::List,
            raw(
                format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n<a/>\r\n"),
                End::Close,
            ),
        ),
        "http_header_line_without_end" => (
            Call::List,
            raw(format!("{head}x-long: {}", "x".repeat(1 << 20)), End::Close),
        ),
        "http_headers_larger_than_their_limit" => (
            Call::List,
            http(
                "200 OK",
                &(XML.to_owned() + &format!("x-long: {}\r\n", "x".repeat(4_000)).repeat(20)),
                listing(""),
            ),
        ),
        "http_more_headers_than_their_limit" => {
            let many = (0..101).fold(String::new(), |all, n| all + &format!("x-{n}: 1\r\n"));
            (Call::List, http("200 OK", &many, listing("")))
        }
        "http_gzip_bomb" => (Call::Versions, packed(&gzip(200 << 20))),
        "http_gzip_that_breaks_off" => {
            let whole = gzip(1 << 20);
            (Call::Versions, packed(&whole[..whole.len() / 2]))
        }
        "http_gzip_that_is_none" => (Call::Versions, packed(b"[{\"version\":\"66.0\"}]")),
        "http_body_larger_than_its_limit" => (Call::Versions, json(vec![b' '; (32 << 20) + 1])),
        "http_token_larger_than_its_limit" => (Call::Token, json(vec![b' '; (1 << 20) + 1])),
        other => panic!("{other} is not made here"),
    }
}

fn of_json(name: &str) -> (Call, Answer) {
    match name {
        "json_that_breaks_off" => (Call::Versions, json(r#"[{"version":"66.0"}"#)),
        "json_of_another_shape" => (Call::Versions, json(r#"{"versions":["66.0"]}"#)),
        "json_a_hundred_thousand_levels" => (Call::Versions, json("[".repeat(100_000))),
        "json_bytes_that_are_no_utf8" => (Call::Versions, json(b"[{\"version\":\"\xff\"}]")),
        "json_empty" => (Call::Versions, json("")),
        "json_only_versions_that_are_too_old" => {
            (Call::Versions, json(r#"[{"version":"20.0"},{"version":"x"}]"#))
        }
        "json_identity_without_an_org" => (Call::Identity, json(r#"{"organization_id":"","user_id":"005"}"#)),
        "json_token_that_is_a_jwt" => (
            Call::Token,
            json(TOKEN.replace("00Dxx!t", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln")),
        ),
        "json_token_for_a_foreign_host" => (
            Call::Token,
            json(TOKEN.replace("http://127.0.0.1:1", "https://evil.test")),
        ),
        "json_token_of_no_org" => (Call::Token, json(TOKEN.replace("00Dxx0000001gEREAY", "nobody"))),
        "json_error_of_an_unknown_code" => (
            Call::Versions,
            http(
                "418 Teapot",
                JSON,
                r#"[{"message":"short and stout","errorCode":"TEAPOT"}]"#,
            ),
        ),
        other => panic!("{other} is not made here"),
    }
}

fn of_soap(name: &str) -> (Call, Answer) {
    let entry = |inside: &str| xml(&listing(&format!("<result>{inside}</result>")));
    match name {
        "soap_empty" => (Call::List, xml("")),
        "soap_document_type" => (Call::List, xml("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>")),
        "soap_unknown_entity" => (Call::List, entry("<fullName>&nope;</fullName>")),
        "soap_nul" => (Call::List, entry("<fullName>&#0;</fullName>")),
        "soap_bytes_that_are_no_utf8" => (
            Call::List,
            http(
                "200 OK",
                XML,
                [b"<Envelope><Body>\xc3\x28".as_slice(), b"</Body></Envelope>"].concat(),
            ),
        ),
        "soap_deeper_than_its_limit" => (Call::List, xml(&"<a>".repeat(100_000))),
        "soap_tag_larger_than_its_limit" => {
            (Call::List, entry(&format!("<x a=\"{}\"/>", "x".repeat(2 << 20))))
        }
        "soap_text_larger_than_its_limit" => (Call::List, entry(&format!("<x>{}</x>", "x".repeat(2 << 20)))),
        "soap_more_leaves_than_an_entry_has" => (Call::List, entry(&"<x>1</x>".repeat(10_001))),
        "soap_more_types_than_a_describe_has" => {
            let types = "<metadataObjects><xmlName>A</xmlName></metadataObjects>".repeat(10_001);
            (
                Call::Describe,
                xml(&envelope(&format!(
                    "<describeMetadataResponse><result>{types}</result></describeMetadataResponse>"
                ))),
            )
        }
        "soap_more_files_than_a_retrieve_has" => {
            (Call::Poll, xml(&polled(&"<fileProperties/>".repeat(20_003))))
        }
        "soap_body_larger_than_its_limit" => (Call::List, xml(&listing(&"<result/>".repeat(130_000)))),
        "soap_that_breaks_off" => (
            Call::List,
            http("200 OK", XML, &listing("<result/>").as_bytes()[..60]),
        ),
        "soap_two_roots" => (Call::List, xml(&(listing("") + &listing("")))),
        "soap_text_behind_its_root" => (Call::List, xml(&(listing("") + "rubbish"))),
        "soap_wrong_end_tag" => (Call::List, entry("<fullName>A</fullname>")),
        "soap_answer_of_another_call" => (Call::List, xml(&polled("<done>true</done>"))),
        "soap_fault_of_an_unknown_code" => {
            let fault = "<Fault><faultcode>sf:TEAPOT</faultcode><faultstring>TEAPOT: short and stout</faultstring></Fault>";
            (
                Call::List,
                http("500 Internal Server Error", XML, envelope(fault)),
            )
        }
        "soap_fault_without_a_word" => (Call::List, http("500 Internal Server Error", XML, "")),
        "soap_retrieve_without_an_id" => (
            Call::Retrieve,
            xml(&envelope("<retrieveResponse><result/></retrieveResponse>")),
        ),
        "soap_retrieve_with_an_id_that_is_none" => {
            let id = "<id>'; DROP TABLE job; --</id>";
            (
                Call::Retrieve,
                xml(&envelope(&format!(
                    "<retrieveResponse><result>{id}</result></retrieveResponse>"
                ))),
            )
        }
        "soap_status_that_nobody_knows" => (Call::Poll, xml(&polled("<status>Pondering</status>"))),
        other => panic!("{other} is not made here"),
    }
}
