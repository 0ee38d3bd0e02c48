//! What an engine says: its output line by line, its timings, its marks, its buffers.

mod awake;
pub mod bench;
pub mod buffer_lines;
pub mod engine_mark;
pub mod engine_timings;
pub mod follow;
pub mod log_prefix;
pub mod other_engines;
pub mod output;
pub mod report;
pub mod request_line;
pub mod server_answer;
pub mod timing_line;
pub mod timings;
pub mod user_lines;
