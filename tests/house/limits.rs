//! The page of limits: each bound with its value in the code, what comes of passing it, and the bad input that does.

use std::time::Duration;

use nightshift::config::limits as configuration;
use nightshift_archive::Limits;
use nightshift_domain::schedule::Window;
use nightshift_metadata::{NAME_BYTES, TYPE_NAME_BYTES, XmlLimits};
use nightshift_queue as queue;
use nightshift_salesforce::{CallLimits, HttpSettings, bounds};

use crate::{pages::table_of_page, sources::read};

/// What, how much, what beyond, which row of `tests/bad_inputs/table.tsv` passes it; or in some words why none does.
type Row = (String, String, &'static str, &'static str);

#[expect(
    clippy::needless_pass_by_value,
    reason = "a row reads as a row, without a & before each limit"
)]
fn row(what: &str, limit: impl ToString, beyond: &'static str, input: &'static str) -> Row {
    (what.to_owned(), limit.to_string(), beyond, input)
}

fn of_zips() -> Vec<Row> {
    let zip = Limits::default();
    vec![
        row(
            "zip: entries",
            zip.entries,
            "archive_too_many_entries",
            "zip_more_entries_than_its_limit",
        ),
        row(
            "zip: unpacked bytes of one entry",
            zip.entry_bytes,
            "archive_entry_too_large",
            "zip_entry_larger_than_its_limit",
        ),
        row(
            "zip: compressed bytes of one entry",
            zip.entry_compressed_bytes,
            "archive_entry_too_large",
            "zip_entry_with_more_compressed_bytes_than_its_limit",
        ),
        row(
            "zip: unpacked bytes of all",
            zip.unpacked_bytes,
            "archive_too_large",
            "zip_larger_than_its_limit",
        ),
        row(
            "zip: compressed bytes of all",
            zip.compressed_bytes,
            "archive_too_large",
            "zip_with_more_bytes_than_its_limit",
        ),
        row(
            "zip: unpacked for each compressed byte",
            zip.ratio,
            "archive_bomb",
            "zip_bomb",
        ),
        row(
            "zip: bytes of a name",
            zip.name_bytes,
            "archive_bad_path",
            "zip_name_longer_than_its_limit",
        ),
        row(
            "zip: segments of a name",
            zip.depth,
            "archive_bad_path",
            "zip_name_deeper_than_its_limit",
        ),
    ]
}

fn of_files() -> Vec<Row> {
    let xml = XmlLimits::DEFAULT;
    vec![
        row(
            "XML: levels",
            xml.depth,
            "xml_too_deep",
            "xml_deeper_than_its_limit",
        ),
        row(
            "XML: attributes of an element",
            xml.attributes,
            "xml_too_complex",
            "xml_more_attributes_than_its_limit",
        ),
        row(
            "XML: bytes of a tag",
            xml.tag_bytes,
            "xml_too_complex",
            "xml_tag_longer_than_its_limit",
        ),
        row(
            "XML: bytes of a text",
            xml.text_bytes,
            "xml_text_too_large",
            "xml_text_longer_than_its_limit",
        ),
        row(
            "XML: elements",
            xml.elements,
            "xml_too_complex",
            "xml_more_elements_than_its_limit",
        ),
        row(
            "component: bytes of a full name",
            NAME_BYTES,
            "invalid_name",
            "xml_name_longer_than_its_limit",
        ),
    ]
}

