//! A record of a block trace, whatever file it came from.

use tracer_common::counters::Operation;

use crate::{
    stats::{Nanos, audit::accounting},
    storage::KernelDevice,
};

/// Sectors of the largest disk whose bytes can be counted in 64 bits.
pub const MOST_SECTORS: u64 = 1 << 55;

/// What happened (`enum blktrace_act` in include/uapi/linux/blktrace_api.h; letters of blkparse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `A`: a bio moved from a partition or a mapped device to the disk below.
    Remap,
    /// `Q`: a bio was queued.
    Queue,
    /// `G`: a request was allocated.
    GetRequest,
    /// `I`: a request was handed to the scheduler.
    Insert,
    /// `M`: a bio or a request was added to the end of a request that waits.
    BackMerge,
    /// `F`: a bio was added to the front of one.
    FrontMerge,
    /// `D`: a request was issued to the driver.
    Issue,
    /// `R`: the driver gave it back.
    Requeue,
    /// `C`: a request, or a part of it, completed.
    Complete,
    /// Anything else: plugging, splits, sleeps, messages.
    Other,
}

impl Action {
    /// What a naive script could take for a read.
    #[must_use]
    pub const fn counted(self) -> Option<accounting::Action> {
        use accounting::Action as Counted;
        match self {
            Self::Remap => Some(Counted::Remap),
            Self::Queue => Some(Counted::Queue),
            Self::GetRequest => Some(Counted::GetRequest),
            Self::Insert => Some(Counted::Insert),
            Self::BackMerge | Self::FrontMerge => Some(Counted::Merge),
            Self::Issue => Some(Counted::Issue),
            Self::Complete => Some(Counted::Complete),
            Self::Requeue | Self::Other => None,
        }
    }
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRecord {
    /// When: since the trace's first record in blkparse's text, `CLOCK_MONOTONIC` in binary files.
    pub time: Nanos,
    /// The traced device; of a remap, the device that it went to.
    pub device: KernelDevice,
    /// Of a remap: the device that it came from, and the sector there.
    pub remapped_from: Option<(KernelDevice, u64)>,
    /// First sector, from the start of the disk.
    pub sector: u64,
    /// Sectors. 0 for what moves no data.
    pub sectors: u32,
    /// Thread that was current.
    pub thread_id: u32,
    /// CPU.
    pub cpu: u32,
    /// Number of the record on its CPU, from 1 on; 0 for messages.
    pub sequence: u32,
    /// What happened.
    pub action: Action,
    /// To what kind of request.
    pub operation: Operation,
    /// Completed with an error.
    pub failed: bool,
    /// Read-ahead.
    pub readahead: bool,
    /// The file system's metadata flag.
    pub metadata: bool,
    /// Somebody waits for it.
    pub synchronous: bool,
}

impl TraceRecord {
    /// Sector after the last one.
    #[must_use]
    pub const fn end_sector(&self) -> u64 {
        self.sector.saturating_add(self.sectors as u64)
    }

    /// A record of a read that moves data.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.operation == Operation::Read && self.sectors > 0
    }
}
