//! Independent counts of the same requests: ftrace's `blk` tracer. (The device's own counters are the
//! second reference, [`crate::disk::DeviceStatistics`].)

mod blk_tracer;
mod records;
mod tracefs;

pub use blk_tracer::FtraceBlk;
pub use records::{Action, BlkRecord, BlkTrace};
pub use tracefs::has_tracepoint;
