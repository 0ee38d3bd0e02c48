use crate::{
    report::experiment::{
        experiment_terminal,
        sample::{GIB, experiment, finished, with_model, with_record},
    },
    schema::{ExperimentRecord, ExperimentRunRecord, PlannedPressure, RunOutcome},
};

use super::experiment_markdown;

fn made() -> ExperimentRecord {
    let mut runs = vec![finished("dir/dense.gguf", PlannedPressure::None); 3];
    runs.extend(vec![
        finished("moe.gguf", PlannedPressure::Lock(10 * GIB));
        2
    ]);
    runs.extend(vec![
        finished(
            "moe.gguf",
            PlannedPressure::MemoryMax(3 * GIB)
        );
        2
    ]);
    runs.push(with_record(
        finished("moe.gguf", PlannedPressure::MemoryMax(3 * GIB)),
        |record| record.memory.swap_in_pages = Some(7),
    ));
    let mut failed = finished("moe.gguf", PlannedPressure::MemoryMax(GIB));
    (failed.outcome, failed.record) = (RunOutcome::Failed, None);
    failed.failure = Some("killed for lack of memory".into());
    runs.push(failed);
    experiment(runs)
}

/// The lines of a section, its title among them.
fn section<'a>(text: &'a str, title: &str) -> Vec<&'a str> {
    let lines = text.lines().skip_while(|line| *line != title);
    let depth = title.split(' ').next().map_or(0, str::len);
    let ends = |line: &&str| {
        let own = line.split(' ').next().unwrap_or_default();
        !own.is_empty() && own.len() <= depth && own.chars().all(|it| it == '#')
    };
    let mut section: Vec<&str> = lines.clone().take(1).collect();
    section.extend(lines.skip(1).take_while(|line| !ends(line)));
    section
}

#[test]
fn every_table_of_the_study_is_there() {
    let text = experiment_markdown(&made());
    for title in [
        "## Setup",
        "## Results",
        "## Failed and missing runs",
        "## Gaps between consecutive reads",
        "## I/O amplification",
        "## Page-cache delta",
        "## Memory beside the file",
        "## Devices compared",
        "## Bandwidth and latency",
        "## Coverage by phase",
        "## Memory thresholds",
        "## Consistency",
        "## Raw data, run by run",
    ] {
        assert!(section(&text, title).len() > 3, "{title}");
    }
    // The study's units: 30 GiB free, 4 GiB read, 8,388,608 sectors.
    let row = "| dense.gguf | 4.00 GiB | none |  | 3 | 30.00 GiB in all 3 | 20.00 s in all 3 | 5.00 in all 3 | 4.00 GiB in all 3 | 4.00 GiB in all 3 | 100.0 % in all 3 | 1.000× in all 3 | 1.3 % in all 3 |";
    assert!(text.contains(row), "{text}");
    assert!(text.contains("8,388,608, identical in all 3"), "{text}");
    assert!(text.contains("killed for lack of memory"));
}

#[test]
fn each_kind_of_pressure_and_swap_has_a_table_of_its_own() {
    let text = experiment_markdown(&made());
    assert!(text.contains("different experiments"));
    for (title, rows) in [
        ("### Results without pressure", 1),
        (
            "### Results under a balloon (memory of the whole machine locked away)",
            1,
        ),
        ("### Results in a memory cgroup of the engine", 1),
        ("### Results during which the machine swapped", 1),
    ] {
        let lines = section(&text, title);
        let found = lines.iter().filter(|line| line.contains("gguf")).count();
        assert_eq!(found, rows, "{title}: {lines:?}");
    }
}

#[test]
fn a_table_has_as_many_cells_in_each_line_as_in_its_header() {
    let text = experiment_markdown(&made());
    let mut width = 0;
    for line in text.lines() {
        if !line.starts_with('|') {
            width = 0;
            continue;
        }
        let cells = line.replace("\\|", "").matches('|').count();
        assert!(width == 0 || cells == width, "{line}");
        width = cells;
    }
}

#[test]
fn what_was_not_observed_is_never_a_zero() {
    let bare = with_model(finished("a.gguf", PlannedPressure::None), |model| {
        *model = crate::schema::ModelRecord::default();
    });
    let bare = with_record(bare, |record| {
        record.engine.tokens_per_s = None;
        record.process.peak = None;
        record.memory.available_before_bytes = None;
    });
    let text = experiment_markdown(&experiment(vec![bare]));
    for title in [
        "## I/O amplification",
        "## Page-cache delta",
        "## Memory beside the file",
    ] {
        let found = section(&text, title);
        assert!(
            found.iter().any(|line| line.starts_with("| none")),
            "{title}"
        );
        for line in found.iter().filter(|line| line.starts_with("| none")) {
            assert!(line.matches("not observed").count() >= 4, "{line}");
            for zero in ["0.0 %", "0.000×"] {
                assert!(!line.contains(zero), "{line}");
            }
        }
    }
}

#[test]
fn an_experiment_without_runs_says_so() {
    let text = experiment_markdown(&ExperimentRecord::default());
    assert!(text.contains("there are no figures"));
    let planned = ExperimentRunRecord::default();
    let text = experiment_markdown(&experiment(vec![planned]));
    assert!(text.contains("1 runs planned: 0 finished, 0 failed, 1 not made."));
    assert!(text.contains("it has not been made"));
}

#[test]
fn foreign_text_cannot_break_a_table() {
    let mut made = made();
    made.runs[8].failure = Some("a|b\nc".into());
    assert!(experiment_markdown(&made).contains("a\\|b c"));
}

#[test]
fn the_terminal_says_what_failed_and_keeps_its_width() {
    let text = experiment_terminal(&made(), Some(100));
    assert!(text.contains("Run 8 (moe.gguf, cgroup, 1.00 GiB) failed: killed for lack of memory"));
    assert!(text.contains("9 runs planned: 8 finished, 1 failed, 0 not made."));
    let tables = text
        .lines()
        .filter(|line| line.starts_with(['│', '┌', '└', '╞']));
    let widest = tables.map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|widest| widest <= 100), "{widest:?}");
}
