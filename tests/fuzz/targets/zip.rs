//! A zip in base64, as a retrieve brings it, from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightshift_fuzz::bodies::zip(data));
