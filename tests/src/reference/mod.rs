//! Independent counts of the same requests: the program blktrace, and ftrace's `blk` tracer where the kernel lets
//! nobody open blktrace's files. (The device's own counters are one more reference,
//! [`crate::disk::DeviceStatistics`].)

mod blk_tracer;
mod blkparse;
mod blktrace;
mod records;

pub use blk_tracer::{FtraceBlk, has_tracepoint};
pub use blktrace::{Blktrace, BlktraceRecording};
pub use records::{Action, BlkRecord, BlkTrace};
