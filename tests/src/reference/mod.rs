//! Independent counts of the same requests: ftrace's `blk` tracer. (The device's own counters are the
//! second reference, [`crate::disk::DeviceStatistics`].) And what this kernel has, by its own word.

mod blk_tracer;
mod format_file;
mod kernel_types;
mod records;
mod tracefs;

pub use blk_tracer::FtraceBlk;
pub use format_file::{FormatField, fields_of, format_of};
pub use kernel_types::has_helper;
pub use records::{Action, BlkRecord, BlkTrace};
pub use tracefs::has_tracepoint;
