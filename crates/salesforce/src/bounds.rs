//! What an answer of Salesforce may be, whatever the settings say. Beyond a bound it is refused where it is met.
//!
//! Times and sizes of bodies go by the kind of call and stand with the client (`http.rs`).

/// Largest headers of an answer, names and values, in bytes.
pub const HEADER_BYTES: usize = 64 << 10;

/// Most fields of an answer's headers.
pub const HEADER_FIELDS: usize = 100;

/// Longest part of an error's body that is read, in bytes.
pub const ERROR_BYTES: usize = 64 << 10;

/// Deepest element of an envelope: envelope, body, response, result, entry, field, and room for what is skipped.
pub const LEVELS: usize = 64;

/// Largest tag or text of an envelope, in bytes; the zip's text is read past the parser.
pub const EVENT_BYTES: usize = 1 << 20;

/// Largest record of readMetadata, in bytes of its XML.
pub const RECORD_BYTES: usize = 8 << 20;

/// Most leaves of one entry of an envelope.
pub const LEAVES: usize = 10_000;

/// Most entries of a listing: beyond it the answer is no honest one.
pub const LISTED: u64 = 2_000_000;

/// Most types of a describe answer: many times what Salesforce has.
pub const TYPES: usize = 10_000;

/// Most file properties, and most messages, of a retrieve: twice Salesforce's own limit of files.
pub const FILES: usize = 20_002;

/// Longest name of a type, in bytes.
pub const TYPE_NAME_BYTES: usize = 255;
