use crate::{
    report::experiment::sample::{GIB, experiment, finished, with_record},
    schema::{ExperimentRecord, ModelRecord, PlannedPressure, RunRecord},
};

use super::{
    Certainty, Change, Compared, ComparedTable, Comparison, Condition, Judgement, Side, compare,
    comparison_markdown, comparison_page, comparison_terminal,
};

fn run(change: impl FnOnce(&mut RunRecord)) -> RunRecord {
    let made = with_record(finished("/m/a.gguf", PlannedPressure::None), change);
    made.record.expect("a record")
}

fn model(run: &mut RunRecord) -> &mut ModelRecord {
    run.single.as_mut().expect("one model")
}

fn runs(name: &str, runs: Vec<RunRecord>) -> Side {
    Side {
        name: name.into(),
        compared: Compared::Runs(runs),
    }
}

fn of(name: &str, experiment: ExperimentRecord) -> Side {
    Side {
        name: name.into(),
        compared: Compared::Experiment(Box::new(experiment)),
    }
}

fn pair(first: RunRecord, other: RunRecord) -> Comparison {
    compare(&[runs("one", vec![first]), runs("two", vec![other])])
}

fn change<'c>(table: &'c ComparedTable, name: &str) -> &'c Change {
    let figure = table.figures.iter().find(|figure| figure.name == name);
    let figure = figure.unwrap_or_else(|| panic!("no {name}"));
    figure.changes.first().expect("two columns")
}

fn why(comparison: &Comparison, name: &str) -> Option<String> {
    match change(&comparison.tables[0], name) {
        Change::NotCompared { why } => Some(why.clone()),
        Change::Compared { .. } => None,
    }
}

#[test]
fn what_changed_is_a_part_of_the_first_and_what_did_not_is_called_the_same() {
    let comparison = pair(
        run(|run| run.engine.tokens_per_s = Some(5.0)),
        run(|run| run.engine.tokens_per_s = Some(4.5)),
    );
    let text = comparison_terminal(&comparison, None);
    assert!(text.contains("−10.0 %"), "{text}");
    assert!(text.contains("the same"), "{text}");
    assert!(text.contains("One run on a side"), "{text}");
    assert!(!text.contains("Not compared"), "{text}");
    let Change::Compared { certainty, .. } = change(&comparison.tables[0], "engine.tokens_per_s")
    else {
        panic!("it is compared");
    };
    assert_eq!(*certainty, Certainty::OneRun);
}

#[test]
fn another_file_is_compared_in_speed_and_not_in_bytes() {
    let comparison = pair(
        run(|_| {}),
        run(|run| {
            let model = model(run);
            model.model.path = "/m/b.gguf".into();
            model.model.size_bytes = 8 * GIB;
        }),
    );
    assert_eq!(why(&comparison, "engine.tokens_per_s"), None);
    assert_eq!(why(&comparison, "bandwidth.busy_bytes_per_s"), None);
    assert_eq!(why(&comparison, "phases.load.duration_s"), None);
    for name in [
        "reads.total_bytes",
        "reads.coverage",
        "gaps.backward.share",
        "phases.load.read_bytes",
        "tokens.read_bytes",
    ] {
        let why = why(&comparison, name).unwrap_or_else(|| panic!("{name} is compared"));
        assert_eq!(
            why,
            "another model: a.gguf of 4.00 GiB, and b.gguf of 8.00 GiB"
        );
    }
    let text = comparison_markdown(&comparison);
    assert!(text.contains("| model | /m/a.gguf | /m/b.gguf |"), "{text}");
    assert!(text.contains("not compared"), "{text}");
}

#[test]
fn other_work_leaves_rates_and_what_a_token_took() {
    let generated = |tokens| run(|run| run.engine.eval_tokens = Some(tokens));
    let comparison = pair(generated(100), generated(200));
    for name in [
        "engine.tokens_per_s",
        "tokens.read_bytes",
        "gaps.backward.share",
        "phases.load.read_bytes",
    ] {
        assert_eq!(why(&comparison, name), None, "{name}");
    }
    for name in [
        "time.wall_s",
        "reads.total_bytes",
        "reads.coverage",
        "reads.amplification",
        "phases.generation.read_bytes",
    ] {
        let why = why(&comparison, name).unwrap_or_else(|| panic!("{name} is compared"));
        assert_eq!(why, "other work: 100 tokens generated, and 200");
    }
    // Where the engine says nothing, its steps do.
    let comparison = pair(
        run(|_| {}),
        run(|run| {
            model(run).tokens.as_mut().map(Vec::pop);
        }),
    );
    let why = why(&comparison, "reads.total_bytes").expect("not compared");
    assert_eq!(why, "other work: 99 steps of generation, and 98");
}

