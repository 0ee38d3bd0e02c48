//! Order seen stream by stream: a read is sequential if it continues any of the last 32 ends.
//!
//! Four threads that each read their own part sequentially look random in device order, although neither
//! page cache nor device need suffer. Here a table holds the last 32 ends of a device, the latest first. A
//! read that starts at one of them is sequential, and its end takes that one's place; any other read enters
//! its end as a new stream, and the least recently continued one leaves. A read that continues none is
//! classed by its distance to the nearest end of the table (the forward one where two are equally near), so
//! that the shares of the five classes sum to one. The first read of a device has no gap here either.

use tracer_common::gap::GapClass;

use super::gaps::GapCounts;

/// Number of ends that a read may continue.
pub const STREAMS: usize = 32;

/// Stream-aware gaps of one device, fed in the order of the kernel's exchange.
#[derive(Clone, Debug, Default)]
pub struct StreamGaps {
    /// Ends, the latest first.
    ends: Vec<u64>,
    counts: GapCounts,
}

impl StreamGaps {
    /// Takes in the next read: the model's sectors in it, and bytes. Returns the class of its gap; the first read
    /// has none.
    pub fn observe(&mut self, start_sector: u64, end_sector: u64, bytes: u64) -> Option<GapClass> {
        if let Some(position) = self.ends.iter().position(|end| *end == start_sector) {
            self.counts.record(GapClass::Sequential, bytes);
            if let Some(up_to) = self.ends.get_mut(..=position) {
                up_to.rotate_right(1);
            }
            if let Some(first) = self.ends.first_mut() {
                *first = end_sector;
            }
            return Some(GapClass::Sequential);
        }
        let nearest = self
            .ends
            .iter()
            .min_by_key(|end| (start_sector.abs_diff(**end), start_sector < **end));
        let class = nearest.map(|end| GapClass::of(start_sector, *end));
        if let Some(class) = class {
            self.counts.record(class, bytes);
        }
        self.ends.truncate(STREAMS - 1);
        self.ends.insert(0, end_sector);
        class
    }

    /// The gaps so far.
    #[must_use]
    pub const fn counts(&self) -> &GapCounts {
        &self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::{STREAMS, StreamGaps};
    use proptest::prelude::*;
    use tracer_common::gap::GapClass;

    /// Round-robin over `streams` sequential streams far apart, `reads` each.
    fn round_robin(streams: u64, reads: u64) -> StreamGaps {
        let mut gaps = StreamGaps::default();
        for read in 0..reads {
            for stream in 0..streams {
                let start = stream * 10_000_000 + read * 8;
                gaps.observe(start, start + 8, 4096);
            }
        }
        gaps
    }

    #[test]
    fn as_many_streams_as_the_table_holds_are_sequential() {
        let gaps = round_robin(STREAMS as u64, 10);
        assert_eq!(gaps.counts().count(GapClass::Sequential), 32 * 9);
        assert_eq!(gaps.counts().total(), 32 * 10 - 1);
    }

    #[test]
    fn one_stream_more_than_the_table_holds_never_continues() {
        assert_eq!(
            round_robin(STREAMS as u64 + 1, 10)
                .counts()
                .count(GapClass::Sequential),
            0
        );
    }

    #[test]
    fn an_end_is_continued_once() {
        let mut gaps = StreamGaps::default();
        gaps.observe(0, 8, 1);
        gaps.observe(8, 16, 1);
        gaps.observe(8, 16, 1);
        assert_eq!(gaps.counts().count(GapClass::Sequential), 1);
        assert_eq!(gaps.counts().count(GapClass::Backward), 1);
    }

    #[test]
    fn the_rest_is_classed_by_the_nearest_end() {
        let mut gaps = StreamGaps::default();
        gaps.observe(0, 1_000, 1);
        gaps.observe(10_000_000, 10_001_000, 1);
        assert_eq!(gaps.counts().count(GapClass::Large), 1);
        gaps.observe(1_100, 1_200, 1);
        assert_eq!(gaps.counts().count(GapClass::Small), 1);
        gaps.observe(10_000_900, 10_001_100, 1);
        assert_eq!(gaps.counts().count(GapClass::Backward), 1);
        // Equally far from 1,200 and 1,000: forward.
        gaps.observe(1_100, 1_110, 1);
        assert_eq!(gaps.counts().count(GapClass::Small), 2);
    }

    proptest! {
        #[test]
        fn never_less_sequential_than_in_device_order(
            reads in prop::collection::vec((0u64..40, 1u64..6), 2..200),
        ) {
            let mut gaps = StreamGaps::default();
            let mut in_order = 0;
            let mut last = None;
            for (start, length) in &reads {
                in_order += u64::from(last == Some(*start));
                last = Some(start + length);
                gaps.observe(*start, start + length, length * 512);
            }
            prop_assert!(gaps.counts().count(GapClass::Sequential) >= in_order);
            prop_assert_eq!(gaps.counts().total(), reads.len() as u64 - 1);
        }
    }
}
