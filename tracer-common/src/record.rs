//! What goes through the ring buffer: one record for each event of a read of a model.
//!
//! Records are `repr(C)` without padding; the first word holds the kind, whose numbers are never reused.
//! Both are little-endian on the machines this builds for, and never leave the machine in this form.

/// Kind of a record, in its first byte.
pub mod kind {
    /// [`super::IssueRecord`].
    pub const ISSUE: u8 = 1;
    /// [`super::CompleteRecord`].
    pub const COMPLETE: u8 = 2;
    /// [`super::RequeueRecord`].
    pub const REQUEUE: u8 = 3;
    /// [`super::UnseenRecord`].
    pub const UNSEEN: u8 = 4;
    /// [`super::PageRecord`].
    pub const PAGE: u8 = 5;
    /// [`super::WaitRecord`].
    pub const WAIT: u8 = 6;
    /// [`super::MarkRecord`].
    pub const MARK: u8 = 7;
    /// [`super::StageRecord`].
    pub const STAGE: u8 = 8;
}

/// Bits of [`IssueRecord::flags`].
pub mod issue_flag {
    /// Issued before: after a requeue, or the remainder after a partial completion. Carries no
    /// predecessor.
    pub const REISSUE: u8 = 1;
    /// The file system's metadata flag (`REQ_META`).
    pub const METADATA: u8 = 2;
    /// Read ahead of the need (`REQ_RAHEAD`).
    pub const READAHEAD: u8 = 4;
    /// Somebody waits for it (`REQ_SYNC`; the kernel treats every read as synchronous, so it is set by
    /// the submitter's flag only).
    pub const SYNCHRONOUS: u8 = 8;
    /// From this bit on, in a record of [`super::ANY_MODEL`]: the number of the read's
    /// [`crate::origin::ReadOrigin`], 3 bits.
    pub const ORIGIN_SHIFT: u8 = 4;
    /// The number, shifted.
    pub const ORIGIN_MASK: u8 = 7 << ORIGIN_SHIFT;
    /// No program saw the issue; it was noticed when the read completed, which is its time and place in the order.
    pub const LATE: u8 = 128;
}

/// End of the previous read where there was none.
pub const NO_PREVIOUS_END: u64 = u64::MAX;

/// [`IssueRecord::model`] where the kernel side did not divide the read: it touches a model, and user space finds out
/// which. The order of such records in the ring buffer is the order of the reads, and they carry no previous end.
pub const ANY_MODEL: u8 = u8::MAX;

/// A read was handed to the driver. A request that touches several models gives one record for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct IssueRecord {
    /// [`kind::ISSUE`].
    pub kind: u8,
    /// Slot of the device.
    pub device: u8,
    /// Slot of the model, or [`ANY_MODEL`].
    pub model: u8,
    /// Bits of [`issue_flag`].
    pub flags: u8,
    /// Thread that was current.
    pub thread_id: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// Address of the kernel's `struct request`.
    pub request: u64,
    /// First sector of the request.
    pub sector: u64,
    /// What the kernel's exchange returned: the end of the model's previous read on this device, or
    /// [`NO_PREVIOUS_END`].
    pub previous_end: u64,
    /// Bytes of the request.
    pub bytes: u32,
    /// Process that was current.
    pub process_id: u32,
}

/// Bits of [`CompleteRecord::flags`].
pub mod complete_flag {
    /// Nothing of the request is left.
    pub const LAST: u8 = 1;
}

/// A part of a read, or all of it, came back from the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct CompleteRecord {
    /// [`kind::COMPLETE`].
    pub kind: u8,
    /// Slot of the device.
    pub device: u8,
    /// `blk_status_t`: 0 without error.
    pub status: u8,
    /// Bits of [`complete_flag`].
    pub flags: u8,
    /// Bytes that came back.
    pub bytes: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// Address of the kernel's `struct request`.
    pub request: u64,
    /// First sector that came back.
    pub sector: u64,
}

/// An issued read went back to the queue and will be issued again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct RequeueRecord {
    /// [`kind::REQUEUE`].
    pub kind: u8,
    /// Slot of the device.
    pub device: u8,
    /// Zero.
    pub reserved: u16,
    /// Bytes of the request.
    pub bytes: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// Address of the kernel's `struct request`.
    pub request: u64,
    /// First sector of the request.
    pub sector: u64,
}

/// A read has ended and no program saw it: its tag names another read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct UnseenRecord {
    /// [`kind::UNSEEN`].
    pub kind: u8,
    /// Slot of the device.
    pub device: u8,
    /// Zero.
    pub reserved: u16,
    /// Zero.
    pub reserved_too: u32,
    /// `CLOCK_MONOTONIC` when it was noticed, nanoseconds: the read ended some time before.
    pub time_ns: u64,
    /// Address of the kernel's `struct request`.
    pub request: u64,
}

