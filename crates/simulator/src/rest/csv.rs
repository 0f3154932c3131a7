//! Results of Bulk jobs as CSV: every value in quotes, written while it is sent, pages named by the row they begin with.

use std::{io, ops::Range, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;

use super::{columns::Column, records::Found};
use crate::{http::PIECE, org::Org};

/// The name of the page that begins with a row.
pub(super) fn locator(at: usize) -> String {
    STANDARD.encode(at.to_string())
}

/// The row with which the page of that name begins.
pub(super) fn place(locator: &str) -> Option<usize> {
    String::from_utf8(STANDARD.decode(locator).ok()?)
        .ok()?
        .parse()
        .ok()
}

/// Header and rows, some rows at a time.
pub(super) fn csv(
    org: Arc<Org>,
    found: Arc<Found>,
    mut places: Range<usize>,
    end: &'static str,
) -> impl Iterator<Item = io::Result<Bytes>> + Send {
    let mut header = Some(line(found.columns.iter().map(Column::path), end));
    std::iter::from_fn(move || {
        let mut out = header.take().unwrap_or_default();
        while out.len() < PIECE {
            let Some(at) = places.next() else { break };
            let row = found.row(&org, at);
            out.push_str(&line(
                found.columns.iter().map(|column| Found::text(&row, column)),
                end,
            ));
        }
        (!out.is_empty()).then(|| Ok(Bytes::from(out)))
    })
}

/// One line, every value in quotes.
fn line(values: impl Iterator<Item = String>, end: &str) -> String {
    let quoted: Vec<String> = values
        .map(|value| format!("\"{}\"", value.replace('"', "\"\"")))
        .collect();
    quoted.join(",") + end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_quotes_every_value() {
        let values = ["a", "says \"yes\"", "two\nlines", ""].map(str::to_owned);
        assert_eq!(
            line(values.into_iter(), "\n"),
            "\"a\",\"says \"\"yes\"\"\",\"two\nlines\",\"\"\n"
        );
    }

    #[test]
    fn a_locator_is_the_place_where_the_next_page_begins() {
        assert_eq!(place(&locator(50_000)), Some(50_000));
        assert_eq!(place("MTAwMDA="), Some(10_000));
        assert_eq!(place("x"), None);
    }
}
