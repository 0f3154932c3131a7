//! The answers of the Metadata API, from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightshift_fuzz::bodies::envelope(data));
