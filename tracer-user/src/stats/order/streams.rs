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
    /// In no order, so that none has to be moved: the oldest is told by its number.
    ends: Vec<u64>,
    /// By end: number of the read that left it.
    left_by: Vec<u64>,
    reads: u64,
    counts: GapCounts,
}

impl StreamGaps {
    /// Takes in the next read: the model's sectors in it, and bytes. Returns the class of its gap; the first read
    /// has none.
    pub fn observe(&mut self, start_sector: u64, end_sector: u64, bytes: u64) -> Option<GapClass> {
        self.reads += 1;
        // One pass without a branch over all ends, of which few are near.
        let nearest = self
            .ends
            .iter()
            .map(|end| start_sector.abs_diff(*end))
            .fold(u64::MAX, u64::min);
        let class = if self.ends.is_empty() {
            None
        } else {
            Some(self.class_at(start_sector, nearest))
        };
        let place = if class == Some(GapClass::Sequential) {
            self.latest_at(start_sector)
        } else if self.ends.len() < STREAMS {
            self.ends.push(0);
            self.left_by.push(0);
            self.ends.len() - 1
        } else {
            self.oldest()
        };
        if let (Some(end), Some(left_by)) = (self.ends.get_mut(place), self.left_by.get_mut(place))
        {
            (*end, *left_by) = (end_sector, self.reads);
        }
        if let Some(class) = class {
            self.counts.record(class, bytes);
        }
        class
    }

    /// The class of the gap to the end at a distance: the forward one, where there is an end on both sides.
    fn class_at(&self, start_sector: u64, distance: u64) -> GapClass {
        let before = start_sector.checked_sub(distance);
        let end = before
            .filter(|before| self.ends.contains(before))
            .unwrap_or_else(|| start_sector.saturating_add(distance));
        GapClass::of(start_sector, end)
    }

    fn latest_at(&self, end: u64) -> usize {
        let same = self.ends.iter().zip(&self.left_by).enumerate();
        same.filter(|(_, (own, _))| **own == end)
            .max_by_key(|(_, (_, left_by))| **left_by)
            .map_or(0, |(place, _)| place)
    }

    fn oldest(&self) -> usize {
        let oldest = self.left_by.iter().copied().fold(u64::MAX, u64::min);
        let place = self.left_by.iter().position(|left_by| *left_by == oldest);
        place.unwrap_or(0)
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

    /// The table as it is described: a list, the latest first.
    fn by_the_list(reads: &[(u64, u64)]) -> Vec<Option<GapClass>> {
        let mut ends: Vec<u64> = Vec::new();
        let mut class_of = |start: u64, end: u64| {
            let continued = ends.iter().position(|own| *own == start);
            let nearest = ends
                .iter()
                .copied()
                .min_by_key(|own| (start.abs_diff(*own), start < *own));
            match continued {
                Some(place) => drop(ends.remove(place)),
                None => ends.truncate(STREAMS - 1),
            }
            ends.insert(0, end);
            nearest.map(|own| GapClass::of(start, own))
        };
        reads
            .iter()
            .map(|(start, length)| class_of(*start, start + length))
            .collect()
    }

    proptest! {
        #[test]
        fn it_is_what_a_list_gives(
            reads in prop::collection::vec(
                (prop_oneof![0u64..60, (0u64..50).prop_map(|place| place * 1000)], 1u64..6), 0..300,
            ),
        ) {
            let mut gaps = StreamGaps::default();
            let classes: Vec<_> = reads
                .iter()
                .map(|(start, length)| gaps.observe(*start, start + length, length * 512))
                .collect();
            prop_assert_eq!(classes, by_the_list(&reads));
        }

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
