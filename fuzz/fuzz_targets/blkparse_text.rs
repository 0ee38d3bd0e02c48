//! Any bytes as a text of blkparse.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracer_fuzz::check_trace("t.txt", bytes));
