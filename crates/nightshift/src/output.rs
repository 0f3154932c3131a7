//! Results on stdout: one JSON document, lines, or a table. A reader that goes away early is no error.

use std::io::{self, Write};

use serde_json::Value;

/// One document.
pub fn json(value: &Value) {
    line(&value.to_string());
}

/// One line.
pub fn line(text: &str) {
    bytes(text.as_bytes());
    bytes(b"\n");
}

/// Bytes as they are.
pub fn bytes(bytes: &[u8]) {
    let mut out = io::stdout().lock();
    if let Err(error) = out.write_all(bytes).and_then(|()| out.flush()) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        eprintln!("nightshift: stdout: {error}");
        std::process::exit(1);
    }
}

/// A document's fields, one a line, the keys in a column of this width.
pub fn fields(document: &Value, width: usize) {
    for (key, value) in document.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line(&format!("{key:<width$} {text}"));
    }
}

/// Columns as wide as their widest cell; numbers to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let numeric: Vec<bool> = (0..head.len())
        .map(|column| {
            !rows.is_empty()
                && rows
                    .iter()
                    .all(|row| row[column].parse::<f64>().is_ok() || row[column].is_empty())
        })
        .collect();
    let show = |cells: Vec<&str>| {
        let padded = cells.iter().enumerate().map(|(column, cell)| {
            let space = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            if numeric[column] {
                format!("{space}{cell}")
            } else {
                format!("{cell}{space}")
            }
        });
        line(padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    show(head.to_vec());
    for row in rows {
        show(row.iter().map(String::as_str).collect());
    }
}
