//! The search for the settings with which an engine is fastest: what to run next, as runs of an experiment.
//!
//! What is searched, and why in this order, is `advice::tuning`'s, which knows records only. Here its settings become cells
//! of the plan, and its time a budget.

use crate::{
    advice::{Next, Over, next_settings},
    schema::{AS_IS, ExperimentRecord, TuneSetting, added_arguments},
};

use crate::experiment::{
    cells::{Cell, PlannedRun, runs},
    estimate::{RunTimes, estimate},
    plan::{Plan, PlannedReadAhead, TunePlan, parse_read_ahead},
};

/// What a search goes on with.
#[derive(Debug)]
pub enum Stage {
    Runs(Vec<PlannedRun>),
    /// Why there is nothing more; `None`: the budget is used up.
    Over(Option<Over>),
}

/// The next block, or why there is none.
#[must_use]
pub fn next_stage(
    plan: &Plan,
    tune: &TunePlan,
    planned: &[PlannedRun],
    experiment: &ExperimentRecord,
    times: &RunTimes,
) -> Stage {
    let repetitions = usize::try_from(plan.repetitions).unwrap_or(usize::MAX);
    let settings = match next_settings(experiment, repetitions) {
        Next::Over(over) => return Stage::Over(Some(over)),
        Next::Block(settings) => settings,
    };
    let Some(base) = planned.first() else {
        return Stage::Over(None);
    };
    let cells: Vec<Cell> = settings
        .iter()
        .map(|setting| cell(plan, &base.cell, setting))
        .collect();
    let block = planned.iter().map(|run| run.block + 1).max();
    let runs = runs(
        &cells,
        1,
        plan.order,
        plan.seed,
        planned.len() as u64,
        block.unwrap_or_default(),
    );
    let about = estimate(plan, &runs.iter().collect::<Vec<_>>(), times, |_| 0).about;
    if times.total() + about > tune.budget {
        return Stage::Over(None);
    }
    Stage::Runs(runs)
}

/// The values of the plan that mean this setting.
fn cell(plan: &Plan, base: &Cell, setting: &TuneSetting) -> Cell {
    let mut cell = base.clone();
    if let Some(axis) = plan.axis("read_ahead") {
        let means = |text: &&String| match parse_read_ahead(text) {
            Ok(PlannedReadAhead::Set(bytes)) => Some(bytes >> 10) == setting.read_ahead_kb,
            Ok(PlannedReadAhead::AsIs) => setting.read_ahead_kb.is_none(),
            Err(_) => false,
        };
        let text = axis.values.iter().find(means);
        cell.insert(
            axis.name.clone(),
            text.cloned().unwrap_or_else(|| AS_IS.to_owned()),
        );
    }
    let requests = setting.nr_requests.map(|count| count.to_string());
    let high = setting.memory_high_bytes.map(|bytes| bytes.to_string());
    for (name, value) in [
        ("scheduler", setting.scheduler.as_ref()),
        ("nr_requests", requests.as_ref()),
        ("memory_high", high.as_ref()),
        ("pin", setting.pinned.as_ref()),
    ] {
        if plan.axis(name).is_some() {
            let value = value.map_or(AS_IS, String::as_str);
            cell.insert(name.to_owned(), value.to_owned());
        }
    }
    if let Some(axis) = plan.axis("added_arguments") {
        let means = |text: &&String| added_arguments(text).eq(setting.added_arguments.iter());
        let text = axis.values.iter().find(means);
        cell.insert(
            axis.name.clone(),
            text.cloned().unwrap_or_else(|| AS_IS.to_owned()),
        );
    }
    cell
}

/// Why a search is over, in words.
#[must_use]
pub const fn why_over(over: Option<Over>) -> &'static str {
    match over {
        None => {
            "the time that was given is used up; --budget gives more, and `tracer experiment resume` does not"
        }
        Some(Over::Done) => "all was tried that promised something",
        Some(Over::NotStorage) => {
            "the engine does not wait for storage: nothing that is tried here could help"
        }
        Some(Over::NothingToCompare) => {
            "the run with the settings as they are failed or gave no figure: there is nothing to compare with"
        }
    }
}
