//! Messages of the queue, from any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| nightshift_fuzz::bodies::message(data));
