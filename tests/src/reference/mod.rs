//! Independent counts of the same requests: the program blktrace, and ftrace's `blk` tracer where the kernel lets
//! nobody open blktrace's files. (The device's own counters are one more reference,
//! [`crate::disk::DeviceStatistics`].) And what this kernel has, by its own word.

mod blk_tracer;
mod blkparse;
mod blktrace;
mod format_file;
mod kernel_types;
mod records;
mod tracefs;

pub use blk_tracer::FtraceBlk;
pub use blktrace::{Blktrace, BlktraceRecording};
pub use format_file::{FormatField, fields_of, format_of};
pub use kernel_types::has_helper;
pub use records::{Action, BlkRecord, BlkTrace};
pub use tracefs::{has_tracepoint, mount_tracefs};
