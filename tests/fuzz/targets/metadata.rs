//! Files of metadata, from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightshift_fuzz::bodies::metadata(data));
