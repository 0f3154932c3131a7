//! Tests; see the file of the same name.
