//! Which process was current when a read was issued.
//!
//! Attribution is by extents, never by process: the task that is current at issue is often a kernel worker.
//! This share only stands beside the figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::formulas::ratio;

/// Reads and bytes by process, at first issue. Mergeable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

    /// Processes and their shares, most bytes first.
    #[must_use]
    pub fn figures(&self) -> Vec<ProcessFigure> {
        let (all_reads, all_bytes) = self.processes.values().fold((0u64, 0u64), |sum, own| {
            (sum.0.saturating_add(own.0), sum.1.saturating_add(own.1))
        });
        let mut figures: Vec<_> = self
            .processes
            .iter()
            .map(|(process_id, (reads, bytes))| ProcessFigure {
                process_id: *process_id,
                reads: *reads,
                bytes: *bytes,
                reads_share: ratio(*reads, all_reads),
                bytes_share: ratio(*bytes, all_bytes),
            })
            .collect();
        figures.sort_by_key(|figure| (std::cmp::Reverse(figure.bytes), figure.process_id));
        figures
    }
}

/// What was issued while one process was current.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessFigure {
    /// Process; 0 is the idle task.
    pub process_id: u32,
    /// Reads first issued.
    pub reads: u64,
    /// Bytes of the model in them.
    pub bytes: u64,
    /// Share of all reads, 0 – 1.
    pub reads_share: Option<f64>,
    /// Share of all bytes, 0 – 1.
    pub bytes_share: Option<f64>,
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
    fn the_largest_comes_first() {
        let figures = counted(&[(7, 100), (9, 300), (7, 100)]).figures();
        assert_eq!(
            (figures[0].process_id, figures[0].bytes_share),
            (9, Some(0.6))
        );
        assert_eq!(
            (figures[1].reads, figures[1].reads_share),
            (2, Some(2.0 / 3.0))
        );
        assert_eq!(counted(&[(7, 0)]).figures()[0].bytes_share, None);
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
