//! Differences between two cells, paired by block: what changed in the course of an experiment (temperature, other
//! load) is nearly the same for the runs of one block, and falls out.

use std::collections::BTreeMap;

use super::bootstrap::median;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairedDifferences {
    /// Block, and the other cell's value − the first one's. Several values of a cell in one block count as their
    /// median.
    pub differences: Vec<(u64, f64)>,
    /// Blocks in which only one of the cells has a value.
    pub unpaired_blocks: Vec<u64>,
}

/// Pairs the values of two cells, each with its block, by block.
#[must_use]
pub fn paired_differences(first: &[(u64, f64)], other: &[(u64, f64)]) -> PairedDifferences {
    let (first, other) = (by_block(first), by_block(other));
    let mut paired = PairedDifferences::default();
    for (block, value) in &first {
        match other.get(block) {
            Some(others) => paired.differences.push((*block, others - value)),
            None => paired.unpaired_blocks.push(*block),
        }
    }
    let alone = other.keys().filter(|block| !first.contains_key(block));
    paired.unpaired_blocks.extend(alone);
    paired.unpaired_blocks.sort_unstable();
    paired
}

fn by_block(values: &[(u64, f64)]) -> BTreeMap<u64, f64> {
    let mut blocks: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (block, value) in values.iter().filter(|(_, value)| value.is_finite()) {
        blocks.entry(*block).or_default().push(*value);
    }
    blocks
        .into_iter()
        .filter_map(|(block, values)| Some((block, median(&values)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::paired_differences;
    use proptest::prelude::*;

    #[test]
    fn blocks_with_one_side_are_named_and_not_paired() {
        let paired = paired_differences(
            &[(0, 1.0), (1, 2.0), (1, 4.0), (2, 5.0)],
            &[(1, 10.0), (3, 1.0), (0, f64::NAN)],
        );
        assert_eq!(paired.differences, [(1, 7.0)]);
        assert_eq!(paired.unpaired_blocks, [0, 2, 3]);
    }

    proptest! {
        #[test]
        fn what_a_whole_block_shares_falls_out(
            drifts in prop::collection::vec(-1000i32..1000, 1..20), effect in -100i32..100,
        ) {
            let cell = |effect: i32| -> Vec<(u64, f64)> {
                drifts.iter().zip(0..).map(|(drift, block)| (block, f64::from(drift + effect))).collect()
            };
            let paired = paired_differences(&cell(0), &cell(effect));
            prop_assert_eq!(paired.differences.len(), drifts.len());
            for (_, difference) in paired.differences {
                prop_assert_eq!(difference, f64::from(effect));
            }
        }
    }
}
