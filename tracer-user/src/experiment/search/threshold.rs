//! The search for the threshold of an engine: at which memory it begins to thrash.
//!
//! It is a plan like others, whose one varied axis is the pressure: a grid from much memory to little, each size equally
//! often, in randomised blocks. Between a state that is clean and one that thrashes an engine is unstable, and every size
//! needs its repetitions: so the first one that thrashes is no answer, and no size is left out. When all are made, the sizes
//! between the two states are looked at more closely ([`crate::report::threshold_refinement`]).

use std::time::Duration;

use anyhow::{Context as _, bail};
use toml::{Table, Value};

use crate::{
    report,
    schema::{ExperimentRecord, PlannedPressure},
    stats::experiment::threshold::FEWEST_STEPS,
};

use crate::experiment::{
    cells::{Cell, PlannedRun, cells, runs},
    disk::manifest::Manifest,
    plan::{Adapter, Plan, PlanKind},
};

/// Fewer tell nothing where single runs differ.
pub const LEAST_REPETITIONS: u64 = 5;
/// A plan of more runs is a mistake.
const MOST_RUNS: usize = 10_000;
/// Sizes that the one refinement adds at most.
const MOST_NEW_SIZES: usize = 8;

/// How memory is taken away. The two are different experiments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdPressure {
    /// The engine alone is limited.
    MemoryMax,
    /// The whole machine's memory is locked away.
    Lock,
}

impl ThresholdPressure {
    /// A size as plans write it: in bytes, which loses nothing.
    fn written(self, bytes: u64) -> String {
        match self {
            Self::MemoryMax => format!("memory-max={bytes}"),
            Self::Lock => format!("lock={bytes}"),
        }
    }

    fn of(pressure: PlannedPressure) -> Option<Self> {
        match pressure {
            PlannedPressure::MemoryMax(_) => Some(Self::MemoryMax),
            PlannedPressure::Lock(_) => Some(Self::Lock),
            PlannedPressure::None | PlannedPressure::LeaveFree(_) => None,
        }
    }
}

/// Sizes to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// One end, bytes.
    pub from_bytes: u64,
    /// The other end, bytes.
    pub to_bytes: u64,
    /// How many sizes, both ends included.
    pub points: u64,
}

#[derive(Clone, Debug)]
pub struct ThresholdRequest {
    /// The model, as the user wrote it.
    pub model: String,
    /// How the engine is driven.
    pub adapter: Adapter,
    /// Its command, with placeholders; empty for the built-in engine's own.
    pub command: Vec<String>,
    pub tokens: u32,
    /// Threads, where the command has them.
    pub threads: Option<u32>,
    /// Prompt, where the command has one.
    pub prompt: Option<String>,
    /// How memory is taken away.
    pub pressure: ThresholdPressure,
    pub grid: Grid,
    pub repetitions: u64,
    /// Rest before each run but the first.
    pub cool_down: Duration,
    /// Longest that a run may take.
    pub time_limit: Duration,
    /// Seed of the order.
    pub seed: u64,
}

/// Sizes at equal distances, the largest first.
#[must_use]
pub fn even_grid(grid: &Grid) -> Vec<u64> {
    let low = grid.from_bytes.min(grid.to_bytes);
    let span = u128::from(grid.from_bytes.abs_diff(grid.to_bytes));
    let steps = u128::from(grid.points.saturating_sub(1));
    let mut sizes: Vec<u64> = (0..=steps)
        .rev()
        .map(|step| {
            let above = (span * step).checked_div(steps).unwrap_or(span);
            // At most the span, which is a u64.
            low.saturating_add(above as u64)
        })
        .collect();
    sizes.dedup();
    sizes
}