#[test]
fn windows_of_an_engine_that_goes_on_are_compared_if_they_are_as_long() {
    let window = |length: f64| {
        run(|run| {
            run.mode = "attach".into();
            run.time.wall_s = length;
        })
    };
    let comparison = pair(window(30.0), window(60.0));
    assert!(
        why(&comparison, "reads.total_bytes")
            .is_some_and(|why| why.contains("30.00 s, and 60.00 s"))
    );
    assert_eq!(why(&comparison, "gaps.backward.share"), None);
    assert_eq!(
        why(&pair(window(30.0), window(30.01)), "reads.total_bytes"),
        None
    );
}

#[test]
fn an_incomplete_run_loses_the_figures_that_it_may_have_wrong() {
    let lost = run(|run| run.loss.ring_buffer_records = 7);
    let comparison = pair(run(|_| {}), lost);
    // The kernel's maps lose nothing.
    assert_eq!(why(&comparison, "reads.total_bytes"), None);
    assert_eq!(why(&comparison, "engine.tokens_per_s"), None);
    assert_eq!(
        why(&comparison, "bandwidth.busy_bytes_per_s").as_deref(),
        Some("B is incomplete: 7 records were lost")
    );
    let cut = run(|run| {
        run.partial = true;
        run.partial_reason = Some("Ctrl-C".into());
    });
    let comparison = pair(cut, run(|_| {}));
    assert_eq!(
        why(&comparison, "reads.total_bytes").as_deref(),
        Some("A is incomplete: it was cut short (Ctrl-C)")
    );
    assert_eq!(why(&comparison, "gaps.backward.share"), None);
    let text = comparison_terminal(&comparison, None);
    assert!(text.contains("A: it was cut short (Ctrl-C)."), "{text}");
}

#[test]
fn what_one_run_does_not_have_is_told_by_its_level_or_by_the_catalogue() {
    let counts = run(|run| {
        run.detail = Some("counts".into());
        model(run).phases = None;
        model(run).tokens = None;
    });
    let comparison = pair(run(|run| run.detail = Some("events".into())), counts);
    assert_eq!(
        why(&comparison, "tokens.read_bytes").as_deref(),
        Some("B was traced with --detail counts, which does not show it")
    );
    let silent = run(|run| run.engine.tokens_per_s = None);
    let comparison = pair(silent, run(|_| {}));
    let why = why(&comparison, "engine.tokens_per_s").expect("not compared");
    assert!(why.starts_with("not observed in A ("), "{why}");
    let text = comparison_terminal(&comparison, None);
    assert!(!text.contains("0.00 tok"), "{text}");
}

#[test]
fn repeated_runs_have_an_interval_and_flawed_ones_are_left_out() {
    let speed = |rate: f64| run(|run| run.engine.tokens_per_s = Some(rate));
    let mut slow: Vec<RunRecord> = [4.0, 4.1, 3.9, 4.05, 3.95].map(speed).to_vec();
    let fast: Vec<RunRecord> = [5.0, 5.1, 4.9, 5.05, 4.95].map(speed).to_vec();
    let sides = |slow: Vec<RunRecord>| [runs("fast", fast.clone()), runs("slow", slow)];
    let comparison = compare(&sides(slow.clone()));
    let Change::Compared {
        certainty,
        interval: Some([low, high]),
        relative: Some(relative),
        ..
    } = change(&comparison.tables[0], "engine.tokens_per_s")
    else {
        panic!("{:?}", change(&comparison.tables[0], "engine.tokens_per_s"));
    };
    assert_eq!(*certainty, Certainty::Clear);
    assert!((relative + 0.2).abs() < 1e-9 && *low <= -1.0 && -1.0 <= *high);
    let text = comparison_terminal(&comparison, None);
    assert!(
        text.contains("nothing in the records shows that its 5 runs did the same work"),
        "{text}"
    );
    // A run with a loss is in no figure from the stream, and in those of the engine all the same.
    slow[0].loss.ring_buffer_records = 3;
    let comparison = compare(&sides(slow));
    let count = |name: &str| {
        let figures = &comparison.tables[0].figures;
        let figure = figures
            .iter()
            .find(|figure| figure.name == name)
            .expect("there");
        figure.values[1].values.len()
    };
    assert_eq!(count("engine.tokens_per_s"), 5);
    assert_eq!(count("bandwidth.busy_bytes_per_s"), 4);
    let text = comparison_terminal(&comparison, None);
    assert!(text.contains("B, run 0: 3 records were lost"), "{text}");
}

fn measured(pressure: PlannedPressure, times: &[f64]) -> Vec<crate::schema::ExperimentRunRecord> {
    let runs = times.iter();
    runs.map(|time| {
        with_record(finished("/m/a.gguf", pressure), |record| {
            record.time.wall_s = *time;
        })
    })
    .collect()
}

