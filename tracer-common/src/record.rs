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
}

/// End of the previous read where there was none.
pub const NO_PREVIOUS_END: u64 = u64::MAX;

/// A read was handed to the driver. A request that touches several models gives one record for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct IssueRecord {
    /// [`kind::ISSUE`].
    pub kind: u8,
    /// Slot of the device.
    pub device: u8,
    /// Slot of the model.
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

// No padding: the sizes are the sums of the fields.
const _: () = assert!(size_of::<IssueRecord>() == 4 + 4 + 8 * 4 + 4 + 4);
const _: () = assert!(size_of::<CompleteRecord>() == 4 + 4 + 8 * 3);
const _: () = assert!(size_of::<RequeueRecord>() == 4 + 4 + 8 * 3);
const _: () = assert!(size_of::<UnseenRecord>() == 4 + 4 + 8 * 2);
