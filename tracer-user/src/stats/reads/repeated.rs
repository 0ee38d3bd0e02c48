//! Distinct bytes by how often they came: once, twice, three times or more.

use super::unique::UniqueBytes;

/// The largest number of arrivals that are told apart.
const TIMES: usize = 3;

/// Bytes of a model's files by how often they arrived. What came more often than three times counts as three.
#[derive(Clone, Debug, Default)]
pub struct RepeatedBytes {
    /// At `n`: what arrived more than `n` times. Each holds the next one.
    more_than: [UniqueBytes; TIMES],
}

impl RepeatedBytes {
    /// Takes in that `length_bytes` bytes from `offset_bytes` of a file arrived.
    pub fn insert(&mut self, file: u16, offset_bytes: u64, length_bytes: u64) {
        arrived(&mut self.more_than, file, offset_bytes, length_bytes);
    }

    /// Adds another part of the stream: what arrived there, arrived once more for each time.
    pub fn merge(&mut self, other: &Self) {
        for set in &other.more_than {
            for file in set.files() {
                for (start, end) in set.file_ranges(file) {
                    self.insert(file, start, end - start);
                }
            }
        }
    }

    /// Distinct bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.more_than_bytes(0)
    }

    /// Distinct bytes that arrived three times or more.
    #[must_use]
    pub fn three_times_bytes(&self) -> u64 {
        self.more_than_bytes(TIMES - 1)
    }

    fn more_than_bytes(&self, times: usize) -> u64 {
        self.more_than.get(times).map_or(0, UniqueBytes::bytes)
    }
}

/// What arrives, and in the sets behind the first one what of it had arrived as often before.
fn arrived(sets: &mut [UniqueBytes], file: u16, start: u64, length: u64) {
    let Some((set, more)) = sets.split_first_mut() else {
        return;
    };
    set.insert_again(file, start, length, |again_start, again_end| {
        arrived(more, file, again_start, again_end - again_start);
    });
}

#[cfg(test)]
mod tests {
    use super::RepeatedBytes;
    use proptest::prelude::*;

    type Read = (u16, u64, u64);

    fn repeated(reads: &[Read]) -> RepeatedBytes {
        let mut repeated = RepeatedBytes::default();
        reads
            .iter()
            .for_each(|(file, start, length)| repeated.insert(*file, *start, *length));
        repeated
    }

    /// The same by counting every byte: distinct ones, and those that came at least three times.
    fn counted(reads: &[Read]) -> (u64, u64) {
        let mut times = vec![[0u32; 400]; 3];
        for (file, start, length) in reads {
            for byte in *start..start + length {
                times[usize::from(*file)][byte as usize] += 1;
            }
        }
        let least = |least: u32| {
            let bytes = times.iter().flatten();
            bytes.filter(|times| **times >= least).count() as u64
        };
        (least(1), least(3))
    }

    fn reads() -> impl Strategy<Value = Vec<Read>> {
        prop::collection::vec((0u16..3, 0u64..300, 0u64..60), 0..60)
    }

    #[test]
    fn the_third_arrival_counts_and_no_later_one() {
        let twice = repeated(&[(0, 0, 100), (0, 0, 100), (1, 0, 100)]);
        assert_eq!((twice.bytes(), twice.three_times_bytes()), (200, 0));
        let more = repeated(&[(0, 0, 100), (0, 50, 100), (0, 90, 20), (0, 90, 20)]);
        // 90 – 100 came four times, 100 – 110 three times.
        assert_eq!((more.bytes(), more.three_times_bytes()), (150, 20));
    }

    proptest! {
        #[test]
        fn it_is_what_counting_every_byte_gives(reads in reads()) {
            let repeated = repeated(&reads);
            prop_assert_eq!((repeated.bytes(), repeated.three_times_bytes()), counted(&reads));
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(reads in reads(), at: prop::sample::Index) {
            let (first, second) = reads.split_at(at.index(reads.len() + 1));
            let mut merged = repeated(first);
            merged.merge(&repeated(second));
            prop_assert_eq!((merged.bytes(), merged.three_times_bytes()), counted(&reads));
        }

        #[test]
        fn three_times_is_at_most_a_third_of_the_total(reads in reads()) {
            let total: u64 = reads.iter().map(|read| read.2).sum();
            prop_assert!(repeated(&reads).three_times_bytes() * 3 <= total);
        }
    }
}
