//! A read on its way through a traced device, as the kernel side remembers it.

/// State of a [`RequestSlot`].
pub mod state {
    /// No read.
    pub const FREE: u32 = 0;
    /// Handed to the driver.
    pub const ISSUED: u32 = 1;
    /// Given back by the driver, and not yet issued again.
    pub const REQUEUED: u32 = 2;
}

/// One read in flight. The table is indexed by device, hardware queue and tag: a tag names one request
/// until it has completed, so no hash map is needed on this path. All reads of the device are in it, so that
/// a completion that no program saw is noticed when its tag is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestSlot {
    /// Address of the kernel's `struct request`.
    pub request: u64,
    /// `CLOCK_MONOTONIC` at the first issue, in nanoseconds.
    pub issue_time_ns: u64,
    /// First sector that has not completed.
    pub next_sector: u64,
    /// Sector after the last one of the request.
    pub end_sector: u64,
    /// One of [`state`].
    pub state: u32,
    /// Slot of the device.
    pub device: u32,
    /// The extent that the read began in; only a hint, since the read may lie in none.
    pub extent: u32,
    /// Keeps the next member aligned.
    pub reserved: u32,
    /// The slice of its first issue, where slices are counted ([`crate::slice`]).
    pub slice: u64,
    /// Fills the cache line: neighbours are written by other CPUs.
    pub reserved_too: [u32; 2],
}

const _: () = assert!(size_of::<RequestSlot>() == 64);