#[test]
fn experiments_are_compared_cell_by_cell_and_one_alone_within() {
    let made = |more: f64| {
        let mut runs = measured(PlannedPressure::None, &[20.0 + more, 30.0 + more]);
        runs.extend(measured(PlannedPressure::MemoryMax(GIB), &[40.0, 41.0]));
        experiment(runs)
    };
    let comparison = compare(&[of("before", made(0.0)), of("after", made(2.0))]);
    assert_eq!(comparison.tables.len(), 2, "{comparison:#?}");
    assert!(comparison.left_out.is_empty());
    assert!(
        comparison.tables[0].title.contains("pressure = none"),
        "{}",
        comparison.tables[0].title
    );
    let within = compare(&[of("alone", made(0.0))]);
    assert_eq!(within.tables.len(), 1);
    let Change::Compared { difference, .. } = change(&within.tables[0], "time.wall_s") else {
        panic!("it is compared");
    };
    // By block: 40 − 20, 41 − 30.
    assert_eq!(*difference, 15.5);
    let mut other = made(0.0);
    other
        .runs
        .retain(|run| run.pressure == PlannedPressure::None);
    let comparison = compare(&[of("before", made(0.0)), of("after", other)]);
    assert_eq!(comparison.tables.len(), 1);
    assert!(
        comparison.left_out[0].contains("after has nothing that belongs to before: "),
        "{:?}",
        comparison.left_out
    );
}

#[test]
fn more_columns_than_can_be_read_are_named() {
    let sides = (1..=8).map(|number| runs(&format!("run{number}"), vec![run(|_| {})]));
    let comparison = compare(&sides.collect::<Vec<_>>());
    assert_eq!(comparison.tables[0].columns.len(), 6);
    assert!(
        comparison.left_out[0].contains("Left out: run7, run8."),
        "{:?}",
        comparison.left_out
    );
}

#[test]
fn runs_that_are_not_pooled_are_not_compared() {
    let mut unlike = measured(PlannedPressure::None, &[20.0, 21.0]);
    if let Some(work) = &mut unlike[1].work {
        work.output_digest = Some("other".into());
    }
    let comparison = compare(&[
        of(
            "before",
            experiment(measured(PlannedPressure::None, &[20.0, 21.0])),
        ),
        of("after", experiment(unlike)),
    ]);
    let why = why(&comparison, "time.wall_s").expect("not compared");
    assert!(
        why.starts_with("B has no median: their outputs differ"),
        "{why}"
    );
}

#[test]
fn a_condition_holds_does_not_or_cannot_be_told() {
    let speed = |rate: f64| run(|run| run.engine.tokens_per_s = Some(rate));
    let comparison = pair(speed(100.0), speed(94.0));
    let judge = |text: &str| text.parse::<Condition>().expect(text).judge(&comparison);
    assert!(matches!(judge("tok/s<-5%"), Judgement::Holds(how) if how.contains("−6.00 (-6.0 %)")));
    assert_eq!(judge("tok/s<-6.5%"), Judgement::DoesNotHold);
    assert_eq!(judge("tok/s>5%"), Judgement::DoesNotHold);
    assert!(matches!(judge("tok/s<-5.9"), Judgement::Holds(_)));
    assert!(matches!(
        judge("pressure.cgroup.peak_bytes>1G"),
        Judgement::Unknown(_)
    ));
    let other = pair(speed(100.0), run(|run| run.engine.tokens_per_s = None));
    let condition: Condition = "tok/s<-5%".parse().expect("a condition");
    assert!(
        matches!(condition.judge(&other), Judgement::Unknown(why) if why.contains("not compared"))
    );
    // Of more columns any may break it.
    let three = compare(&[
        runs("a", vec![speed(100.0)]),
        runs("b", vec![speed(100.0)]),
        runs("c", vec![speed(90.0)]),
    ]);
    assert!(matches!(condition.judge(&three), Judgement::Holds(how) if how.contains("of C ")));
}

#[test]
fn settings_that_differ_stand_before_the_figures() {
    let comparison = pair(
        run(|_| {}),
        run(|run| {
            run.kernel = "6.18.1".into();
            run.devices[0].read_ahead_kb = Some(4096);
            run.memory.available_before_bytes = Some(30 * GIB + GIB / 8);
        }),
    );
    let settings = &comparison.tables[0].settings;
    let what: Vec<&str> = settings
        .iter()
        .map(|setting| setting.what.as_str())
        .collect();
    assert_eq!(what, ["kernel", "read-ahead of the disk"]);
    assert_eq!(settings[1].values, ["128 KiB", "4,096 KiB"]);
}

#[test]
fn the_page_draws_the_runs_over_each_other() {
    let sides = [
        runs("<b>one</b>", vec![run(|_| {})]),
        runs(
            "two",
            vec![run(|run| {
                model(run).tokens = Some(crate::report::experiment::sample::steps(&[7; 50]))
            })],
        ),
    ];
    let page = comparison_page(&compare(&sides), &sides);
    assert!(page.contains("tokens-read-0"), "{page}");
    assert!(!page.contains("<b>one"));
    // Neither has a course of residency.
    assert!(page.contains("How much of the model was in memory: no two of the runs have it"));
}
