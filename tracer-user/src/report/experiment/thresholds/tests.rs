use crate::{
    report::experiment::{
        experiment_markdown,
        sample::{GIB, experiment, finished, steps, with_model, with_record},
    },
    schema::{ExperimentRunRecord, PlannedPressure, RunOutcome},
};

use super::{PressureKind, threshold_refinement, thresholds};

/// A run all of whose 99 steps read so many per cent of their need.
fn run(pressure: PlannedPressure, per_cent: u64) -> ExperimentRunRecord {
    with_model(finished("a.gguf", pressure), |model| {
        model.tokens = Some(steps(&[per_cent; 99]));
    })
}

/// Five runs at each of these cgroup limits, GiB.
fn grid(sizes: &[(u64, u64)]) -> Vec<ExperimentRunRecord> {
    sizes
        .iter()
        .flat_map(|(size, per_cent)| {
            vec![run(PlannedPressure::MemoryMax(size * GIB), *per_cent); 5]
        })
        .collect()
}

#[test]
fn the_verdict_stands_beside_what_the_model_took_without_pressure() {
    let mut runs = grid(&[(6, 0), (5, 0), (4, 40), (3, 90)]);
    runs.push(finished("a.gguf", PlannedPressure::None));
    let made = experiment(runs);
    let found = thresholds(&made);
    assert_eq!(found.len(), 1);
    let prediction = found[0].prediction().expect("an onset and a sum");
    assert_eq!(prediction.resident_bytes, 5 * GIB);
    assert_eq!(prediction.onset.size_bytes, 5 * GIB);
    assert!(prediction.within_resolution());
    let text = experiment_markdown(&made);
    for words in [
        "5.00 GiB are enough for this model of 4.00 GiB (5.00 tokens/s): generating reads next to nothing from the disk. With 3.00 GiB or less every token reads its weights again (5.00 tokens/s); in between the same run can be fast or slow.",
        "Onset, the least memory that is enough: 5.00 GiB; at 4.00 GiB, the next tested size below, a run still reads: resolution 1.00 GiB.",
        "Collapse, the most memory with which the weights are read again and again: 3.00 GiB; at 4.00 GiB",
        "Unstable band: 4.00 GiB to 4.00 GiB: 5 runs",
        "onset / sum: 1.000×; the sum lies within the interval",
    ] {
        assert!(text.contains(words), "{words}:\n{text}");
    }
    for (size, verdict) in [
        ("6.00 GiB", "0.000× | fits |"),
        ("5.00 GiB", "0.000× | fits |"),
        ("4.00 GiB", "0.400× | in between |"),
        ("3.00 GiB", "0.900× | collapsed |"),
    ] {
        let begin = format!("| cgroup, {size} | 5 |");
        let row = text.lines().find(|line| line.starts_with(&begin));
        let row = row.unwrap_or_else(|| panic!("{size}:\n{text}"));
        assert!(row.ends_with(verdict), "{row}");
    }
}

#[test]
fn balloon_and_cgroup_have_thresholds_of_their_own() {
    let mut runs = grid(&[(6, 0), (3, 90)]);
    runs.extend(vec![run(PlannedPressure::LeaveFree(7 * GIB), 0); 5]);
    runs.extend(vec![run(PlannedPressure::LeaveFree(2 * GIB), 90); 5]);
    let made = experiment(runs);
    let found: Vec<(PressureKind, Option<u64>)> = thresholds(&made)
        .iter()
        .map(|it| {
            (
                it.kind,
                it.verdict.onset.as_ref().ok().map(|onset| onset.size_bytes),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (PressureKind::LeftFree, Some(7 * GIB)),
            (PressureKind::Cgroup, Some(6 * GIB))
        ]
    );
}

#[test]
fn the_size_of_a_lock_is_what_it_left() {
    let locked = |lock: u64, available: u64, per_cent: u64| {
        with_record(run(PlannedPressure::Lock(lock * GIB), per_cent), |record| {
            record.memory.available_before_bytes = Some(available * GIB);
        })
    };
    let mut runs = vec![locked(1, 20, 0); 5];
    runs.extend(vec![locked(10, 11, 90); 5]);
    let found = experiment(runs);
    let found = thresholds(&found);
    let onset = found[0].verdict.onset.as_ref().expect("an onset");
    assert_eq!(
        (onset.size_bytes, onset.unclean_bytes),
        (20 * GIB, 11 * GIB)
    );
    // What is left is refined, and locks are planned: 1 GiB leaves 20 GiB, so 2 GiB leave 19 GiB.
    assert_eq!(found[0].plan(19 * GIB), Some(format!("lock={}", 2 * GIB)));
    assert_eq!(found[0].plan(12 * GIB), Some(format!("lock={}", 9 * GIB)));
    assert_eq!(found[0].plan(22 * GIB), None);
}

#[test]
fn swapped_and_unsound_runs_are_left_out_and_failed_ones_are_shown() {
    let mut runs = grid(&[(6, 0), (3, 90)]);
    runs.push(with_record(
        run(PlannedPressure::MemoryMax(6 * GIB), 90),
        |record| {
            record.memory.swap_out_pages = Some(1);
        },
    ));
    runs.push(with_record(
        run(PlannedPressure::MemoryMax(6 * GIB), 90),
        |record| {
            record.loss.ring_buffer_records = 1;
        },
    ));
    let mut failed = run(PlannedPressure::MemoryMax(6 * GIB), 0);
    (failed.outcome, failed.record) = (RunOutcome::Failed, None);
    runs.push(failed);
    let made = experiment(runs);
    let found = &thresholds(&made)[0];
    assert_eq!(
        found.left_out,
        ["run 10: the machine swapped", "run 11: 1 records were lost"]
    );
    assert!(found.verdict.onset.is_ok());
    assert_eq!(found.verdict.sizes[0].unjudged.len(), 1);
}

#[test]
fn a_refinement_is_in_the_plan_s_own_numbers_and_ends() {
    let mut runs = grid(&[(6, 0), (5, 90)]);
    let sizes = threshold_refinement(&experiment(runs.clone()));
    // 1 GiB in steps of at most 4 GiB / 50.
    assert_eq!(sizes.len(), 12);
    assert!(sizes.windows(2).all(|pair| pair[1] < pair[0]));
    for size in sizes {
        let per_cent = if size > 5 * GIB + GIB / 2 { 0 } else { 90 };
        runs.extend(vec![run(PlannedPressure::MemoryMax(size), per_cent); 5]);
    }
    assert!(threshold_refinement(&experiment(runs)).is_empty());
}
