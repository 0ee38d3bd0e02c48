//! The figures of [`crate::stats::pages::history`]: plain values. Definitions stand there.

use serde::{Deserialize, Serialize};

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

/// What was seen of the page cache, event by event, in bytes of the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PageCacheFigures {
    /// Bytes that entered it, each as often as it did.
    pub inserted_bytes: u64,
    /// Pages inserted / pages of the files. Null where the files have none.
    pub times_inserted: Option<f64>,
    /// Bytes that left it, each as often as it did.
    pub evicted_bytes: u64,
    /// Bytes that entered it after an eviction seen in this run.
    pub refaulted_bytes: u64,
    /// Bytes inserted and evicted that were certainly not used in between: in no fault, look-up or map window. There
    /// may be more. Null, as the next one, where faults, map windows and look-ups are not traced.
    pub unused_at_least_bytes: Option<u64>,
    /// Bytes inserted and evicted of which no use was seen, in no fault and no look-up: no more were unused. Under
    /// `read()` alone both bounds are equal and exact.
    pub unused_at_most_bytes: Option<u64>,
    /// Bytes inserted between a page's eviction and its next insert: half of the pages had less. The bound of a bucket.
    pub miss_stream_distance_p50_bytes: Option<u64>,
    /// The same for 90 % of the pages.
    pub miss_stream_distance_p90_bytes: Option<u64>,
    /// Bytes resident at the end: at the start + inserts − evictions. Null where the start is not known.
    pub resident_bytes: Option<u64>,
    /// Pages of events that contradict what was known before: events were lost, or pages changed while the start was
    /// looked at.
    /// Null where events were only counted.
    pub contradicting_pages: Option<u64>,
}

/// What happened to the pages of all files: the figures, and what only checks and tests compare.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageFigures {
    pub cache: PageCacheFigures,
    /// Pages the files have.
    pub file_pages: u64,
    /// Pages inserted, each as often as it was.
    pub inserted_pages: u64,
    /// Pages evicted, each as often as it was.
    pub evicted_pages: u64,
    /// Pages inserted after an eviction seen in this run.
    pub refaulted_pages: u64,
    pub evictions: EvictionsByAgent,
    /// Pages inserted and evicted without use; `None` where faults, map windows and lookups are not traced.
    pub unused_evicted: Option<UnusedEvicted>,
    /// Bytes inserted between a page's eviction and its next insert.
    pub miss_stream_distance: MissStreamFigures,
    /// Pages resident at the end of the events; `None` where the residency at the start is unknown.
    pub resident_pages: Option<u64>,
    /// Pages evicted that had not been inserted in this run, of files whose residency at the start is unknown:
    /// they were resident then.
    pub evicted_of_unknown_start_pages: u64,
    /// Events that cannot have happened to the page as it was known.
    pub contradictions: Contradictions,
    /// Pages inserted beyond a file's end (the kernel's read-ahead may put folios there), in no other figure.
    pub pages_beyond_end: u64,
    /// Pages evicted beyond a file's end, in no other figure.
    pub evicted_beyond_end_pages: u64,
}

/// How many pages came and went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageCounts {
    /// Pages inserted, each as often as it was.
    pub inserted: u64,
    /// Pages evicted, each as often as it was.
    pub evicted: u64,
    /// Pages inserted after an eviction that was seen.
    pub refaulted: u64,
}

/// Evicted pages by who removed them. They sum to all that were evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictionsByAgent {
    pub kswapd: u64,
    /// A task that wanted memory itself.
    pub direct_reclaim: u64,
    /// Other kernel threads, such as kdamond.
    pub kernel_thread: u64,
    /// Truncation, invalidation, `POSIX_FADV_DONTNEED`, `drop_caches`.
    pub invalidation: u64,
}

/// Pages inserted and evicted in this run without use: bounds, as those in bytes of [`PageCacheFigures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnusedEvicted {
    pub at_least_pages: u64,
    pub at_most_pages: u64,
}

/// Pages of events that contradict what was known: events were lost, or the start was misjudged. 0 in a
/// complete stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contradictions {
    pub inserted_while_resident_pages: u64,
    pub evicted_while_absent_pages: u64,
}

impl Contradictions {
    #[must_use]
    pub const fn total_pages(&self) -> u64 {
        self.inserted_while_resident_pages
            .saturating_add(self.evicted_while_absent_pages)
    }
}

/// What happened to the bytes of one piece. Summed over all pieces, each count is that of [`PageCacheFigures`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PiecePageFigures {
    /// Bytes inserted.
    pub inserted_bytes: u64,
    /// Bytes evicted.
    pub evicted_bytes: u64,
    /// Bytes inserted after an eviction seen in this run.
    pub refaulted_bytes: u64,
    /// Bytes inserted and evicted that were certainly not used.
    pub unused_at_least_bytes: Option<u64>,
    /// Bytes inserted and evicted that were perhaps not used: no more were unused.
    pub unused_at_most_bytes: Option<u64>,
    /// Bytes resident at the end of the events.
    pub resident_bytes: Option<u64>,
}
