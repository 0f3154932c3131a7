//! The configuration's sources, from any bytes.
#![no_main]

mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::configuration(data));
