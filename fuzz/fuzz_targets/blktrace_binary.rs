//! Any bytes as a binary file of blktrace.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracer_fuzz::check_trace("t.blktrace.0", bytes));
