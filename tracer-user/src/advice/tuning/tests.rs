use crate::{
    schema::{
        AxisRecord, ExperimentRecord, ExperimentRunRecord, ModelRecord, RunOutcome, RunRecord,
        Standing, TuneGoal, TunePlanRecord, TuneSetting,
    },
    stats::random_numbers::SplitMix64,
};

use super::{Next, Over, next, tuning};

const LADDER: [&str; 10] = [
    "off", "16K", "32K", "64K", "128K", "256K", "512K", "1M", "2M", "4M",
];

fn experiment(arguments: &[&str]) -> ExperimentRecord {
    let axis = |name: &str, values: &[&str]| AxisRecord {
        name: name.into(),
        values: values.iter().map(|value| (*value).to_owned()).collect(),
    };
    let ladder: Vec<&str> = ["as-is"].into_iter().chain(LADDER).collect();
    let arguments: Vec<&str> = ["as-is"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    ExperimentRecord {
        kind: "tune".into(),
        axes: vec![
            axis("read_ahead", &ladder),
            axis("added_arguments", &arguments),
        ],
        tune: Some(TunePlanRecord {
            goal: TuneGoal::Generation,
            budget_s: 600.0,
            read_ahead_now_kb: Some(2560),
            pin_budget_bytes: None,
        }),
        ..ExperimentRecord::default()
    }
}

fn run(setting: &TuneSetting, speed: Option<f64>, block: u64) -> ExperimentRunRecord {
    let read_ahead = setting.read_ahead_kb.map_or_else(
        || "as-is".to_owned(),
        |kb| match kb {
            0 => "off".to_owned(),
            kb => format!("{kb}K"),
        },
    );
    let arguments = match setting.added_arguments.join(" ") {
        none if none.is_empty() => "as-is".to_owned(),
        words => words,
    };
    let mut record = RunRecord {
        single: Some(ModelRecord::default()),
        ..RunRecord::default()
    };
    record.engine.tokens_per_s = speed;
    ExperimentRunRecord {
        block,
        cell: [("read_ahead", read_ahead), ("added_arguments", arguments)]
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        outcome: if speed.is_some() {
            RunOutcome::Finished
        } else {
            RunOutcome::Failed
        },
        record: speed.map(|_| record),
        ..ExperimentRunRecord::default()
    }
}

/// Conducts a search on an engine of which only the speeds are known; returns the time that it took, in units of one token,
/// and why it ended.
fn search(
    experiment: &mut ExperimentRecord,
    repetitions: usize,
    mut speed: impl FnMut(&TuneSetting) -> Option<f64>,
) -> (f64, Over) {
    let mut time = 0.0;
    for block in 0..200 {
        match next(experiment, repetitions) {
            Next::Over(over) => return (time, over),
            Next::Block(settings) => {
                assert!(!settings.is_empty());
                for setting in settings {
                    let speed = speed(&setting);
                    time += speed.map_or(0.0, |speed| 1.0 / speed);
                    experiment.runs.push(run(&setting, speed, block));
                }
            }
        }
    }
    panic!("the search does not end");
}

/// The measured course of the built-in engine, between the measured values by a straight line over the logarithm.
fn measured(setting: &TuneSetting) -> f64 {
    let measured = [
        (4.0, 12.0),
        (32.0, 25.7),
        (128.0, 18.6),
        (512.0, 8.5),
        (2560.0, 9.1),
        (8192.0, 9.1),
    ];
    let kb = (setting.read_ahead_kb.unwrap_or(2560) as f64).clamp(4.0, 8000.0);
    let above = measured
        .iter()
        .position(|(at, _)| *at > kb)
        .expect("it is below the last");
    let ((low, slow), (high, fast)) = (measured[above - 1], measured[above]);
    let part = (kb / low).ln() / (high / low).ln();
    slow + (fast - slow) * part
}

#[test]
fn the_best_of_a_hill_is_found_in_a_third_of_the_grids_time() {
    let mut random = SplitMix64::new(3, 9);
    let (mut within, mut shares) = (0, Vec::new());
    const SEARCHES: usize = 60;
    for _ in 0..SEARCHES {
        let mut all = experiment(&[]);
        let (time, over) = search(&mut all, 5, |setting| {
            Some(measured(setting) * f64::from(random.normal(0.08)).exp())
        });
        assert_eq!(over, Over::Done);
        let record = tuning(&all);
        assert!(record.helps, "{record:?}");
        let best = record.best.expect("a best one");
        let reached = measured(&best) / 25.7;
        within += usize::from(reached > 0.95);
        let of_grid: f64 = LADDER
            .iter()
            .map(|text| super::kibibytes(text))
            .chain([None])
            .map(|kb| {
                5.0 / measured(&TuneSetting {
                    read_ahead_kb: kb,
                    ..TuneSetting::default()
                })
            })
            .sum();
        shares.push(time / of_grid);
    }
    assert!(within * 10 >= SEARCHES * 9, "{within} of {SEARCHES}");
    let middle = crate::stats::experiment::bootstrap::median(&shares).expect("searches");
    assert!(middle < 0.5, "a search takes {middle} of the grid's time");
}

#[test]
fn where_nothing_helps_that_is_said() {
    let mut random = SplitMix64::new(5, 2);
    let mut wrong = 0;
    for _ in 0..60 {
        let mut all = experiment(&["--no-mmap"]);
        let (_, over) = search(&mut all, 5, |_| {
            Some(10.0 * f64::from(random.normal(0.1)).exp())
        });
        assert_eq!(over, Over::Done);
        let record = tuning(&all);
        if record.helps {
            wrong += 1;
        } else {
            assert_eq!(record.best, Some(TuneSetting::default()));
            assert_eq!(record.factor, Some(1.0));
        }
    }
    assert!(
        wrong <= 12,
        "{wrong} of 60 searches among equals found a best one"
    );
}

#[test]
fn arguments_are_tried_with_the_best_read_ahead_and_failures_are_left_out() {
    let mut all = experiment(&["--no-mmap", "--unknown"]);
    let (_, over) = search(&mut all, 3, |setting| {
        let factor = match setting.added_arguments.first().map(String::as_str) {
            None => 1.0,
            Some("--no-mmap") => 1.5,
            Some(_) => return None,
        };
        Some(measured(setting) * factor)
    });
    assert_eq!(over, Over::Done);
    let record = tuning(&all);
    let best = record.best.clone().expect("a best one");
    assert_eq!(best.added_arguments, ["--no-mmap"]);
    assert_eq!(best.read_ahead_kb, Some(32));
    let unknown: Vec<_> = record
        .tried
        .iter()
        .filter(|tried| tried.setting.added_arguments == ["--unknown"])
        .collect();
    assert_eq!(unknown.len(), 1, "it is not tried again");
    assert_eq!(unknown[0].standing, Standing::Failed);
    assert!(record.tried.last() == Some(unknown[0]), "{record:?}");
}

#[test]
fn where_the_settings_as_they_are_failed_once_nothing_is_claimed() {
    let mut all = experiment(&[]);
    let faster = TuneSetting {
        read_ahead_kb: Some(32),
        ..TuneSetting::default()
    };
    for (setting, speed) in [
        (&TuneSetting::default(), Some(5.0)),
        (&faster, Some(50.0)),
        (&TuneSetting::default(), None),
        (&faster, Some(50.0)),
    ] {
        all.runs.push(run(setting, speed, 0));
    }
    let record = tuning(&all);
    assert_eq!(
        (record.best, record.factor, record.helps),
        (None, None, false)
    );
    assert_eq!(next(&all, 5), Next::Over(Over::NothingToCompare));
}

#[test]
fn without_a_figure_there_is_nothing_to_compare() {
    let mut all = experiment(&[]);
    assert_eq!(
        next(&all, 5),
        Next::Block(vec![TuneSetting::default()]),
        "first the settings as they are"
    );
    let (_, over) = search(&mut all, 5, |_| None);
    assert_eq!(over, Over::NothingToCompare);
    let record = tuning(&all);
    assert_eq!(
        (record.best, record.factor, record.helps),
        (None, None, false)
    );
}

/// Settings of the queue and tensors in memory are tried one at a time, with the best read-ahead, and before the engine's options.
#[test]
fn one_more_setting_at_a_time_is_tried_with_the_best() {
    let mut made = experiment(&[]);
    for (name, values) in [
        ("scheduler", ["as-is", "mq-deadline"]),
        ("nr_requests", ["as-is", "32"]),
        ("pin", ["as-is", "hot"]),
    ] {
        made.axes.push(AxisRecord {
            name: name.into(),
            values: values.map(str::to_owned).into(),
        });
    }
    let speed = |setting: &TuneSetting| {
        let pinned = if setting.pinned.is_some() { 2.0 } else { 1.0 };
        let read_ahead = if setting.read_ahead_kb == Some(128) {
            3.0
        } else {
            1.0
        };
        10.0 * pinned * read_ahead
    };
    let mut tried = Vec::new();
    for block in 0..60 {
        let Next::Block(settings) = next(&made, 3) else {
            break;
        };
        for setting in settings {
            // Runs of one setting are not all alike.
            let noise = 1.0 + 0.001 * (block % 3) as f64;
            let mut run = run(&setting, Some(speed(&setting) * noise), block);
            for (name, value) in [
                ("scheduler", setting.scheduler.clone()),
                (
                    "nr_requests",
                    setting.nr_requests.map(|count| count.to_string()),
                ),
                ("pin", setting.pinned.clone()),
            ] {
                run.cell
                    .insert(name.into(), value.unwrap_or_else(|| "as-is".into()));
            }
            made.runs.push(run);
            tried.push(setting);
        }
    }
    let found = tuning(&made);
    let best = found.best.expect("a best");
    assert_eq!(
        (best.read_ahead_kb, best.pinned.as_deref()),
        (Some(128), Some("hot"))
    );
    for setting in [
        TuneSetting {
            read_ahead_kb: Some(128),
            scheduler: Some("mq-deadline".into()),
            ..TuneSetting::default()
        },
        TuneSetting {
            read_ahead_kb: Some(128),
            nr_requests: Some(32),
            ..TuneSetting::default()
        },
    ] {
        assert!(
            tried.contains(&setting),
            "{setting:?} was not tried: {tried:?}"
        );
    }
}