/// The text of the plan of a search.
///
/// # Errors
/// What was asked for makes no search.
pub fn plan_text(request: &ThresholdRequest) -> anyhow::Result<String> {
    if request.repetitions < LEAST_REPETITIONS {
        bail!(
            "{} repetitions tell nothing where single runs differ; choose --repetitions of at least {LEAST_REPETITIONS}",
            request.repetitions
        );
    }
    if request.grid.points < 2 || request.grid.from_bytes == request.grid.to_bytes {
        bail!("a search needs two sizes or more; choose another --from, --to or --points");
    }
    let text = |text: &str| Value::String(text.to_owned());
    let number = |number: u64| i64::try_from(number).map(Value::Integer);
    let mut engine = Table::new();
    engine.insert("adapter".into(), Value::String(request.adapter.to_string()));
    if !request.command.is_empty() {
        let words = request.command.iter().map(|word| text(word)).collect();
        engine.insert("command".into(), Value::Array(words));
    }
    let sizes = even_grid(&request.grid)
        .into_iter()
        .map(|bytes| Value::String(request.pressure.written(bytes)))
        .collect();
    let mut axes = Table::new();
    axes.insert("model".into(), Value::Array(vec![text(&request.model)]));
    axes.insert("pressure".into(), Value::Array(sizes));
    axes.insert(
        "tokens".into(),
        Value::Array(vec![Value::Integer(request.tokens.into())]),
    );
    if let Some(threads) = request.threads {
        axes.insert(
            "threads".into(),
            Value::Array(vec![Value::Integer(threads.into())]),
        );
    }
    if let Some(prompt) = &request.prompt {
        axes.insert("prompt".into(), Value::Array(vec![text(prompt)]));
    }
    let mut plan = Table::new();
    plan.insert("name".into(), text("threshold"));
    plan.insert("kind".into(), text("threshold"));
    plan.insert("seed".into(), number(request.seed)?);
    plan.insert("repetitions".into(), number(request.repetitions)?);
    for (key, time) in [
        ("cool_down", request.cool_down),
        ("time_limit", request.time_limit),
    ] {
        let written = humantime::format_duration(time).to_string();
        plan.insert(key.into(), Value::String(written));
    }
    plan.insert("engine".into(), Value::Table(engine));
    plan.insert("axes".into(), Value::Table(axes));
    toml::to_string_pretty(&plan).context("cannot write the plan of the search")
}

/// What is known before the first run to make the search come to nothing, where something is.
#[must_use]
pub fn tells_nothing(request: &ThresholdRequest) -> Option<String> {
    // A command that is not told how many may make more.
    let is_told =
        request.command.is_empty() || request.command.iter().any(|word| word.contains("{tokens}"));
    let too_few = usize::try_from(request.tokens).is_ok_and(|tokens| tokens <= FEWEST_STEPS);
    (is_told && too_few).then(|| {
        format!(
            "{} tokens are too few to find a threshold: a run is judged by {FEWEST_STEPS} generation steps or more, and the prompt gives the first token. Choose --tokens of at least {}",
            request.tokens,
            FEWEST_STEPS + 1
        )
    })
}

/// At most `most` of the sizes, evenly among them.
fn evenly(sizes: &[u64], most: usize) -> impl Iterator<Item = u64> {
    let step = sizes.len().div_ceil(most).max(1);
    // From the middle of each stride: the ends of the bracket are known.
    sizes.iter().copied().skip(step / 2).step_by(step)
}