fn of_answers() -> Vec<Row> {
    let unreadable = "xml_malformed";
    vec![
        row(
            "answer: bytes of its headers",
            bounds::HEADER_BYTES,
            "http_headers_too_large",
            "http_headers_larger_than_their_limit",
        ),
        row(
            "answer: fields of its headers",
            bounds::HEADER_FIELDS,
            "http_headers_too_large",
            "http_more_headers_than_their_limit",
        ),
        row(
            "envelope: levels",
            bounds::LEVELS,
            unreadable,
            "soap_deeper_than_its_limit",
        ),
        row(
            "envelope: bytes of a tag",
            bounds::EVENT_BYTES,
            unreadable,
            "soap_tag_larger_than_its_limit",
        ),
        row(
            "envelope: bytes of a text beside the zip",
            bounds::EVENT_BYTES,
            unreadable,
            "soap_text_larger_than_its_limit",
        ),
        row(
            "envelope: leaves of an entry",
            bounds::LEAVES,
            unreadable,
            "soap_more_leaves_than_an_entry_has",
        ),
        row(
            "describe: types",
            bounds::TYPES,
            unreadable,
            "soap_more_types_than_a_describe_has",
        ),
        row(
            "retrieve: files, and messages",
            bounds::FILES,
            "salesforce_unexpected",
            "soap_more_files_than_a_retrieve_has",
        ),
    ]
}

fn of_calls() -> Vec<Row> {
    let settings = HttpSettings::default();
    let CallLimits {
        token,
        rest,
        soap,
        poll,
        zip,
        bulk_results,
    } = settings.limits;
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    let mut rows = vec![row(
        "call: until a connection stands",
        seconds(settings.connect_timeout),
        "salesforce_unreachable",
        "http_no_connection_comes_to_be",
    )];
    let large = "http_body_too_large";
    let calls = [
        (
            "token",
            token,
            [
                "http_no_answer_to_token",
                "http_answer_that_drips_for_ever_to_token",
            ],
            (large, "http_token_larger_than_its_limit"),
        ),
        (
            "REST",
            rest,
            ["http_no_answer_at_all", "http_answer_that_drips_for_ever_to_rest"],
            (large, "http_body_larger_than_its_limit"),
        ),
        (
            "SOAP",
            soap,
            ["http_no_answer_to_soap", "http_body_that_drips_for_ever"],
            (large, "soap_body_larger_than_its_limit"),
        ),
        (
            "poll",
            poll,
            [
                "http_no_answer_to_poll",
                "http_answer_that_drips_for_ever_to_poll",
            ],
            // an answer to a poll that cannot be read is asked for again
            ("salesforce_unexpected", "http_poll_larger_than_its_limit"),
        ),
        (
            "zip",
            zip,
            ["http_no_answer_to_zip", "http_answer_that_drips_for_ever_to_zip"],
            (large, "http_zip_larger_than_its_limit"),
        ),
        (
            "Bulk's rows",
            bulk_results,
            [
                "http_no_answer_to_bulk_rows",
                "http_answer_that_drips_for_ever_to_bulk_rows",
            ],
            (large, "http_bulk_rows_larger_than_their_limit"),
        ),
    ];
    for (name, call, [silent, dripping], (code, larger)) in calls {
        let unreachable = "salesforce_unreachable";
        rows.push(row(
            &format!("{name}: until the answer begins"),
            seconds(call.first_byte),
            unreachable,
            silent,
        ));
        rows.push(row(
            &format!("{name}: until all of it came"),
            seconds(call.whole),
            unreachable,
            dripping,
        ));
        rows.push(row(&format!("{name}: bytes, unpacked"), call.body, code, larger));
    }
    rows.push(row(
        "call: longest pause in an answer",
        seconds(settings.idle_timeout),
        "salesforce_unreachable",
        "http_pause_in_the_body",
    ));
    rows
}

fn of_messages() -> Vec<Row> {
    let dead = "dead letter: request_invalid";
    vec![
        row(
            "request: bytes",
            queue::REQUEST_BYTES_MAX,
            dead,
            "request_longer_than_its_limit",
        ),
        row(
            "request: headers",
            queue::REQUEST_HEADERS_MAX,
            dead,
            "request_more_headers_than_its_limit",
        ),
        row(
            "request: levels of JSON",
            1,
            dead,
            "request_deeper_than_it_can_be",
        ),
        row(
            "request: characters of `org`",
            queue::ORG_CHARACTERS_MAX,
            dead,
            "request_org_longer_than_its_limit",
        ),
        row(
            "request: characters of `reason`",
            queue::REASON_CHARACTERS_MAX,
            dead,
            "request_reason_longer_than_its_limit",
        ),
        row(
            "request: characters of `id`",
            queue::ID_CHARACTERS_MAX,
            dead,
            "request_id_longer_than_its_limit",
        ),
        row(
            "job's message: bytes",
            queue::JOB_BYTES_MAX,
            "dead letter",
            "job_longer_than_its_limit",
        ),
    ]
}

