//! How many of the model's reads the driver holds when another one is issued.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::formulas::mean;

/// Reads by queue depth at their first issue, themselves included: reading one block after another has
/// depth 1. Mergeable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueDepths {
    reads: BTreeMap<u64, u64>,
}

impl QueueDepths {
    pub fn record(&mut self, depth: u64) {
        *self.reads.entry(depth).or_default() += 1;
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for (depth, reads) in &other.reads {
            let own = self.reads.entry(*depth).or_default();
            *own = own.saturating_add(*reads);
        }
    }

    /// Mean, largest and all depths.
    #[must_use]
    pub fn figures(&self) -> QueueDepthFigures {
        let reads: u128 = self.reads.values().map(|reads| u128::from(*reads)).sum();
        let sum: u128 = self
            .reads
            .iter()
            .map(|(depth, reads)| u128::from(*depth) * u128::from(*reads))
            .sum();
        QueueDepthFigures {
            mean: mean(sum, reads),
            max: self.reads.keys().next_back().copied(),
            reads: self
                .reads
                .iter()
                .map(|(depth, reads)| DepthCount {
                    depth: *depth,
                    reads: *reads,
                })
                .collect(),
        }
    }
}

/// Queue depth at first issue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueDepthFigures {
    /// Mean over reads; `None` without reads.
    pub mean: Option<f64>,
    /// Largest; `None` without reads.
    pub max: Option<u64>,
    /// Reads by depth, ascending.
    pub reads: Vec<DepthCount>,
}

/// Reads that were issued at one depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthCount {
    /// The model's reads with the driver, this one included.
    pub depth: u64,
    pub reads: u64,
}

#[cfg(test)]
mod tests {
    use super::{DepthCount, QueueDepths};

    #[test]
    fn depths_are_counted_and_averaged() {
        let mut depths = QueueDepths::default();
        assert_eq!(depths.figures().mean, None);
        [1, 1, 4].into_iter().for_each(|depth| depths.record(depth));
        let mut more = QueueDepths::default();
        more.record(4);
        depths.merge(&more);
        let figures = depths.figures();
        assert_eq!((figures.mean, figures.max), (Some(2.5), Some(4)));
        assert_eq!(
            figures.reads,
            [
                DepthCount { depth: 1, reads: 2 },
                DepthCount { depth: 4, reads: 2 }
            ]
        );
    }
}
