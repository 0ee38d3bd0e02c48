//! The best that a cache can do (Belady 1966): it evicts what is used again last. No kernel knows that; nothing reads less.

use std::collections::BTreeSet;

/// Blocks that it reads from place `from` of the uses on, with room for so many blocks (at least 1).
#[must_use]
pub fn fewest_reads(uses: &[u32], capacity_blocks: u32, from: usize) -> u64 {
    const NEVER: usize = usize::MAX;
    let blocks = uses.iter().max().map_or(0, |block| *block as usize + 1);
    let mut next_of_block = vec![NEVER; blocks];
    let mut next_use = vec![NEVER; uses.len()];
    for (time, block) in uses.iter().enumerate().rev() {
        next_use[time] = std::mem::replace(&mut next_of_block[*block as usize], time);
    }
    // What is in the cache, by its next use; each time is the use of one block.
    let mut held: BTreeSet<(usize, u32)> = BTreeSet::new();
    let mut reads = 0;
    for ((time, block), next) in uses.iter().enumerate().zip(&next_use) {
        if !held.remove(&(time, *block)) {
            reads += u64::from(time >= from);
            if held.len() >= capacity_blocks.max(1) as usize {
                held.pop_last();
            }
        }
        held.insert((*next, *block));
    }
    reads
}

#[cfg(test)]
mod tests {
    use super::{super::distances::StackDistances, fewest_reads};
    use proptest::prelude::*;

    #[test]
    fn of_a_cycle_it_reads_what_has_no_room() {
        // Four blocks, room for three: after the first pass one read for each three uses (Belady's own example's form).
        let uses: Vec<u32> = (0..16).map(|use_| use_ % 4).collect();
        assert_eq!(fewest_reads(&uses, 4, 0), 4);
        assert_eq!(fewest_reads(&uses, 3, 4), 4);
        assert_eq!(fewest_reads(&uses, 1, 0), 16);
    }

    /// Every choice tried.
    fn tried(uses: &[u32], capacity: usize, held: &[u32]) -> u64 {
        let Some((block, rest)) = uses.split_first() else {
            return 0;
        };
        if held.contains(block) {
            return tried(rest, capacity, held);
        }
        let with = |held: &[u32]| [held, &[*block]].concat();
        if held.len() < capacity {
            return 1 + tried(rest, capacity, &with(held));
        }
        let choices = (0..held.len()).map(|out| {
            let mut left = held.to_vec();
            left.remove(out);
            tried(rest, capacity, &with(&left))
        });
        1 + choices.min().unwrap_or(0)
    }

    proptest! {
        #[test]
        fn nothing_reads_less(
            uses in prop::collection::vec(0..5u32, 0..12),
            capacity in 1..4u32,
        ) {
            prop_assert_eq!(fewest_reads(&uses, capacity, 0), tried(&uses, capacity as usize, &[]));
        }

        #[test]
        fn never_more_than_what_evicts_the_oldest(
            uses in prop::collection::vec(0..12u32, 0..200),
            capacity in 1..14u32,
        ) {
            prop_assert!(fewest_reads(&uses, capacity, 0) <= StackDistances::of(&uses, 0).reads(capacity));
        }
    }
}
