use proptest::prelude::*;

use crate::stats::experiment::threshold::{
    StepBytes,
    simulated_engine::{SimulatedEngine, randomised_blocks},
};

use super::{
    Collapse, CollapseError, Onset, OnsetError, Standing, ThresholdRun, UndecidedSize, Unjudged,
    verdict,
};

const MIB: u64 = 1 << 20;

/// A run all of whose steps read so many per cent of their need.
fn run(number: u64, size_bytes: u64, per_cent: u64) -> ThresholdRun {
    let step = StepBytes {
        read_bytes: Some(per_cent),
        need_bytes: Some(100),
    };
    ThresholdRun {
        run: number,
        size_bytes,
        steps: vec![step; 60],
        ..Default::default()
    }
}

/// So many runs a size.
fn grid(sizes: &[(u64, &[u64])]) -> Vec<ThresholdRun> {
    let runs = sizes
        .iter()
        .flat_map(|(size, shares)| shares.iter().map(move |share| (*size, *share)));
    runs.zip(0..)
        .map(|((size, share), number)| run(number, size, share))
        .collect()
}

#[test]
fn one_reading_run_at_a_larger_size_moves_the_onset_above_it() {
    let clean: &[u64] = &[0, 0, 0, 0, 1];
    let runs = grid(&[
        (100, &[90; 5]),
        (200, clean),
        (300, &[0, 0, 0, 0, 2]),
        (400, clean),
        (500, clean),
    ]);
    let verdict = verdict(&runs);
    let onset = Onset {
        size_bytes: 400,
        unclean_bytes: 300,
    };
    assert_eq!(verdict.onset, Ok(onset));
    assert_eq!(onset.resolution_bytes(), 100);
    assert_eq!(
        verdict.collapse,
        Ok(Collapse {
            size_bytes: 100,
            uncollapsed_bytes: 200
        })
    );
    let band = verdict.band.expect("an onset was found");
    assert_eq!(band.sizes_bytes, [200, 300]);
    assert!(band.bounded_below);
    // The runs of 300 read less than 1 % more than those of 200, which is no inversion.
    assert!(band.more_memory_read_more.is_empty());
}

#[test]
fn one_run_below_half_at_a_smaller_size_moves_the_collapse_below_it() {
    let runs = grid(&[
        (100, &[50; 5]),
        (200, &[90, 90, 90, 49, 90]),
        (300, &[90; 5]),
        (400, &[0; 5]),
    ]);
    let verdict = verdict(&runs);
    assert_eq!(verdict.collapse.map(|it| it.size_bytes), Ok(100));
    assert_eq!(verdict.onset.map(|it| it.size_bytes), Ok(400));
}

#[test]
fn more_memory_that_reads_more_is_shown() {
    let runs = grid(&[
        (100, &[90; 5]),
        (200, &[0, 0, 0, 0, 40]),
        (300, &[90, 90, 90, 0, 0]),
        (400, &[0; 5]),
    ]);
    let band = verdict(&runs).band.expect("an onset was found");
    assert_eq!(band.more_memory_read_more, [(200, 300)]);
}

#[test]
fn bounds_without_a_size_between_have_an_empty_band() {
    let band = verdict(&grid(&[(100, &[90; 5]), (200, &[0; 5])])).band;
    let band = band.expect("an onset was found");
    assert_eq!((band.sizes_bytes.len(), band.steps), (0, 0));
    assert_eq!(band.high_share, None);
}

#[test]
fn what_the_runs_cannot_decide_is_said() {
    assert_eq!(verdict(&[]).onset, Err(OnsetError::NoRuns));
    assert_eq!(verdict(&[]).collapse, Err(CollapseError::NoRuns));

    let unclean = verdict(&grid(&[(100, &[90; 5]), (200, &[90, 0, 0, 0, 0])]));
    assert_eq!(
        unclean.onset,
        Err(OnsetError::NoCleanSize { largest_bytes: 200 })
    );
    assert_eq!(unclean.band, None);

    let all = verdict(&grid(&[(100, &[0; 5]), (200, &[0; 5])]));
    assert_eq!(
        all.onset,
        Err(OnsetError::AllClean {
            smallest_bytes: 100
        })
    );
    assert_eq!(
        all.collapse,
        Err(CollapseError::NoCollapsedSize {
            smallest_bytes: 100
        })
    );

    let collapsed = verdict(&grid(&[(100, &[80; 5]), (200, &[80; 5])]));
    assert_eq!(
        collapsed.collapse,
        Err(CollapseError::AllCollapsed { largest_bytes: 200 })
    );
}

#[test]
fn four_clean_runs_are_too_few_but_one_reading_run_is_enough() {
    let few = verdict(&grid(&[(100, &[90]), (200, &[0; 4]), (300, &[0; 5])]));
    assert_eq!(
        few.onset,
        Err(OnsetError::Undecided {
            size_bytes: 200,
            why: UndecidedSize::TooFewRuns(4),
            at_most_bytes: Some(300),
        })
    );
    let enough = verdict(&grid(&[(100, &[90]), (200, &[0; 5])]));
    assert_eq!(enough.onset.map(|onset| onset.unclean_bytes), Ok(100));
    assert!(matches!(
        enough.collapse,
        Err(CollapseError::Undecided {
            size_bytes: 100,
            at_least_bytes: None,
            ..
        })
    ));
}

