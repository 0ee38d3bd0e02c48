//! Which process was current when a read was issued.
//!
//! Attribution is by extents, never by process: the task that is current at issue is often a kernel worker.
//! This share only stands beside the figures.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::stats::formulas::ratio;

/// Reads and bytes by process, at first issue. Mergeable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessShares {
    processes: BTreeMap<u32, (u64, u64)>,
}

impl ProcessShares {
    /// Counts one read of `bytes` bytes of the model.
    pub fn record(&mut self, process_id: u32, bytes: u64) {
        let (reads, sum) = self.processes.entry(process_id).or_default();
        *reads += 1;
        *sum = sum.saturating_add(bytes);
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for (process_id, (reads, bytes)) in &other.processes {
            let own = self.processes.entry(*process_id).or_default();
            own.0 = own.0.saturating_add(*reads);
            own.1 = own.1.saturating_add(*bytes);
        }
    }

    /// What these processes issued, and its share of all bytes.
    #[must_use]
    pub fn of(&self, process_ids: &BTreeSet<u32>) -> ProcessShare {
        let sum = |counted: &mut dyn Iterator<Item = &(u64, u64)>| {
            counted.fold((0u64, 0u64), |sum, own| {
                (sum.0.saturating_add(own.0), sum.1.saturating_add(own.1))
            })
        };
        let (_, all_bytes) = sum(&mut self.processes.values());
        let own = self
            .processes
            .iter()
            .filter(|(id, _)| process_ids.contains(id));
        let (count, bytes) = sum(&mut own.map(|(_, counted)| counted));
        ProcessShare {
            count,
            bytes,
            share: ratio(bytes, all_bytes),
        }
    }
}

/// Reads by the process that was current at their issue: a diagnostic, since kernel threads issue reads for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProcessShare {
    /// Reads first issued while one of the processes was current.
    pub count: u64,
    /// Bytes of the model in them.
    pub bytes: u64,
    /// Their share of the bytes of all reads, 0 – 1; `None` without reads, or where processes cannot be compared.
    pub share: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::ProcessShares;
    use proptest::prelude::*;

    fn counted(reads: &[(u32, u64)]) -> ProcessShares {
        let mut shares = ProcessShares::default();
        reads
            .iter()
            .for_each(|(process_id, bytes)| shares.record(*process_id, *bytes));
        shares
    }

    #[test]
    fn some_of_the_processes_have_a_share_of_all() {
        let shares = counted(&[(7, 100), (9, 300), (7, 100), (5, 0)]);
        let of = |ids: &[u32]| shares.of(&ids.iter().copied().collect());
        assert_eq!((of(&[9]).bytes, of(&[9]).share), (300, Some(0.6)));
        assert_eq!((of(&[7, 9]).count, of(&[7, 9]).share), (3, Some(1.0)));
        assert_eq!((of(&[1]).count, of(&[1]).share), (0, Some(0.0)));
        assert_eq!(counted(&[(7, 0)]).of(&[7].into()).share, None);
    }

    proptest! {
        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            reads in prop::collection::vec((0u32..5, 0u64..10_000), 0..100), at: prop::sample::Index,
        ) {
            let (first, second) = reads.split_at(at.index(reads.len() + 1));
            let mut merged = counted(first);
            merged.merge(&counted(second));
            prop_assert_eq!(merged, counted(&reads));
        }
    }
}
