//! The figures of [`crate::stats::pages::history`]: plain values. Definitions stand there.

use serde::{Deserialize, Serialize};

use crate::stats::event::Nanos;

use super::miss_stream::MissStreamFigures;

/// Counters of one piece, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PieceBytes {
    pub(super) inserted: u64,
    pub(super) evicted: u64,
    pub(super) refaulted: u64,
    pub(super) unused_at_least: u64,
    pub(super) unused_at_most: u64,
    pub(super) resident: u64,
}

impl PieceBytes {
    pub(super) fn merge(&mut self, other: &Self) {
        for (counter, other) in [
            (&mut self.inserted, other.inserted),
            (&mut self.evicted, other.evicted),
            (&mut self.refaulted, other.refaulted),
            (&mut self.unused_at_least, other.unused_at_least),
            (&mut self.unused_at_most, other.unused_at_most),
            (&mut self.resident, other.resident),
        ] {
            *counter = counter.saturating_add(other);
        }
    }
}

/// What happened to the pages of all files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PageFigures {
    /// Pages the files have.
    pub file_pages: u64,
    /// Pages inserted, each as often as it was.
    pub inserted_pages: u64,
    /// Bytes of the files in them.
    pub inserted_bytes: u64,
    /// Pages inserted / pages of the files; `None` where the files have none.
    pub times_inserted: Option<f64>,
    /// Pages evicted, each as often as it was.
    pub evicted_pages: u64,
    /// Bytes of the files in them.
    pub evicted_bytes: u64,
    /// Pages inserted after an eviction seen in this run.
    pub refaulted_pages: u64,
    /// Bytes of the files in them.
    pub refaulted_bytes: u64,
    /// Who evicted them.
    pub evictions: EvictionFigures,
    /// Pages inserted and evicted without use; `None` where faults, map windows and lookups are not traced.
    pub unused_evicted: Option<UnusedEvicted>,
    /// Bytes inserted between a page's eviction and its next insert.
    pub miss_stream_distance: MissStreamFigures,
    /// Pages resident at the end of the events; `None` where the residency at the start is unknown.
    pub resident_pages: Option<u64>,
    /// Bytes of the files in them.
    pub resident_bytes: Option<u64>,
    /// Pages evicted that had not been inserted in this run, of files whose residency at the start is unknown:
    /// they were resident then.
    pub evicted_of_unknown_start_pages: u64,
    /// Events that cannot have happened to the page as it was known.
    pub contradictions: Contradictions,
    /// Pages inserted beyond a file's end (the kernel's read-ahead may put folios there), in no other figure.
    pub pages_beyond_end: u64,
    /// Pages evicted beyond a file's end, in no other figure.
    pub evicted_beyond_end_pages: u64,
    /// The insert after which every page of every file had been inserted, or was known to have been resident at
    /// the start. `None` where some page never was, or where no insert completed it (a warm start).
    pub first_full_pass_ns: Option<Nanos>,
}

/// Pages evicted, by agent. They sum to `evicted_pages`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictionFigures {
    /// By the kernel's background reclaim.
    pub kswapd_pages: u64,
    /// By tasks that needed memory.
    pub direct_reclaim_pages: u64,
    /// By other kernel threads.
    pub kernel_thread_pages: u64,
    /// Because somebody asked for it.
    pub invalidation_pages: u64,
}

/// Pages inserted and evicted in this run without use: bounds, equal and exact where files are only `read()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnusedEvicted {
    /// In no fault, lookup or map window: certainly not used. There may be more.
    pub at_least_pages: u64,
    /// In no fault and no lookup: perhaps used through a map window over them. There are not more.
    pub at_most_pages: u64,
    /// Bytes of the files in `at_least_pages`.
    pub at_least_bytes: u64,
    /// Bytes of the files in `at_most_pages`.
    pub at_most_bytes: u64,
}

/// Pages of events that contradict what was known: events were lost, or the start was misjudged. 0 in a
/// complete stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contradictions {
    /// Inserted while resident.
    pub inserted_while_resident_pages: u64,
    /// Evicted while absent.
    pub evicted_while_absent_pages: u64,
}

impl Contradictions {
    /// Both.
    #[must_use]
    pub const fn total_pages(&self) -> u64 {
        self.inserted_while_resident_pages
            .saturating_add(self.evicted_while_absent_pages)
    }
}

/// What happened to the bytes of one piece. Summed over all pieces, each count is that of [`PageFigures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PiecePageFigures {
    /// The piece's id.
    pub piece: u32,
    /// Its size.
    pub bytes: u64,
    /// Bytes inserted.
    pub inserted_bytes: u64,
    /// `inserted_bytes` / `bytes`; `None` for a piece without bytes.
    pub times_inserted: Option<f64>,
    /// Bytes evicted.
    pub evicted_bytes: u64,
    /// Bytes inserted after an eviction seen in this run.
    pub refaulted_bytes: u64,
    /// Bytes inserted and evicted that were certainly not used.
    pub unused_evicted_at_least_bytes: Option<u64>,
    /// Bytes inserted and evicted that were perhaps not used: no more were unused.
    pub unused_evicted_at_most_bytes: Option<u64>,
    /// Bytes resident at the end of the events.
    pub resident_bytes: Option<u64>,
}
