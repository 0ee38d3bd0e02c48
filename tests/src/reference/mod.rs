//! Independent counts of the same requests: ftrace's `blk` tracer. (The device's own counters are the
//! second reference, [`crate::disk::DeviceStatistics`].) And what the kernel says of its tracepoints.

mod blk_tracer;
mod format_file;
mod records;

pub use blk_tracer::{FtraceBlk, has_tracepoint};
pub use format_file::{FormatField, fields_of, format_of};
pub use records::{Action, BlkRecord, BlkTrace};