fn of_the_configuration() -> Vec<Row> {
    let usage = "exit 2";
    let days = configuration::DURATION_SECONDS_MAX / 86_400;
    vec![
        row(
            "configuration: bytes of its file",
            configuration::FILE_BYTES_MAX,
            usage,
            "configuration_larger_than_its_limit",
        ),
        row(
            "configuration: items of a list",
            configuration::LIST_MAX,
            usage,
            "configuration_variable_with_too_many_items",
        ),
        row(
            "configuration: shortest duration",
            "1",
            usage,
            "configuration_duration_is_zero",
        ),
        row(
            "configuration: longest duration",
            format!("{days} days"),
            usage,
            "configuration_duration_longer_than_its_limit",
        ),
    ]
}

fn rows() -> Vec<Row> {
    let names = vec![
        row("window of a new org", Window::NIGHT, "", "a default, no bound"),
        row(
            "org: characters of its name",
            100,
            "exit 2",
            "org_name_longer_than_its_limit",
        ),
        row(
            "type: bytes of its name",
            TYPE_NAME_BYTES,
            "left out",
            "soap_type_name_longer_than_its_limit",
        ),
        row(
            "listing: entries",
            bounds::LISTED,
            "xml_malformed",
            "takes a test too long",
        ),
        row(
            "readMetadata: bytes of a record",
            bounds::RECORD_BYTES,
            "xml_malformed",
            "soap_record_larger_than_its_limit",
        ),
        row(
            "Bulk: bytes of a row",
            nightshift_salesforce::BULK_ROW_BYTES,
            "salesforce_unexpected",
            "bulk_row_larger_than_its_limit",
        ),
        row(
            "Bulk: columns",
            nightshift_salesforce::BULK_COLUMNS,
            "salesforce_unexpected",
            "bulk_more_columns_than_its_limit",
        ),
    ];
    [
        names,
        of_zips(),
        of_files(),
        of_answers(),
        of_calls(),
        of_messages(),
        of_the_configuration(),
    ]
    .concat()
}

/// Words for people instead of the name of an input.
fn is_reason(input: &str) -> bool {
    input.contains(' ')
}

#[test]
fn the_page_of_limits_is_what_the_code_says() {
    let cell = |word: &str| {
        if word.is_empty() {
            String::new()
        } else {
            format!("`{word}`")
        }
    };
    let input_cell = |input: &str| {
        if is_reason(input) {
            input.to_owned()
        } else {
            cell(input)
        }
    };
    let lines = rows().into_iter().map(|(what, limit, beyond, input)| {
        format!(
            "| {what} | {limit} | {} | {} |\n",
            cell(beyond),
            input_cell(input)
        )
    });
    let head = "| what | limit | beyond | bad input |\n| --- | --- | --- | --- |\n";
    let wanted = format!("{head}{}", lines.collect::<String>());
    table_of_page("docs/limits.md", "limits", &wanted);
}

#[test]
fn each_limit_is_passed_by_a_bad_input_that_gets_what_the_page_says() {
    let table = read("tests/bad_inputs/table.tsv");
    let inputs: Vec<Vec<&str>> = table.lines().map(|line| line.split('\t').collect()).collect();
    for (what, _, beyond, input) in rows().into_iter().filter(|(.., input)| !is_reason(input)) {
        let found = inputs.iter().find(|fields| fields[1] == input);
        let code = found.unwrap_or_else(|| panic!("{what}: there is no bad input {input}"))[2];
        let is_failure = beyond.contains('_') && !beyond.contains(' ');
        assert!(
            !is_failure || code == beyond,
            "{what}: {input} gets {code}, the page says {beyond}"
        );
    }
    assert_eq!(nightshift_salesforce::bounds::TYPE_NAME_BYTES, TYPE_NAME_BYTES);
}