/// The runs that a search goes on with after all planned ones were made; none where it is over, or where this is no search.
#[must_use]
pub fn next_stage(
    plan: &Plan,
    manifest: &Manifest,
    experiment: &ExperimentRecord,
) -> Vec<PlannedRun> {
    if plan.kind != PlanKind::Threshold || manifest.runs.len() > MOST_RUNS {
        return Vec::new();
    }
    let Some(pressure) = manifest
        .runs
        .first()
        .and_then(|run| ThresholdPressure::of(run.pressure()))
    else {
        return Vec::new();
    };
    if manifest
        .runs
        .iter()
        .any(|run| run.block >= plan.repetitions)
    {
        // Refined already. Where the engine is unstable a finer grid finds the same band again.
        return Vec::new();
    }
    let is_new = |bytes: &u64| {
        let written = pressure.written(*bytes);
        !manifest
            .runs
            .iter()
            .any(|run| run.cell.get("pressure") == Some(&written))
    };
    let mut axes = plan.axes.clone();
    for axis in axes.iter_mut().filter(|axis| axis.name == "pressure") {
        let wanted: Vec<u64> = report::threshold_refinement(experiment)
            .into_iter()
            .filter(is_new)
            .collect();
        axis.values = evenly(&wanted, MOST_NEW_SIZES)
            .map(|bytes| pressure.written(bytes))
            .collect();
    }
    let new: Vec<Cell> = cells(&axes);
    let first_block = manifest.runs.iter().map(|run| run.block + 1).max();
    runs(
        &new,
        if new.is_empty() { 0 } else { plan.repetitions },
        plan.order,
        plan.seed,
        manifest.runs.len() as u64,
        first_block.unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use crate::{
        experiment::plan::{Adapter, Plan, PlanKind},
        schema::PlannedPressure,
    };

    use super::{
        Grid, ThresholdPressure, ThresholdRequest, even_grid, evenly, plan_text, tells_nothing,
    };

    #[test]
    fn too_few_tokens_are_said_before_the_first_run() {
        let with = |tokens, command: &[&str]| {
            tells_nothing(&ThresholdRequest {
                tokens,
                command: command.iter().map(ToString::to_string).collect(),
                ..request()
            })
        };
        let said = with(50, &["run", "{tokens}"]).expect("they are too few");
        assert!(said.contains("at least 51"), "{said}");
        assert_eq!(with(51, &["run", "{tokens}"]), None);
        assert!(with(2, &[]).is_some());
        // How many this one makes is its own affair.
        assert_eq!(with(2, &["run", "-n", "500"]), None);
    }

    fn request() -> ThresholdRequest {
        ThresholdRequest {
            model: "a \"b\"/ü.gguf".into(),
            adapter: Adapter::Command,
            command: [
                "run", "{model}", "-n", "{tokens}", "-p", "{prompt}", "\\ {{",
            ]
            .map(str::to_owned)
            .into(),
            tokens: 100,
            threads: None,
            prompt: Some("one\ntwo".into()),
            pressure: ThresholdPressure::MemoryMax,
            grid: Grid {
                from_bytes: 100 << 20,
                to_bytes: 300 << 20,
                points: 3,
            },
            repetitions: 5,
            cool_down: Duration::from_millis(1500),
            time_limit: Duration::from_secs(60),
            seed: 3,
        }
    }

    #[test]
    fn a_search_is_a_plan() {
        let text = plan_text(&request()).expect("a search");
        let plan = Plan::parse(&text).expect(&text);
        assert_eq!(
            (plan.kind, plan.repetitions, plan.seed),
            (PlanKind::Threshold, 5, 3)
        );
        assert_eq!(plan.cool_down, Duration::from_millis(1500));
        let values = |name: &str| plan.axis(name).map(|axis| axis.values.clone()).expect(name);
        assert_eq!(values("model"), ["a \"b\"/ü.gguf"]);
        assert_eq!(values("prompt"), ["one\ntwo"]);
        let sizes: Vec<_> = values("pressure")
            .iter()
            .map(|value| crate::experiment::plan::parse_pressure(value))
            .collect();
        let expected = [300, 200, 100].map(|size| Ok(PlannedPressure::MemoryMax(size << 20)));
        assert_eq!(sizes, expected);
    }

    #[test]
    fn too_few_runs_are_no_search() {
        let few = ThresholdRequest {
            repetitions: 4,
            ..request()
        };
        assert!(plan_text(&few).is_err());
        for (to_bytes, points) in [(100 << 20, 3), (300 << 20, 1)] {
            let one = ThresholdRequest {
                grid: Grid {
                    to_bytes,
                    points,
                    ..request().grid
                },
                ..request()
            };
            assert!(plan_text(&one).is_err());
        }
    }

    proptest! {
        /// No more than asked for, each one of them once, none left out where there is room for all.
        #[test]
        fn a_refinement_is_bounded(count in 0u64..300, most in 1usize..20) {
            let sizes: Vec<u64> = (0..count).rev().collect();
            let few: Vec<u64> = evenly(&sizes, most).collect();
            prop_assert!(few.len() <= most);
            prop_assert!(few.windows(2).all(|pair| pair[0] > pair[1]));
            prop_assert_eq!(few.is_empty(), sizes.is_empty());
            if sizes.len() <= most {
                prop_assert_eq!(few, sizes);
            }
        }

        /// Both ends are there, sizes fall, and none is twice.
        #[test]
        fn grids_fall_from_end_to_end(from_bytes in 1u64.., to_bytes in 1u64.., points in 2u64..50) {
            let sizes = even_grid(&Grid { from_bytes, to_bytes, points });
            prop_assert_eq!(sizes.first(), Some(&from_bytes.max(to_bytes)));
            prop_assert_eq!(sizes.last(), Some(&from_bytes.min(to_bytes)));
            prop_assert!(sizes.windows(2).all(|pair| matches!(pair, [more, less] if more > less)));
            if from_bytes.abs_diff(to_bytes) >= points {
                prop_assert_eq!(sizes.len() as u64, points);
            }
        }
    }
}
