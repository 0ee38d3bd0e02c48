//! Any bytes as the output of filefrag -v.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tracer_fuzz::check_filefrag(bytes));
