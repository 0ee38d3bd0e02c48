//! Exact stack distances (Mattson, Gecsei, Slutz, Traiger 1970): what a cache of any size reads that evicts what was used longest
//! ago, from one pass.

/// A tree of sums (Fenwick 1994) over the times at which a block was used last.
struct LastUses(Vec<u32>);

impl LastUses {
    fn add(&mut self, time: usize, change: i32) {
        let mut at = time + 1;
        while let Some(sum) = self.0.get_mut(at) {
            *sum = sum.wrapping_add_signed(change);
            at += at & at.wrapping_neg();
        }
    }

    /// Blocks whose last use was before `time`.
    fn before(&self, time: usize) -> u32 {
        let (mut at, mut sum) = (time, 0);
        while at > 0 {
            sum += self.0.get(at).copied().unwrap_or(0);
            at &= at - 1;
        }
        sum
    }
}

/// How many uses had which distance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackDistances {
    /// Uses that were the first of their block.
    pub first_uses: u64,
    /// By the number of different blocks used since the block's last use, that one among them: place 1 is a use again at once.
    pub by_distance: Vec<u64>,
}

impl StackDistances {
    /// The distances of these uses, in their order; those before place `from` in it are not counted.
    #[must_use]
    pub fn of(uses: &[u32], from: usize) -> Self {
        let blocks = uses.iter().max().map_or(0, |block| *block as usize + 1);
        let mut last_use: Vec<Option<usize>> = vec![None; blocks];
        let mut times = LastUses(vec![0; uses.len() + 1]);
        let mut distances = Self {
            first_uses: 0,
            by_distance: vec![0; blocks + 1],
        };
        let mut seen = 0u32;
        for (time, block) in uses.iter().enumerate() {
            let last = last_use[*block as usize].replace(time);
            if let Some(last) = last {
                let distance = seen - times.before(last);
                if time >= from {
                    distances.by_distance[distance as usize] += 1;
                }
                times.add(last, -1);
            } else {
                seen += 1;
                distances.first_uses += u64::from(time >= from);
            }
            times.add(time, 1);
        }
        distances
    }

    /// Blocks that a cache of so many blocks reads.
    #[must_use]
    pub fn reads(&self, capacity_blocks: u32) -> u64 {
        let again: u64 = self
            .by_distance
            .iter()
            .skip(capacity_blocks as usize + 1)
            .sum();
        self.first_uses + again
    }
}

#[cfg(test)]
mod tests {
    use super::StackDistances;
    use proptest::prelude::*;

    #[test]
    fn a_cycle_of_three_has_distance_three() {
        let distances = StackDistances::of(&[0, 1, 2, 0, 1, 2, 0], 0);
        assert_eq!(distances.first_uses, 3);
        assert_eq!(distances.by_distance, [0, 0, 0, 4]);
        assert_eq!((distances.reads(2), distances.reads(3)), (7, 3));
    }

    /// The stack itself, kept as a list.
    fn naive(uses: &[u32], from: usize) -> StackDistances {
        let mut stack: Vec<u32> = Vec::new();
        let most = uses.iter().max().map_or(0, |block| *block as usize + 1);
        let mut distances = StackDistances {
            first_uses: 0,
            by_distance: vec![0; most + 1],
        };
        for (time, block) in uses.iter().enumerate() {
            let counted = u64::from(time >= from);
            match stack.iter().position(|other| other == block) {
                Some(place) => {
                    stack.remove(place);
                    distances.by_distance[place + 1] += counted;
                }
                None => distances.first_uses += counted,
            }
            stack.insert(0, *block);
        }
        distances
    }

    proptest! {
        #[test]
        fn they_are_those_of_a_stack(
            uses in prop::collection::vec(0..12u32, 0..200),
            from in 0..50usize,
        ) {
            prop_assert_eq!(StackDistances::of(&uses, from), naive(&uses, from));
        }

        /// What a small cache holds a larger one holds, too.
        #[test]
        fn a_larger_cache_never_reads_more(uses in prop::collection::vec(0..12u32, 0..200)) {
            let distances = StackDistances::of(&uses, 0);
            for capacity in 0..14 {
                prop_assert!(distances.reads(capacity + 1) <= distances.reads(capacity));
            }
            prop_assert_eq!(distances.reads(0), uses.len() as u64);
        }
    }
}
