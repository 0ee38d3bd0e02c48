//! A cache that evicts any of its blocks, each as likely: what knows nothing of their use.

use crate::stats::random_numbers::SplitMix64;

use super::cache::{Cache, ReadAround};

/// A block that is not in the cache.
const ABSENT: u32 = u32::MAX;

/// The cache, and what was read.
#[derive(Clone, Debug)]
pub struct RandomPolicy {
    capacity_blocks: usize,
    read_around: ReadAround,
    /// Place of each block in `resident`.
    places: Vec<u32>,
    resident: Vec<u32>,
    random: SplitMix64,
    read_blocks: u64,
}

impl RandomPolicy {
    /// An empty cache of at least one block, for a file of so many.
    #[must_use]
    pub fn new(capacity_blocks: u32, read_around: ReadAround, file_blocks: u32) -> Self {
        Self {
            capacity_blocks: capacity_blocks.max(1) as usize,
            read_around,
            places: vec![ABSENT; file_blocks as usize],
            resident: Vec::new(),
            random: SplitMix64::new(0, 0),
            read_blocks: 0,
        }
    }

    fn bring_in(&mut self, number: u32) {
        if self.places[number as usize] != ABSENT {
            return;
        }
        self.read_blocks += 1;
        if self.resident.len() >= self.capacity_blocks {
            let place = self.random.below(self.resident.len() as u64) as usize;
            let evicted = self.resident.swap_remove(place);
            self.places[evicted as usize] = ABSENT;
            if let Some(moved) = self.resident.get(place) {
                self.places[*moved as usize] = place as u32;
            }
        }
        self.places[number as usize] = self.resident.len() as u32;
        self.resident.push(number);
    }
}

impl Cache for RandomPolicy {
    fn use_block(&mut self, number: u32) {
        if self
            .places
            .get(number as usize)
            .is_none_or(|place| *place != ABSENT)
        {
            return;
        }
        let around = self.read_around.of(number, self.places.len());
        for other in around.filter(|other| *other != number) {
            self.bring_in(other);
        }
        self.bring_in(number);
    }

    fn read_blocks(&self) -> u64 {
        self.read_blocks
    }
}