/// What [`PageRecord::event`] says. Evictions are [`EVICTION`](page_event::EVICTION) + the number of the
/// [`crate::counters::EvictionAgent`].
pub mod page_event {
    /// A folio entered the page cache.
    pub const INSERT: u8 = 1;
    /// A folio entered the page cache, brought by a page fault of the current thread on one of its pages: the
    /// fault was a major one.
    pub const INSERT_BY_FAULT: u8 = 2;
    /// A page fault reached the file's fault handler; one page.
    pub const FAULT: u8 = 3;
    /// A page fault mapped what was cached in a window around it.
    pub const MAP_WINDOW: u8 = 4;
    /// `read()` or the like found a range of pages.
    pub const LOOKUP: u8 = 5;
    /// A folio left the page cache.
    pub const EVICTION: u8 = 8;
}

/// Something happened to pages of a model's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct PageRecord {
    /// [`kind::PAGE`].
    pub kind: u8,
    /// One of [`page_event`].
    pub event: u8,
    /// Slot of the file.
    pub file: u16,
    /// Process that was current: for a fault the one that faulted, for an eviction the one that reclaimed.
    pub process_id: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// First page in the file.
    pub first_page: u32,
    /// Number of pages.
    pub pages: u32,
}

/// What [`WaitRecord::wait`] says.
pub mod wait_kind {
    /// For a folio of a model's file: in a page fault on it, or in a `read()` that found it right after.
    pub const MODEL_FOLIO: u8 = 1;
    /// For other I/O of the engine, direct reads of the model among it.
    pub const OTHER_IO: u8 = 2;
    /// In direct reclaim, of the system or of the cgroup.
    pub const RECLAIM: u8 = 3;
    /// Uninterruptible sleep that is no I/O, in a page fault on a model's file: a lock.
    pub const LOCK: u8 = 4;
}

/// A thread waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct WaitRecord {
    /// [`kind::WAIT`].
    pub kind: u8,
    /// One of [`wait_kind`].
    pub wait: u8,
    /// Slot of the file; 0 where the wait is for none.
    pub file: u16,
    /// The thread.
    pub thread_id: u32,
    /// `CLOCK_MONOTONIC` when it left the CPU, nanoseconds.
    pub start_ns: u64,
    /// `CLOCK_MONOTONIC` when it was back on a CPU, nanoseconds.
    pub end_ns: u64,
    /// Its process.
    pub process_id: u32,
    /// The page that it waited for; 0 where the wait is for none.
    pub page: u32,
}

/// An engine's exported function was entered or left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct MarkRecord {
    /// [`kind::MARK`].
    pub kind: u8,
    /// 1 where the function returns, 0 where it is entered.
    pub returns: u8,
    /// Number of the probed function, as the loader gave it.
    pub symbol: u16,
    /// Process.
    pub process_id: u32,
    /// Thread.
    pub thread_id: u32,
    /// Tokens in the batch of a decode call; [`UNKNOWN_TOKENS`] where they cannot be seen.
    pub tokens: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// Second argument at entry, as a number; the return value at return.
    pub value: u64,
}

/// [`MarkRecord::tokens`] where the batch's size cannot be seen.
pub const UNKNOWN_TOKENS: u32 = u32::MAX;

/// What [`StageRecord::stage`] says. Issue and completion have records of their own.
pub mod stage {
    /// A bio was queued: blktrace's Q.
    pub const QUEUE: u8 = 1;
    /// A request was allocated for it: G.
    pub const GET_REQUEST: u8 = 2;
    /// The request was inserted in a scheduler's queue: I.
    pub const INSERT: u8 = 3;
    /// A bio was remapped to another device, or from a partition to its disk: A.
    pub const REMAP: u8 = 4;
}

/// A read passed another stage of the block layer; for the audit only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct StageRecord {
    /// [`kind::STAGE`].
    pub kind: u8,
    /// Slot of the device.
    pub device: u8,
    /// One of [`stage`].
    pub stage: u8,
    /// Zero.
    pub reserved: u8,
    /// Bytes.
    pub bytes: u32,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub time_ns: u64,
    /// First sector on the whole disk.
    pub sector: u64,
    /// Thread that was current.
    pub thread_id: u32,
    /// Process that was current.
    pub process_id: u32,
}

// No padding: the sizes are the sums of the fields.
const _: () = assert!(size_of::<IssueRecord>() == 4 + 4 + 8 * 4 + 4 + 4);
const _: () = assert!(size_of::<CompleteRecord>() == 4 + 4 + 8 * 3);
const _: () = assert!(size_of::<RequeueRecord>() == 4 + 4 + 8 * 3);
const _: () = assert!(size_of::<UnseenRecord>() == 4 + 4 + 8 * 2);
const _: () = assert!(size_of::<PageRecord>() == 2 + 2 + 4 + 8 + 4 + 4);
const _: () = assert!(size_of::<WaitRecord>() == 2 + 2 + 4 + 8 * 2 + 4 + 4);
const _: () = assert!(size_of::<StageRecord>() == 4 + 4 + 8 * 2 + 4 + 4);
const _: () = assert!(size_of::<MarkRecord>() == 2 + 2 + 4 * 3 + 8 * 2);
