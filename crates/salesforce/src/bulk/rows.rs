//! A page of a Bulk job's rows, streamed from CSV.
//!
//! A page may have 50,000 rows, so it is never held: one row is, and that has a limit. Salesforce quotes by RFC 4180,
//! begins each page with the names of the columns, writes nothing for null, and lets NUL through, which no database
//! takes. It says how many rows a page has: one that brings fewer broke off, whatever HTTP thought of it.

use std::str;

use bytes::{Buf, Bytes};
use csv_core::{ReadRecordResult, Reader};

use super::BulkLocator;
use crate::{
    error::{Expected, SalesforceError},
    http::{Body, Incoming},
};

/// Largest row of a Bulk job, in bytes: a hundred of Salesforce's longest texts.
pub const BULK_ROW_BYTES: usize = 16 << 20;
/// Most columns of a Bulk job: more than an object may have fields.
pub const BULK_COLUMNS: usize = 2_000;

/// See the file's head.
pub struct BulkRows {
    body: Body,
    input: Bytes,
    ended: bool,
    reader: Reader,
    /// Where the reader writes a row, kept from row to row.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    columns: Vec<String>,
    row: Row,
    seen: u64,
    announced: Option<u64>,
    ahead: Option<BulkLocator>,
}

/// The fields of one row behind each other, and where each ends.
#[derive(Default)]
struct Row {
    text: String,
    ends: Vec<usize>,
}

/// A row.
pub struct BulkRow<'a> {
    columns: &'a [String],
    row: &'a Row,
}

impl BulkRow<'_> {
    /// The value of a column by its name, as the query named it; `None` for null, which an empty text is too.
    pub fn get(&self, column: &str) -> Option<&str> {
        let at = self
            .columns
            .iter()
            .position(|name| name.eq_ignore_ascii_case(column))?;
        Some(self.row.field(at)).filter(|value| !value.is_empty())
    }

    /// The values in the order of the columns; empty for null.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        (0..self.columns.len()).map(|at| self.row.field(at))
    }
}

impl Row {
    fn field(&self, at: usize) -> &str {
        let begins = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.text[begins..self.ends[at]]
    }

    /// Takes over what the reader found, without NUL; `None` when it is no UTF-8 in some field.
    fn fill(&mut self, bytes: &[u8], ends: &[usize]) -> Option<()> {
        self.text.clear();
        self.ends.clear();
        let mut begins = 0;
        for end in ends {
            let field = str::from_utf8(&bytes[begins..*end]).ok()?;
            if field.contains('\0') {
                self.text.extend(field.chars().filter(|c| *c != '\0'));
            } else {
                self.text.push_str(field);
            }
            self.ends.push(self.text.len());
            begins = *end;
        }
        Some(())
    }
}

impl BulkRows {
    /// Reads the names of the columns. `at` is where the page began.
    pub(super) async fn open(incoming: Incoming, at: Option<&BulkLocator>) -> Result<Self, SalesforceError> {
        let announced = incoming
            .header("sforce-numberofrecords")
            .and_then(|count| count.trim().parse().ok());
        let ahead = incoming.header("sforce-locator").and_then(BulkLocator::new);
        let mut rows = Self {
            body: incoming.body,
            input: Bytes::new(),
            ended: false,
            reader: Reader::new(),
            bytes: vec![0; 4 << 10],
            ends: vec![0; 64],
            columns: Vec::new(),
            row: Row::default(),
            seen: 0,
            announced,
            ahead,
        };
        if rows.ahead.is_some() && rows.ahead.as_ref() == at {
            return Err(rows.broken("the page names itself as the next one"));
        }
        if rows.read().await? {
            let names = (0..rows.row.ends.len()).map(|at| rows.row.field(at).to_owned());
            rows.columns = names.collect();
        }
        Ok(rows)
    }

    /// The columns of the query, in its order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where the next page begins; `None` for the last one. Good once all rows of this one were read.
    pub fn ahead(&self) -> Option<&BulkLocator> {
        self.ahead.as_ref()
    }

    /// The next row; `None` at the end of a page that came whole.
    pub async fn next(&mut self) -> Result<Option<BulkRow<'_>>, SalesforceError> {
        if !self.read().await? {
            return match self.announced {
                Some(announced) if announced != self.seen => {
                    Err(self.broken(&format!("{} rows of {announced}", self.seen)))
                }
                _ => Ok(None),
            };
        }
        if self.row.ends.len() != self.columns.len() {
            let (fields, columns) = (self.row.ends.len(), self.columns.len());
            return Err(self.broken(&format!("a row of {fields} fields under {columns} columns")));
        }
        self.seen += 1;
        Ok(Some(BulkRow {
            columns: &self.columns,
            row: &self.row,
        }))
    }

    /// Reads one line of CSV into `row`; false at the end.
    async fn read(&mut self) -> Result<bool, SalesforceError> {
        let (bytes, ends) = (&mut self.bytes, &mut self.ends);
        let (mut filled, mut fields) = (0, 0);
        loop {
            while self.input.is_empty() && !self.ended {
                match self.body.next().await? {
                    Some(piece) => self.input = piece,
                    None => self.ended = true,
                }
            }
            // An empty input tells the reader that the text is over.
            let (result, taken, written, closed) =
                self.reader
                    .read_record(&self.input, &mut bytes[filled..], &mut ends[fields..]);
            self.input.advance(taken);
            filled += written;
            fields += closed;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if bytes.len() < BULK_ROW_BYTES => {
                    bytes.resize((bytes.len() * 4).min(BULK_ROW_BYTES), 0);
                }
                ReadRecordResult::OutputFull => return Err(self.broken("a row is too large")),
                ReadRecordResult::OutputEndsFull if ends.len() < BULK_COLUMNS => {
                    ends.resize((ends.len() * 4).min(BULK_COLUMNS), 0);
                }
                ReadRecordResult::OutputEndsFull => return Err(self.broken("a row has too many fields")),
                ReadRecordResult::Record => {
                    return match self.row.fill(&bytes[..filled], &ends[..fields]) {
                        Some(()) => Ok(true),
                        None => Err(self.broken("a row is no UTF-8 text")),
                    };
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    fn broken(&self, what: &str) -> SalesforceError {
        SalesforceError::Unexpected {
            call: self.body.call(),
            status: 200,
            expected: Expected::Rows,
            text: what.to_owned(),
        }
    }
}
