//! Counts by time and place without a record for each event: slices of time, and spans of the models' files.
//!
//! A slice ends every 100 ms, and wherever something marks a step or a phase. Each CPU counts into its own block of the slice
//! that is current; user space takes the blocks out long after the slice has ended, when nobody writes them any more. So a
//! step has exact figures, and no event costs more than a few additions.

use crate::gap::GAP_CLASSES;

/// Slices that are kept until user space has taken them out: a power of two.
pub const SLICES: usize = 256;

/// Slices that stay as they are behind the current one, for programs that looked at the clock and have not counted yet, and
/// for reads that come back.
pub const SLICES_IN_USE: u64 = 64;

/// Slices that are left free, for CPUs that begin one at the same time.
pub const SLICE_MARGIN: u64 = 16;

/// A slice lasts no longer than this, where anything is read in it, nanoseconds: the length of the windows in which the
/// peak of the bandwidth is looked for.
pub const SLICE_NS: u64 = 100_000_000;

/// Classes of pieces of a model that are told apart in a slice: the kinds of tensors, and what is none.
pub const PIECE_CLASSES: usize = 32;

/// Classes that one sector can have bytes of.
pub const CLASSES_IN_SECTOR: usize = 4;

/// Which slice is current.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct SliceClock {
    /// Number of the current slice, from 0 on.
    pub current: u64,
    /// When the next one begins at the latest, `CLOCK_MONOTONIC` nanoseconds.
    pub next_ns: u64,
    /// Slices that were due and did not begin, since there was no room for one.
    pub undivided: u64,
    /// Keeps the line apart: it is read with each event.
    pub reserved: [u64; 13],
    /// Slices that user space has taken out.
    pub taken: u64,
    /// Keeps the line apart.
    pub reserved_too: [u64; 15],
}

/// What one CPU counted of one model in one slice. Each member has one writing program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct SliceCounts {
    /// Reads, by first issue.
    pub reads: u64,
    /// Bytes of the model in them.
    pub bytes: u64,
    /// Those that the page cache asked for ahead.
    pub readahead_reads: u64,
    /// Bytes of the model in those.
    pub readahead_bytes: u64,
    /// Gaps by class.
    pub gaps: [u64; GAP_CLASSES],
    /// Bytes of the model in the later read of each gap, by class.
    pub gap_bytes: [u64; GAP_CLASSES],
    /// `bytes` by class of piece. What lies in no piece is in none.
    pub class_bytes: [u64; PIECE_CLASSES],
    /// Bytes that arrived without error in this slice.
    pub completed_bytes: u64,
    /// Bytes that arrived without error of reads that were issued in this slice, or so long ago that theirs is gone.
    pub arrived_bytes: u64,
    /// Pages of the files that entered the page cache.
    pub inserted_pages: u64,
    /// Bytes of the files in them.
    pub inserted_bytes: u64,
    /// Those of them that entered it after an eviction seen in this run.
    pub refaulted_bytes: u64,
    /// Folios that a page fault brought.
    pub major_faults: u64,
    /// Pages of the files that left the page cache.
    pub evicted_pages: u64,
    /// Bytes of the files in them.
    pub evicted_bytes: u64,
    /// Page faults that reached the file's fault handler.
    pub faults: u64,
    /// Fills the cache line.
    pub reserved: [u64; 1],
}

impl SliceCounts {
    /// Nothing.
    pub const ZERO: Self = Self {
        reads: 0,
        bytes: 0,
        readahead_reads: 0,
        readahead_bytes: 0,
        gaps: [0; GAP_CLASSES],
        gap_bytes: [0; GAP_CLASSES],
        class_bytes: [0; PIECE_CLASSES],
        completed_bytes: 0,
        arrived_bytes: 0,
        inserted_pages: 0,
        inserted_bytes: 0,
        refaulted_bytes: 0,
        major_faults: 0,
        evicted_pages: 0,
        evicted_bytes: 0,
        faults: 0,
        reserved: [0; 1],
    };
}

impl Default for SliceCounts {
    fn default() -> Self {
        Self::ZERO
    }
}

// SAFETY: repr(C), and every field is a u64 or an array of u64.
unsafe impl crate::counters::CounterBlock for SliceCounts {}

const _: () = assert!(size_of::<SliceCounts>().is_multiple_of(64));
const _: () = assert!(SLICES.is_power_of_two() && SLICES as u64 > 2 * SLICES_IN_USE + SLICE_MARGIN);

/// Sectors of a file, one after the other, that have the same share of bytes of the same pieces: the inside of a tensor, or
/// the one sector in which two meet. The spans follow each other without gap from the first sector on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ReadSpan {
    /// Bit after that of its last sector.
    pub end_bit: u32,
    /// The class that each sector has 512 bytes of, below [`PIECE_CLASSES`]; else that and the place of its [`SectorShares`].
    pub shares: u32,
}

/// What each sector of a span has of classes, where that is not 512 bytes of one: apart, so that the spans are small, and many
/// of them in a processor's cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct SectorShares {
    /// Bytes of each sector by class.
    pub class_bytes: [u16; CLASSES_IN_SECTOR],
    /// The classes, below [`PIECE_CLASSES`].
    pub classes: [u8; CLASSES_IN_SECTOR],
}

/// Pages of a file, one after the other, that have the same share of bytes of the same pieces. The spans follow each other
/// from bit 0 of the bitmap of evicted pages on; between files there may be one of no bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PageSpan {
    /// Bit after that of its last page.
    pub end_bit: u64,
    /// Bytes of the file in each page.
    pub page_bytes: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// From a bit to the first span that ends after it, or one shortly before: the bits cut into pieces of 2^shift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SpanIndex {
    /// Number of spans.
    pub spans: u32,
    /// log2 of a piece's bits.
    pub shift: u32,
}

/// What was read of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SpanReads {
    /// Sectors, by first issue.
    pub sectors: u64,
    /// Those of them that the page cache asked for ahead.
    pub readahead_sectors: u64,
    /// Reads that touch it and not the span before it.
    pub begun: u64,
    /// Reads that come from the span before it.
    pub continued: u64,
}

// SAFETY: repr(C), and every field is a u64.
unsafe impl crate::counters::CounterBlock for SpanReads {}

/// What the page cache did with the pages of a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SpanPages {
    /// Pages inserted.
    pub inserted: u64,
    /// Of them: after an eviction seen in this run.
    pub refaulted: u64,
    /// Pages evicted.
    pub evicted: u64,
    /// Keeps the size a power of two.
    pub reserved: u64,
}

// SAFETY: repr(C), and every field is a u64.
unsafe impl crate::counters::CounterBlock for SpanPages {}
