//! Rows in PostgreSQL's binary COPY format.
//!
//! Binary, because hashes are a third of what is staged and would double in text, and because nothing has to be
//! escaped. Format: PostgreSQL's manual, "COPY", section "Binary Format". Which columns a row has is left to the
//! caller: field by field, in the order of the COPY statement.

use jiff::Timestamp;
use uuid::Uuid;

/// The format's eleven bytes of signature, then 32 bits of flags and the length of an empty header extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What stands where a next row would begin: the end.
const TRAILER: i16 = -1;

/// PostgreSQL counts from 2000-01-01, in microseconds after 1970.
const POSTGRES_EPOCH_MICROSECONDS: i64 = 946_684_800_000_000;

/// Rows of one table that wait for their COPY.
#[derive(Debug)]
pub(super) struct CopyRows {
    statement: &'static str,
    buffer: Vec<u8>,
    rows: usize,
}

impl CopyRows {
    /// Of the table and columns that `statement` (`COPY t (...) FROM STDIN (FORMAT binary)`) names.
    pub(super) fn new(statement: &'static str) -> Self {
        Self {
            statement,
            buffer: HEADER.to_vec(),
            rows: 0,
        }
    }

    pub(super) fn statement(&self) -> &'static str {
        self.statement
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn bytes(&self) -> usize {
        self.buffer.len() - HEADER.len()
    }

    /// Begins a row; its fields follow in the order of the columns.
    pub(super) fn row(&mut self) -> RowFields<'_> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&0_i16.to_be_bytes());
        self.rows += 1;
        RowFields {
            buffer: &mut self.buffer,
            start,
            fields: 0,
        }
    }

    /// The whole message: header, rows, trailer.
    pub(super) fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.buffer.len() + 2);
        message.extend_from_slice(&self.buffer);
        message.extend_from_slice(&TRAILER.to_be_bytes());
        message
    }

    /// Forgets the rows, keeps the memory for the next chunk.
    pub(super) fn clear(&mut self) {
        self.buffer.truncate(HEADER.len());
        self.rows = 0;
    }
}

/// The fields of one row.
pub(super) struct RowFields<'a> {
    buffer: &'a mut Vec<u8>,
    start: usize,
    fields: i16,
}

impl RowFields<'_> {
    fn field(&mut self, value: Option<&[u8]>) -> &mut Self {
        self.fields += 1;
        self.buffer[self.start..self.start + 2].copy_from_slice(&self.fields.to_be_bytes());
        match value {
            None => self.buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(bytes) => {
                self.buffer.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
                self.buffer.extend_from_slice(bytes);
            }
        }
        self
    }

    pub(super) fn uuid(&mut self, value: Uuid) -> &mut Self {
        self.field(Some(value.as_bytes()))
    }

    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.field(Some(value.as_bytes()))
    }

    pub(super) fn maybe_text(&mut self, value: Option<&str>) -> &mut Self {
        self.field(value.map(str::as_bytes))
    }

    pub(super) fn bytea(&mut self, value: &[u8]) -> &mut Self {
        self.field(Some(value))
    }

    pub(super) fn maybe_bytea(&mut self, value: Option<&[u8]>) -> &mut Self {
        self.field(value)
    }

    pub(super) fn bigint(&mut self, value: i64) -> &mut Self {
        self.field(Some(&value.to_be_bytes()))
    }

    pub(super) fn maybe_bigint(&mut self, value: Option<i64>) -> &mut Self {
        match value {
            None => self.field(None),
            Some(value) => self.bigint(value),
        }
    }

    pub(super) fn integer(&mut self, value: i32) -> &mut Self {
        self.field(Some(&value.to_be_bytes()))
    }

    pub(super) fn boolean(&mut self, value: bool) -> &mut Self {
        self.field(Some(&[u8::from(value)]))
    }

    pub(super) fn maybe_timestamp(&mut self, value: Option<Timestamp>) -> &mut Self {
        self.maybe_bigint(value.map(|at| at.as_microsecond() - POSTGRES_EPOCH_MICROSECONDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_count_of_fields_and_each_field_with_its_length() {
        let mut rows = CopyRows::new("COPY t (a, b, c) FROM STDIN (FORMAT binary)");
        rows.row().text("ab").maybe_text(None).integer(7);

        let message = rows.message();
        assert_eq!(message[..HEADER.len()], *HEADER);
        assert_eq!(HEADER.len(), 19);
        assert_eq!(
            message[HEADER.len()..],
            [
                &3_i16.to_be_bytes()[..],
                &2_i32.to_be_bytes(),
                b"ab",
                &(-1_i32).to_be_bytes(),
                &4_i32.to_be_bytes(),
                &7_i32.to_be_bytes(),
                &(-1_i16).to_be_bytes(),
            ]
            .concat()
        );
    }

    #[test]
    fn a_cleared_buffer_has_no_rows() {
        let mut rows = CopyRows::new("COPY t (a) FROM STDIN (FORMAT binary)");
        rows.row().boolean(true);
        rows.clear();
        assert_eq!((rows.rows(), rows.bytes()), (0, 0));
    }
}
