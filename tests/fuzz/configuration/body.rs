//! What the fuzzer of the configuration does with its bytes: sources as the program reads them.
//!
//! A body like those of `../bodies.rs`.

use nightshift::config::{FileText, load_texts};

/// A file up to the first NUL, then `name=value` of variables (`NIGHTSHIFT__...`) and flags, each up to the next one.
pub fn configuration(data: &[u8]) {
    let (file, rest) = match data.iter().position(|byte| *byte == 0) {
        Some(place) => (&data[..place], &data[place + 1..]),
        None => (data, &[][..]),
    };
    let file = std::str::from_utf8(file).map(|text| FileText {
        name: "nightshift.toml".to_owned(),
        text: text.to_owned(),
    });
    let pairs = rest.split(|byte| *byte == 0).filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    let (variables, flags): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name.starts_with("NIGHTSHIFT__"));
    if let Err(error) = load_texts(file.as_ref().ok(), &variables, &flags) {
        assert!(!error.to_string().is_empty());
    }
}
