//! The fuzzers' corpus, once through each body: what a fuzzer has found stays found.

#[path = "../fuzz/bodies.rs"]
mod bodies;
#[path = "../fuzz/configuration/body.rs"]
mod configuration;

use std::{fs, path::Path};

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/fuzz/corpus")
        .join(target);
    let mut inputs = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let calm = std::panic::catch_unwind(|| body(&bytes));
        assert!(calm.is_ok(), "{} broke it", path.display());
        inputs += 1;
    }
    assert!(inputs > 20, "{} has {inputs} inputs only", folder.display());
}

#[test]
fn no_recorded_bytes_make_the_reader_of_envelopes_panic() {
    replay("envelope", bodies::envelope);
}

#[test]
fn no_recorded_bytes_make_the_reader_of_zips_panic() {
    replay("zip", bodies::zip);
}

#[test]
fn no_recorded_bytes_make_the_reader_of_metadata_panic() {
    replay("metadata", bodies::metadata);
}

#[test]
fn no_recorded_bytes_make_the_reader_of_messages_panic() {
    replay("message", bodies::message);
}

#[test]
fn no_recorded_bytes_make_the_reader_of_the_configuration_panic() {
    replay("configuration", configuration::configuration);
}
