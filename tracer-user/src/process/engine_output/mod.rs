//! What an engine says: its output line by line, its timings, its marks, its buffers.

pub mod bench_json;
pub mod buffer_lines;
pub mod engine_mark;
pub mod output;
pub mod request_line;
pub mod timing_line;
pub mod timings;
