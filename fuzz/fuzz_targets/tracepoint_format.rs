//! Any bytes as the format file of a tracepoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracer_fuzz::check_tracepoint_format(bytes));
