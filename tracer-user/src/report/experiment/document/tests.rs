use crate::{
    report::experiment::{
        experiment_terminal,
        sample::{GIB, experiment, finished, phase, steps, with_model, with_record},
    },
    schema::{ExperimentRecord, ExperimentRunRecord, PlannedPressure, RunOutcome},
};

use super::{experiment_markdown, experiment_page};

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
    if let Some(record) = &mut runs[0].record {
        record.devices[0].device_model = Some("Slow SSD".into());
    }
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
    let titles = [
        "## Results",
        "## What cannot be trusted",
        "## Details",
        "### Reads by phase",
        "### Page-cache delta",
        "### Memory beside the file",
        "### Time, bandwidth and latency",
        "### Devices compared",
        "### Setup",
        "### Every run",
    ];
    let mut last = 0;
    for title in titles {
        assert!(section(&text, title).len() > 3, "{title}\n{text}");
        // In this order: what matters first.
        let at = text.find(&format!("\n{title}\n"));
        assert!(at.is_some_and(|at| at > last), "{title}\n{text}");
        last = at.unwrap_or_default();
    }
    let (answer, _) = text.split_once("## Results").expect("results");
    assert!(
        answer.contains("Onset, the least memory that is enough: not decided"),
        "{answer}"
    );
    // The study's units: 30 GiB free, 4 GiB read, 8,388,608 sectors.
    for row in [
        "| dense.gguf | 3 | 5.00 in all 3 | 0 B in all 3 |",
        "| dense.gguf | 20.00 s in all 3 | not observed | 2.50 GiB/s in all 3 |",
        "| dense.gguf | whole run | 16,384 in all 3 | 4.00 GiB in all 3 | 8,388,608, identical in all 3 | 100.0 % in all 3 | 1.000× in all 3 | 98.7 % in all 3 | not observed | not observed | not observed | 1.3 % in all 3 | 99.9 % in all 3 |",
        "| dense.gguf | 30.00 GiB in all 3 | 5.00 GiB in all 3 |",
        "| dir/dense.gguf | 4.00 GiB | 1 |",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
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
    for (title, unobserved) in [
        ("## Results", 2),
        ("### Reads by phase", 11),
        ("### Page-cache delta", 7),
        ("### Memory beside the file", 7),
        ("### Time, bandwidth and latency", 5),
    ] {
        let found = section(&text, title);
        let row = |line: &&&str| line.starts_with("| no pressure");
        assert!(found.iter().any(|line| row(&line)), "{title}\n{text}");
        for line in found.iter().filter(row) {
            assert!(line.matches("not observed").count() >= unobserved, "{line}");
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
    for columns in [40, 60, 100] {
        let text = experiment_terminal(&made(), Some(columns));
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            words.contains("Run 8 (moe.gguf, cgroup, 1.00 GiB) failed: killed for lack of memory"),
            "{text}"
        );
        assert!(
            words.contains("9 runs planned: 8 finished, 1 failed, 0 not made."),
            "{text}"
        );
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(
            widest.is_some_and(|widest| widest <= usize::from(columns)),
            "{widest:?}\n{text}"
        );
    }
}

#[test]
fn a_device_that_stands_alone_is_compared_with_nothing() {
    let runs = vec![finished("a.gguf", PlannedPressure::None); 2];
    assert!(!experiment_markdown(&experiment(runs)).contains("Devices compared"));
}

/// Nine sizes of memory, five runs each, of a model that fits from 3 GiB on and is read again and again below 2 GiB;
/// one size with three runs more, one that killed the engine.
fn fifty_runs() -> ExperimentRecord {
    let run = |pressure, per_cent: u64, more_s: f64| {
        let again = per_cent * GIB / 3;
        let run = with_model(finished("models/moe.gguf", pressure), |model| {
            model.tokens = Some(steps(&[per_cent; 99]));
            model.phases = Some(vec![phase("load", 4 * GIB), phase("generation", again)]);
            if let Some(reads) = &mut model.reads {
                reads.amount.total_bytes += again;
                reads.amount.amplification =
                    Some(reads.amount.total_bytes as f64 / reads.amount.unique_bytes as f64);
            }
        });
        with_record(run, |record| {
            record.time.wall_s = 20.0 + more_s + per_cent as f64 / 4.0;
            record.engine.tokens_per_s = Some(5.0 / (1.0 + per_cent as f64 / 20.0) + more_s / 10.0);
        })
    };
    let mut runs = Vec::new();
    for (block, more_s) in [0.0, 0.31, 0.12, 0.45, 0.2].into_iter().enumerate() {
        runs.push(run(PlannedPressure::None, 0, more_s));
        let unstable = if block == 2 { 80 } else { 0 };
        for (half_gib, per_cent) in [
            (10, 0),
            (8, 0),
            (7, 0),
            (6, 0),
            (5, unstable),
            (4, 40),
            (3, 90),
            (2, 95),
        ] {
            let pressure = PlannedPressure::MemoryMax(half_gib * GIB / 2);
            runs.push(run(pressure, per_cent, more_s));
        }
    }
    runs.extend(vec![
        run(PlannedPressure::MemoryMax(GIB * 9 / 2), 0, 0.1);
        3
    ]);
    let mut failed = finished("models/moe.gguf", PlannedPressure::MemoryMax(GIB / 2));
    (failed.outcome, failed.record) = (RunOutcome::Failed, None);
    runs.extend(vec![failed; 2]);
    experiment(runs)
}

#[test]
fn fifty_runs_make_a_short_report_that_begins_with_the_answer() {
    let made = fifty_runs();
    assert_eq!(made.runs.len(), 50);
    let text = experiment_markdown(&made);
    let lines = text.lines().count();
    // A line for each run, and no more than four times as many for all else.
    assert!(lines <= 250, "{lines}\n{text}");
    let answer = text.lines().take(10).collect::<Vec<_>>().join("\n");
    assert!(
        answer.contains("at most 5.00 GiB") && answer.contains("again and again: 1.50 GiB"),
        "{answer}"
    );
    assert!(
        text.contains(
            "The same in every run: model moe.gguf; MemAvailable 30.00 GiB; locked 0 B; extents 1;"
        ),
        "{text}"
    );
    let (first, _) = text.split_once("## Details").expect("details");
    assert!(first.lines().count() <= 45, "{first}");
    for columns in [None, Some(100)] {
        let lines = experiment_terminal(&made, columns).lines().count();
        assert!(lines <= 65, "{lines}");
    }
}

#[test]
fn a_page_says_first_that_the_memory_is_not_known_and_names_each_reason_once() {
    let made = made();
    let page = experiment_page(&made);
    let said = page.find("How much memory is enough is not known");
    assert!(said < page.find("<svg") && said.is_some(), "{said:?}");
    // The same run again and again, too short to be judged.
    let short = |run| with_model(run, |model| model.tokens = Some(steps(&[0; 7])));
    let under = |gib| finished("moe.gguf", PlannedPressure::MemoryMax(gib * GIB));
    let runs = [under(3), under(2), under(3)];
    let text = experiment_markdown(&experiment(runs.into_iter().map(short).collect()));
    let says: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("nothing about the threshold"))
        .collect();
    assert_eq!(
        says,
        [
            "- moe.gguf: runs 0, 1, 2 say nothing about the threshold: 7 generation steps, and 50 are needed."
        ]
    );
}