#[test]
fn a_run_that_says_nothing_leaves_its_size_undecided_and_a_failed_one_is_left_out() {
    let mut runs = grid(&[(100, &[90; 5]), (200, &[0; 6])]);
    runs[10].failed = true;
    assert_eq!(verdict(&runs).onset.map(|onset| onset.size_bytes), Ok(200));
    runs[10].failed = false;
    runs[10].steps.truncate(20);
    let size = &verdict(&runs).sizes[0];
    assert_eq!(
        size.clean,
        Standing::Undecided(UndecidedSize::Unjudged {
            run: 10,
            why: Unjudged::TooFewSteps(20)
        })
    );
}

#[test]
fn sizes_at_which_the_engine_cannot_run_do_not_hide_the_collapse() {
    let mut runs = grid(&[(50, &[0; 5]), (100, &[90; 5]), (200, &[0; 5])]);
    runs.iter_mut()
        .filter(|run| run.size_bytes == 50)
        .for_each(|run| run.failed = true);
    let verdict = verdict(&runs);
    assert_eq!(verdict.collapse.map(|it| it.size_bytes), Ok(100));
    assert_eq!(verdict.onset.map(|it| it.size_bytes), Ok(200));
    // Nor are they part of a band that no collapse bounds.
    let mut unbounded = grid(&[(50, &[0; 5]), (100, &[90, 0]), (200, &[0; 5])]);
    unbounded[..5].iter_mut().for_each(|run| run.failed = true);
    let band = super::verdict(&unbounded).band.expect("an onset was found");
    assert_eq!(band.sizes_bytes, [100]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Five runs of 100 steps each; the engine is in the high state 20 % of the time, five steps at a stretch. That
    /// all five runs of a size in the band look clean, or collapsed, has a probability below 1e-5.
    #[test]
    fn a_known_threshold_and_a_known_band_are_given_back(
        seed: u64, top in 6u64..12, width in 2u64..5, offset in 1..50 * MIB,
    ) {
        let sizes: Vec<u64> = (1..=14u64).rev().map(|step| step * 50 * MIB).collect();
        let engine = SimulatedEngine {
            clean_from_bytes: top * 50 * MIB - offset + 1,
            collapsed_up_to_bytes: (top - width - 1) * 50 * MIB + offset - 1,
            rise: 0.05,
            fall: 0.2,
        };
        let runs = engine.experiment(&randomised_blocks(&sizes, 5, seed), 100, seed);
        let verdict = verdict(&runs);
        // The smallest and largest sizes of the grid on the right side of the engine's own bounds.
        prop_assert_eq!(verdict.onset, Ok(Onset {
            size_bytes: top * 50 * MIB, unclean_bytes: (top - 1) * 50 * MIB,
        }));
        prop_assert_eq!(verdict.collapse, Ok(Collapse {
            size_bytes: (top - width - 1) * 50 * MIB, uncollapsed_bytes: (top - width) * 50 * MIB,
        }));
        let band = verdict.band.expect("an onset was found");
        let between: Vec<u64> = (top - width..top).map(|step| step * 50 * MIB).collect();
        prop_assert_eq!(&band.sizes_bytes, &between);
        prop_assert_eq!(band.runs as u64, 5 * width);
        prop_assert_eq!(band.steps as u64, 5 * width * 50);
        prop_assert_eq!(band.steps_between, 0);
        // rise / (rise + fall) = 0.2 of the steps, in stays that are too long to be exact.
        let high = band.high_share.expect("there are steps");
        prop_assert!((0.05..0.4).contains(&high), "{high}");
        let stays = |dwells: &crate::stats::experiment::threshold::Dwells| {
            dwells.whole.iter().chain(&dwells.cut).sum::<usize>()
        };
        prop_assert_eq!(stays(&band.low) + stays(&band.high), band.steps);
    }

    /// The verdict does not depend on the order in which the runs were made.
    #[test]
    fn order_does_not_matter(seed: u64, shares in prop::collection::vec(0u64..100, 5..40)) {
        let runs: Vec<ThresholdRun> = shares.iter().zip(0..)
            .map(|(share, number)| run(number, 100 + number % 4, *share))
            .collect();
        let shuffled: Vec<ThresholdRun> = randomised_blocks(&runs, 1, seed).concat();
        let (one, other) = (verdict(&runs), verdict(&shuffled));
        prop_assert_eq!(one.onset, other.onset);
        prop_assert_eq!(one.collapse, other.collapse);
    }
}

#[test]
fn the_share_and_the_length_of_stays_are_those_of_the_engine() {
    let engine = SimulatedEngine {
        clean_from_bytes: 400,
        collapsed_up_to_bytes: 100,
        rise: 0.05,
        fall: 0.2,
    };
    let blocks = vec![vec![100, 200, 300, 400]; 60];
    let band = verdict(&engine.experiment(&blocks, 400, 5)).band;
    let band = band.expect("an onset was found");
    let high = band.high_share.expect("there are steps");
    assert!((high - 0.2).abs() < 0.02, "{high}");
    let mean = |stays: &[usize]| stays.iter().sum::<usize>() as f64 / stays.len() as f64;
    // Geometric: 1 / fall = 5 and 1 / rise = 20 steps; stays that the window cuts are left out, which shortens long ones.
    let (low, high) = (mean(&band.low.whole), mean(&band.high.whole));
    assert!((4.6..5.4).contains(&high), "{high}");
    assert!((16.5..20.5).contains(&low), "{low}");
    // Every run has a state from its first step on, so it has one stay more than switches.
    let stays = [
        &band.low.whole,
        &band.low.cut,
        &band.high.whole,
        &band.high.cut,
    ];
    let stays: usize = stays.iter().map(|stays| stays.len()).sum();
    assert_eq!(band.switches, stays - band.runs);
}
