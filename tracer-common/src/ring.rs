//! The records of one CPU on their way to user space: a ring in mapped memory, written by the programs of that CPU and read
//! by user space without a call.
//!
//! A place is taken by an atomic addition, since a program can be interrupted by another one on the same CPU, and the
//! place's number is written behind the record when that is whole. So no lock is taken, and no CPU waits for another.

/// Bytes of the largest record.
pub const RECORD_ROOM_BYTES: usize = 56;

/// Where one record lies: a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RingSlot {
    /// The record, from its kind on.
    pub record: [u64; RECORD_ROOM_BYTES / 8],
    /// Number of the place, from 1 on, once the record is whole; what the turn before wrote until then.
    pub whole: u64,
}

/// Ends of one CPU's ring, each in cache lines of its own, since two CPUs write them.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct RingEnds {
    /// Places taken by programs since the start.
    pub taken: u64,
    /// Keeps the line apart.
    pub reserved: [u64; 15],
    /// Places that user space has read since the start.
    pub read: u64,
    /// Keeps the line apart.
    pub reserved_too: [u64; 15],
}

/// Places that are left empty, for programs that look for room at the same time: as many as can interrupt each other on a
/// CPU, and more.
pub const RING_MARGIN: u32 = 64;

/// Fewest places of a ring.
pub const LEAST_RING_SLOTS: u32 = 2 * RING_MARGIN;

const _: () = assert!(size_of::<RingSlot>() == 64 && size_of::<RingEnds>() == 256);
