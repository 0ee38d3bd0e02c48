use std::num::NonZeroU64;

use proptest::prelude::*;

use crate::stats::experiment::threshold::{
    StepBytes, ThresholdRun,
    simulated_engine::{SimulatedEngine, randomised_blocks},
    verdict,
};

use super::{NextRuns, next_runs};

fn bytes(count: u64) -> NonZeroU64 {
    NonZeroU64::new(count).expect("not 0")
}

/// Runs all of whose steps read so many per cent.
fn runs(sizes: &[(u64, usize, u64)]) -> Vec<ThresholdRun> {
    let all = sizes
        .iter()
        .flat_map(|(size, count, share)| std::iter::repeat_n((*size, *share), *count));
    all.zip(0..)
        .map(|((size_bytes, per_cent), run)| ThresholdRun {
            run,
            size_bytes,
            steps: vec![
                StepBytes {
                    read_bytes: Some(per_cent),
                    need_bytes: Some(100),
                };
                50
            ],
            ..Default::default()
        })
        .collect()
}

#[test]
fn what_is_missing_is_planned() {
    let next = |sizes: &[(u64, usize, u64)]| next_runs(&verdict(&runs(sizes)), bytes(100));
    assert_eq!(next(&[]), NextRuns::default());
    assert!(next(&[(100, 5, 90), (200, 5, 0)]).is_empty());
    assert_eq!(next(&[(100, 5, 90), (400, 5, 0)]).refine_bytes, [300, 200]);
    assert_eq!(next(&[(100, 5, 90), (200, 5, 90)]).above_bytes, Some(200));
    assert_eq!(next(&[(100, 5, 0), (200, 5, 0)]).below_bytes, Some(100));
    let few = next(&[(100, 5, 90), (200, 2, 0), (300, 5, 0)]);
    assert_eq!(few.repeat, [(200, 3)]);
}

#[test]
fn a_run_that_is_too_short_asks_for_other_runs_not_for_more() {
    let mut short = runs(&[(100, 5, 90), (200, 5, 0)]);
    short[9].steps.truncate(10);
    let next = next_runs(&verdict(&short), bytes(100));
    assert_eq!(next.unjudged_bytes, [200]);
    assert!(next.repeat.is_empty());
}

proptest! {
    #[test]
    fn every_block_holds_every_cell_once(cells in 0u32..30, blocks in 0usize..8, seed: u64) {
        let cells: Vec<u32> = (0..cells).collect();
        let planned = randomised_blocks(&cells, blocks, seed);
        prop_assert_eq!(planned.len(), blocks);
        for block in &planned {
            let mut sorted = block.clone();
            sorted.sort_unstable();
            prop_assert_eq!(&sorted, &cells);
        }
        prop_assert_eq!(planned, randomised_blocks(&cells, blocks, seed));
    }

    /// A coarse grid, then one refinement: the bounds are known to the wished resolution, and nothing is missing.
    #[test]
    fn one_refinement_reaches_the_resolution(
        seed: u64, onset in 3_100u64..6_900, width in 300u64..1500, resolution in 50u64..400,
    ) {
        let engine = SimulatedEngine {
            clean_from_bytes: onset,
            collapsed_up_to_bytes: onset - width,
            rise: 0.05,
            fall: 0.2,
        };
        let coarse: Vec<u64> = (1..=8).rev().map(|size| size * 1_000).collect();
        let mut runs = engine.experiment(&randomised_blocks(&coarse, 5, seed), 100, seed);
        let next = next_runs(&verdict(&runs), bytes(resolution));
        prop_assert!(next.refine_bytes.windows(2).all(|pair| pair[1] < pair[0]));
        prop_assert!(next.refine_bytes.iter().all(|size| !coarse.contains(size)));
        let blocks = randomised_blocks(&next.refine_bytes, 5, seed);
        runs.extend(engine.experiment(&blocks, 100, seed ^ 1));
        let refined = verdict(&runs);
        prop_assert!(next_runs(&refined, bytes(resolution)).is_empty());
        let found = refined.onset.expect("an onset");
        prop_assert!(found.unclean_bytes < onset && onset <= found.size_bytes);
        prop_assert!(found.resolution_bytes() <= resolution);
        let collapse = refined.collapse.expect("a collapse");
        prop_assert!(collapse.size_bytes <= onset - width && onset - width < collapse.uncollapsed_bytes);
    }
}

#[test]
fn blocks_have_orders_of_their_own() {
    let cells: Vec<u32> = (0..12).collect();
    let blocks = randomised_blocks(&cells, 3, 1);
    assert_ne!(blocks[0], blocks[1]);
    assert_ne!(blocks, randomised_blocks(&cells, 3, 2));
}
