//! The proof that no read is missing between two others: each end is a predecessor exactly once.
//!
//! At its first issue every read leaves its end in one word of the kernel and takes what the previous read
//! left there. So over all reads of a device, whatever order their records arrive in, the multiset of ends
//! and the multiset of previous ends are equal but for two: one read found nothing (the first), and one end
//! was found by nobody (the last). A lost or doubled record, or a torn exchange, breaks the balance.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Balance of ends and previous ends of one device. Mergeable: the parts may be in any order.
#[derive(Clone, Debug, Default)]
pub struct ExchangeBalance {
    reads: u64,
    first_reads: u64,
    /// End of the latest read, not yet in `balance`: the next read nearly always takes it.
    tail: Option<u64>,
    /// Times an end was left, minus times it was taken; without zeros.
    balance: HashMap<u64, i64>,
}

impl ExchangeBalance {
    /// Takes in one read: what its exchange returned, and the end it left.
    pub fn record(&mut self, previous_end: Option<u64>, end: u64) {
        self.reads += 1;
        match previous_end {
            None => self.first_reads += 1,
            Some(_) if previous_end == self.tail => self.tail = None,
            Some(taken) => self.add(taken, -1),
        }
        if let Some(tail) = self.tail.replace(end) {
            self.add(tail, 1);
        }
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        self.reads = self.reads.saturating_add(other.reads);
        self.first_reads = self.first_reads.saturating_add(other.first_reads);
        for (end, count) in &other.balance {
            self.add(*end, *count);
        }
        if let Some(tail) = other.tail {
            self.add(tail, 1);
        }
    }

    fn add(&mut self, end: u64, count: i64) {
        let own = self.balance.entry(end).or_default();
        *own += count;
        if *own == 0 {
            self.balance.remove(&end);
        }
    }

    /// The verdict so far. `last_end` is what the kernel's word holds after the run, where it was read: only
    /// with it are the loss of the very last record and a doubled last lap seen.
    #[must_use]
    pub fn check(&self, last_end: Option<u64>) -> ExchangeCheck {
        let mut balance = self.balance.clone();
        if let Some(tail) = self.tail {
            *balance.entry(tail).or_default() += 1;
        }
        let left = |sign: i64| -> u64 {
            balance
                .values()
                .map(|count| (count * sign).max(0).unsigned_abs())
                .sum()
        };
        let (untaken_ends, unknown_predecessors) = (left(1), left(-1));
        let open_end = if untaken_ends == 1 {
            balance
                .iter()
                .find(|(_, count)| **count > 0)
                .map(|(end, _)| *end)
        } else {
            None
        };
        let some_reads = u64::from(self.reads > 0);
        ExchangeCheck {
            // Ends − predecessors = first reads, so these two leave no unknown predecessor.
            holds: self.first_reads == some_reads
                && untaken_ends == some_reads
                && (last_end.is_none() || last_end == open_end),
            reads: self.reads,
            first_reads: self.first_reads,
            untaken_ends,
            unknown_predecessors,
            last_end: open_end,
        }
    }
}

/// Whether each end was a predecessor exactly once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeCheck {
    /// It was: one first read, one end left over, nothing unknown.
    pub holds: bool,
    /// Reads checked.
    pub reads: u64,
    /// Reads whose exchange found nothing; 1 if there were reads.
    pub first_reads: u64,
    /// Ends that no read took; 1 if there were reads.
    pub untaken_ends: u64,
    /// Ends taken that no read left, or taken more often than left; 0.
    pub unknown_predecessors: u64,
    /// The one end left over, to compare with the kernel's word.
    pub last_end: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::{ExchangeBalance, ExchangeCheck};
    use proptest::prelude::*;

    /// Reads of few sectors, so that ends repeat, with what the exchange returns.
    fn exchanged(ends: &[u64]) -> Vec<(Option<u64>, u64)> {
        let mut last = None;
        ends.iter().map(|end| (last.replace(*end), *end)).collect()
    }

    fn balanced(reads: &[(Option<u64>, u64)]) -> ExchangeBalance {
        let mut balance = ExchangeBalance::default();
        reads
            .iter()
            .for_each(|(previous, end)| balance.record(*previous, *end));
        balance
    }

    fn check(reads: &[(Option<u64>, u64)]) -> ExchangeCheck {
        balanced(reads).check(None)
    }

    #[test]
    fn nothing_read_holds() {
        assert!(check(&[]).holds);
        assert!(!ExchangeBalance::default().check(Some(8)).holds);
    }

    #[test]
    fn a_second_first_read_breaks_it() {
        assert!(!check(&[(None, 8), (None, 16)]).holds);
    }

    #[test]
    fn a_record_lost_in_the_middle_shows_without_the_last_end() {
        let mut reads = exchanged(&[8, 16, 24, 32]);
        reads.remove(2);
        let check = check(&reads);
        assert!(!check.holds);
        assert_eq!(
            (
                check.untaken_ends,
                check.unknown_predecessors,
                check.last_end
            ),
            (2, 1, None)
        );
    }

    proptest! {
        #[test]
        fn any_arrival_order_holds(
            ends in prop::collection::vec(1u64..12, 1..100).prop_map(|ends| exchanged(&ends)).prop_flat_map(
                |reads| (Just(reads.clone()), Just(reads).prop_shuffle())),
        ) {
            let (in_order, shuffled) = ends;
            let check = check(&shuffled);
            prop_assert!(check.holds);
            prop_assert_eq!(check.last_end, in_order.last().map(|read| read.1));
        }

        #[test]
        fn a_lost_record_breaks_it(
            ends in prop::collection::vec(1u64..12, 2..100), at: prop::sample::Index,
        ) {
            let mut reads = exchanged(&ends);
            let lost = reads.remove(at.index(reads.len()));
            // A read that left what it took is invisible here; the kernel's loss counter has it.
            prop_assume!(lost.0 != Some(lost.1));
            prop_assert!(!balanced(&reads).check(ends.last().copied()).holds);
        }

        #[test]
        fn a_doubled_record_breaks_it(
            ends in prop::collection::vec(1u64..12, 1..100), at: prop::sample::Index,
        ) {
            let mut reads = exchanged(&ends);
            let doubled = reads[at.index(reads.len())];
            prop_assume!(doubled.0 != Some(doubled.1));
            reads.push(doubled);
            // Without the kernel's last end the double may look like a lap more.
            prop_assert!(!balanced(&reads).check(ends.last().copied()).holds);
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            ends in prop::collection::vec(1u64..12, 0..100), at: prop::sample::Index, lose: bool,
        ) {
            let mut reads = exchanged(&ends);
            if lose && !reads.is_empty() {
                reads.remove(reads.len() / 2);
            }
            let (first, second) = reads.split_at(at.index(reads.len() + 1));
            let mut merged = balanced(first);
            merged.merge(&balanced(second));
            prop_assert_eq!(merged.check(None), check(&reads));
        }
    }
}
