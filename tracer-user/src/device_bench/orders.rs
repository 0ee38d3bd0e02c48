//! The reads of a run in three orders: as recorded, as they lie on the device, at random.

use fastrand::Rng;

use crate::storage::FileExtent;

use super::patterns::Request;

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As the run issued them.
    Recorded,
    /// By their place on the device.
    Sorted,
    /// At random.
    Shuffled,
}

impl Order {
    /// All, in the order in which the first round makes them.
    pub const ALL: [Self; 3] = [Self::Recorded, Self::Sorted, Self::Shuffled];

    /// Its name in the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Sorted => "sorted",
            Self::Shuffled => "shuffled",
        }
    }

    /// The same reads in this order.
    pub fn of(self, window: &[Request], extents: &[FileExtent], random: &mut Rng) -> Vec<Request> {
        let mut requests = window.to_vec();
        match self {
            Self::Recorded => {}
            Self::Sorted => {
                requests.sort_by_key(|request| device_place(extents, request.offset_bytes));
            }
            Self::Shuffled => random.shuffle(&mut requests),
        }
        requests
    }
}

/// Where a byte of the file lies on its device. What is in no extent keeps its place in the file.
fn device_place(extents: &[FileExtent], offset_bytes: u64) -> u64 {
    let after = extents.partition_point(|extent| extent.file_offset_bytes <= offset_bytes);
    after
        .checked_sub(1)
        .and_then(|place| extents.get(place))
        .map_or(offset_bytes, |extent| {
            extent.physical_bytes + (offset_bytes - extent.file_offset_bytes)
        })
}

/// Consecutive reads of the list for a round: all of it where it is short, else windows spread over it.
pub fn window(reads: &[Request], length: usize, round: usize, rounds: usize) -> &[Request] {
    let length = length.clamp(1, reads.len().max(1));
    let room = reads.len().saturating_sub(length);
    let start = if rounds > 1 {
        room * round / (rounds - 1)
    } else {
        0
    };
    reads
        .get(start.min(room)..)
        .map_or(&[], |rest| rest.get(..length).unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use crate::{device_bench::patterns::Request, storage::FileExtent};

    use super::{Order, window};
    use fastrand::Rng;
    use proptest::prelude::*;

    fn requests(offsets: &[u64]) -> Vec<Request> {
        offsets
            .iter()
            .map(|offset_bytes| Request {
                offset_bytes: *offset_bytes,
                length_bytes: 512,
            })
            .collect()
    }

    #[test]
    fn sorted_is_by_the_device_and_not_by_the_file() {
        let extent = |file_offset_bytes, physical_bytes| FileExtent {
            file_offset_bytes,
            physical_bytes,
            length_bytes: 4096,
            shared: false,
        };
        // The file's second part lies before its first one.
        let extents = [extent(0, 90_000), extent(4096, 10_000)];
        let recorded = requests(&[512, 4096, 0, 5120]);
        let sorted = Order::Sorted.of(&recorded, &extents, &mut Rng::with_seed(1));
        assert_eq!(sorted, requests(&[4096, 5120, 0, 512]));
        assert_eq!(
            Order::Recorded.of(&recorded, &extents, &mut Rng::with_seed(1)),
            recorded
        );
    }

    proptest! {
        #[test]
        fn every_order_has_the_same_reads(offsets in proptest::collection::vec(0u64..1000, 0..300), seed: u64) {
            let recorded = requests(&offsets);
            for order in Order::ALL {
                let mut own = order.of(&recorded, &[], &mut Rng::with_seed(seed));
                let mut all = recorded.clone();
                own.sort_unstable();
                all.sort_unstable();
                prop_assert_eq!(own, all);
            }
        }

        #[test]
        fn windows_span_the_list(count in 1usize..400, length in 1usize..400, rounds in 1usize..9) {
            let reads = requests(&(0..count as u64).collect::<Vec<_>>());
            for round in 0..rounds {
                prop_assert_eq!(window(&reads, length, round, rounds).len(), length.min(count));
            }
            prop_assert_eq!(window(&reads, length, 0, rounds)[0], reads[0]);
            if rounds > 1 {
                prop_assert_eq!(window(&reads, length, rounds - 1, rounds).last(), reads.last());
            }
        }
    }

    #[test]
    fn no_reads_give_no_window() {
        assert!(window(&[], 10, 2, 6).is_empty());
    }

    #[test]
    fn shuffled_is_no_order() {
        let recorded = requests(&(0..1000).collect::<Vec<_>>());
        let shuffled = Order::Shuffled.of(&recorded, &[], &mut Rng::with_seed(7));
        let ascending = shuffled.windows(2).filter(|pair| pair[0] < pair[1]).count();
        assert!((300..700).contains(&ascending), "{ascending}");
    }
}
