//! Waits that begin later than what has been summed, by their beginning.
//!
//! A wait becomes known at its end, so they come nearly in the order of their beginnings, and ten seconds of them may be a
//! million: a heap of so many has a miss of the processor's cache in every step. Here what comes is put aside, and goes in
//! among the last ones when somebody asks.

use std::collections::VecDeque;

/// Waits in the order of `Ord`, which is that of their beginnings.
#[derive(Clone, Debug)]
pub(super) struct ComingWaits<T> {
    in_order: VecDeque<T>,
    put_aside: Vec<T>,
}

impl<T> Default for ComingWaits<T> {
    fn default() -> Self {
        Self {
            in_order: VecDeque::new(),
            put_aside: Vec::new(),
        }
    }
}

impl<T: Ord> ComingWaits<T> {
    pub fn push(&mut self, wait: T) {
        self.put_aside.push(wait);
    }

    pub fn len(&self) -> usize {
        self.in_order.len() + self.put_aside.len()
    }

    /// The earliest one.
    pub fn first(&mut self) -> Option<&T> {
        self.put_in();
        self.in_order.front()
    }

    pub fn pop_first(&mut self) -> Option<T> {
        self.put_in();
        self.in_order.pop_front()
    }

    fn put_in(&mut self) {
        let Some(earliest) = self.put_aside.iter().min() else {
            return;
        };
        let before = self.in_order.partition_point(|wait| wait <= earliest);
        self.put_aside.extend(self.in_order.drain(before..));
        self.put_aside.sort_unstable();
        self.in_order.extend(self.put_aside.drain(..));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ComingWaits;

    proptest! {
        /// `Err` asks for the earliest one, `Ok` brings one.
        #[test]
        fn the_earliest_comes_first(
            steps in prop::collection::vec(prop_oneof![(0u64..100).prop_map(Ok), Just(Err(()))], 0..200),
        ) {
            let mut coming = ComingWaits::default();
            let mut naive: Vec<u64> = Vec::new();
            for step in steps {
                if let Ok(start) = step {
                    coming.push(start);
                    naive.push(start);
                } else {
                    let earliest = naive.iter().copied().min();
                    prop_assert_eq!(coming.first().copied(), earliest);
                    prop_assert_eq!(coming.pop_first(), earliest);
                    if let Some(place) = naive.iter().position(|start| Some(*start) == earliest) {
                        naive.swap_remove(place);
                    }
                }
                prop_assert_eq!(coming.len(), naive.len());
            }
        }
    }
}
