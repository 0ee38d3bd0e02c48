//! Which settings make an engine fastest: what the runs say so far, and which settings to run next.
//!
//! The search goes one setting at a time. First the read-ahead on a coarse ladder, beside the settings as they are; what is
//! clearly worse is taken out after each block (`stats::experiment::racing`); then the neighbours of the best on the ladder;
//! then each argument of the engine with the best read-ahead; at the end the best and the settings as they are, until there
//! are runs enough for an interval.

use crate::{
    schema::{
        AS_IS, ExperimentRecord, ExperimentRunRecord, RunOutcome, RunRecord, Standing,
        TUNE_SCHEMA_VERSION, TriedSetting, TuneGoal, TuneRecord, TuneSetting, added_arguments,
    },
    stats::experiment::{
        bootstrap::median,
        racing::{Entrant, leader, standings},
    },
    units::{parse_bytes, parse_bytes_or_off},
};

use super::{Storage, explain};

/// Runs of each setting that is not clearly worse, before the search goes on from the best of them.
const STAGE_RUNS: usize = 3;
/// Every how manieth value of the ladder is tried first.
const COARSE_STEP: usize = 3;

/// What the runs so far say.
#[must_use]
pub fn tuning(experiment: &ExperimentRecord) -> TuneRecord {
    let goal = experiment.tune.unwrap_or_default().goal;
    let mut tried: Vec<TriedSetting> = Vec::new();
    for run in &experiment.runs {
        let setting = setting_of(run);
        let at = tried
            .iter()
            .position(|tried| tried.setting == setting)
            .unwrap_or_else(|| {
                tried.push(TriedSetting {
                    setting,
                    ..TriedSetting::default()
                });
                tried.len() - 1
            });
        let Some(tried) = tried.get_mut(at) else {
            continue;
        };
        match run.outcome {
            RunOutcome::Missing => {}
            RunOutcome::Failed => tried.failed += 1,
            RunOutcome::Finished => {
                match run.record.as_ref().and_then(|record| speed(record, goal)) {
                    Some(speed) => tried.speeds.push(speed),
                    None => tried.failed += 1,
                }
            }
        }
    }
    let entrants: Vec<Entrant> = tried
        .iter()
        .map(|tried| Entrant {
            values: tried.speeds.clone(),
            failed: tried.failed,
        })
        .collect();
    for (tried, standing) in tried.iter_mut().zip(standings(&entrants)) {
        tried.standing = standing;
        tried.median = median(&tried.speeds);
    }
    let as_is = tried
        .iter()
        .find(|tried| tried.setting == TuneSetting::default())
        .cloned();
    let first = leader(&entrants).and_then(|at| tried.get(at).cloned());
    let helps = as_is
        .as_ref()
        .is_some_and(|as_is| as_is.standing == Standing::Behind)
        && first.as_ref().is_some_and(|first| first.speeds.len() >= 2);
    let best = if helps {
        first
    } else {
        // One that failed is nothing to compare with, whatever its other runs gave.
        as_is
            .clone()
            .filter(|as_is| as_is.failed == 0 && as_is.median.is_some())
    };
    let factor = best
        .as_ref()
        .and_then(|best| best.median)
        .zip(as_is.and_then(|as_is| as_is.median))
        .map(|(best, as_is)| best / as_is);
    tried.sort_by(|one, other| {
        let key = |tried: &TriedSetting| (tried.failed == 0, tried.median.unwrap_or(0.0));
        let ((one_sound, one), (other_sound, other)) = (key(one), key(other));
        other_sound.cmp(&one_sound).then(other.total_cmp(&one))
    });
    TuneRecord {
        schema_version: TUNE_SCHEMA_VERSION,
        goal,
        helps,
        best: best.map(|best| best.setting),
        factor,
        tried,
    }
}

/// The settings of a run.
#[must_use]
pub fn setting_of(run: &ExperimentRunRecord) -> TuneSetting {
    TuneSetting {
        read_ahead_kb: run.cell.get("read_ahead").and_then(|text| kibibytes(text)),
        added_arguments: run
            .cell
            .get("added_arguments")
            .map(|text| words(text))
            .unwrap_or_default(),
        scheduler: set_to(run, "scheduler"),
        nr_requests: set_to(run, "nr_requests").and_then(|text| text.parse().ok()),
        memory_high_bytes: set_to(run, "memory_high").and_then(|text| parse_bytes(&text).ok()),
        pinned: set_to(run, "pin"),
    }
}

/// The value of an axis that is not left as it is.
fn set_to(run: &ExperimentRunRecord, axis: &str) -> Option<String> {
    run.cell.get(axis).filter(|text| *text != AS_IS).cloned()
}

/// `as-is` is none.
fn kibibytes(text: &str) -> Option<u64> {
    parse_bytes_or_off(text).ok().map(|bytes| bytes >> 10)
}

fn words(text: &str) -> Vec<String> {
    added_arguments(text).map(str::to_owned).collect()
}

/// How fast a run was: more is better.
fn speed(record: &RunRecord, goal: TuneGoal) -> Option<f64> {
    let speed = match goal {
        TuneGoal::Generation => record.engine.tokens_per_s?,
        TuneGoal::Prompt => record.engine.prompt_tokens_per_s?,
        TuneGoal::Load => 1.0 / load_s(record)?,
    };
    (speed.is_finite() && speed > 0.0).then_some(speed)
}

fn load_s(record: &RunRecord) -> Option<f64> {
    let of_phase = record.all_models().next().and_then(|model| {
        let load = model
            .phases
            .as_ref()?
            .iter()
            .find(|phase| phase.phase == "load")?;
        Some(load.duration_s)
    });
    of_phase.or(record.engine.load_end_s)
}

/// What the search goes on with.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// A block of these.
    Block(Vec<TuneSetting>),
    /// It is over.
    Over(Over),
}

/// Why a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// All was tried that was to be tried.
    Done,
    /// The engine does not wait for storage.
    NotStorage,
    /// The settings as they are gave no figure: there is nothing to compare with.
    NothingToCompare,
}

/// What to run next. A run that is planned and was not made counts as if it were none.
#[must_use]
pub fn next(experiment: &ExperimentRecord, repetitions: usize) -> Next {
    let record = tuning(experiment);
    let as_is = TuneSetting::default();
    let runs = |setting: &TuneSetting| {
        let tried = record.tried.iter().find(|tried| tried.setting == *setting);
        tried.map_or(0, |tried| tried.speeds.len())
    };
    let stands = |setting: &TuneSetting| {
        let tried = record.tried.iter().find(|tried| tried.setting == *setting);
        tried.map_or(Standing::NotTried, |tried| tried.standing)
    };
    match stands(&as_is) {
        Standing::NotTried => return Next::Block(vec![as_is]),
        Standing::Failed => return Next::Over(Over::NothingToCompare),
        Standing::Leads | Standing::Races | Standing::Behind => {}
    }
    if record.goal == TuneGoal::Generation && !is_storage(experiment) {
        return Next::Over(Over::NotStorage);
    }
    let choices = Choices::of(experiment);
    if record.tried.len() == 1 {
        let first = choices.coarse();
        if !first.is_empty() {
            return block(first, &as_is);
        }
    }
    let rivals: Vec<TuneSetting> = record
        .tried
        .iter()
        .filter(|tried| matches!(tried.standing, Standing::Leads | Standing::Races))
        .map(|tried| tried.setting.clone())
        .collect();
    let short = |most: usize, rivals: &[TuneSetting]| -> Vec<TuneSetting> {
        let few = |setting: &&TuneSetting| runs(setting) < most;
        rivals.iter().filter(few).cloned().collect()
    };
    if rivals.len() > 1 {
        let unsettled = short(STAGE_RUNS, &rivals);
        if !unsettled.is_empty() {
            return Next::Block(unsettled);
        }
    }
    let Some(best) = rivals
        .iter()
        .find(|setting| stands(setting) == Standing::Leads)
        .cloned()
    else {
        return Next::Over(Over::NothingToCompare);
    };
    for more in [
        choices.neighbours(&best),
        choices.with_one_more(&best),
        choices.with_arguments(&best),
    ] {
        let new: Vec<TuneSetting> = more
            .into_iter()
            .filter(|setting| stands(setting) == Standing::NotTried)
            .collect();
        if !new.is_empty() {
            return block(new, &best);
        }
    }
    // Proof: the best against what there was, in the same blocks.
    let enough = if stands(&as_is) == Standing::Behind {
        STAGE_RUNS.min(repetitions)
    } else {
        repetitions
    };
    let mut unproven = short(repetitions, std::slice::from_ref(&best));
    if best != as_is {
        unproven.extend(short(enough, std::slice::from_ref(&as_is)));
    }
    if unproven.is_empty() {
        Next::Over(Over::Done)
    } else {
        Next::Block(unproven)
    }
}

/// New settings, beside one that is known: what drifts between blocks then shows.
fn block(mut new: Vec<TuneSetting>, known: &TuneSetting) -> Next {
    new.insert(0, known.clone());
    Next::Block(new)
}

/// Whether the first run with the settings as they are waited for storage, as far as that is known.
fn is_storage(experiment: &ExperimentRecord) -> bool {
    let first = experiment
        .runs
        .iter()
        .filter(|run| setting_of(run) == TuneSetting::default())
        .find_map(|run| run.record.as_ref());
    let Some(record) = first else {
        return true;
    };
    let explanation = explain(record, None);
    explanation
        .models
        .iter()
        .any(|model| !matches!(model.storage, Storage::No { .. }))
}

/// What can be tried.
struct Choices {
    /// Read-ahead, KiB, rising; none of them what the machine has.
    ladder_kb: Vec<u64>,
    now_kb: Option<u64>,
    schedulers: Vec<String>,
    nr_requests: Vec<u64>,
    memory_high: Vec<u64>,
    /// What can be kept in memory.
    pins: Vec<String>,
    /// What can be added to the engine's command.
    arguments: Vec<Vec<String>>,
}

impl Choices {
    fn of(experiment: &ExperimentRecord) -> Self {
        let values = |name: &str| {
            let axis = experiment.axes.iter().find(|axis| axis.name == name);
            axis.map_or(&[][..], |axis| &axis.values)
        };
        let now_kb = experiment.tune.and_then(|tune| tune.read_ahead_now_kb);
        let mut ladder_kb: Vec<u64> = values("read_ahead")
            .iter()
            .filter_map(|text| kibibytes(text))
            .filter(|kb| Some(*kb) != now_kb)
            .collect();
        ladder_kb.sort_unstable();
        ladder_kb.dedup();
        let others = |name: &str| -> Vec<String> {
            let others = values(name).iter().filter(|text| *text != AS_IS);
            others.cloned().collect()
        };
        Self {
            ladder_kb,
            now_kb,
            schedulers: others("scheduler"),
            nr_requests: others("nr_requests")
                .iter()
                .filter_map(|text| text.parse().ok())
                .collect(),
            memory_high: others("memory_high")
                .iter()
                .filter_map(|text| parse_bytes(text).ok())
                .collect(),
            pins: others("pin"),
            arguments: values("added_arguments")
                .iter()
                .map(|text| words(text))
                .filter(|words| !words.is_empty())
                .collect(),
        }
    }

    /// The first values: every third of the ladder, so that each of the others is a neighbour of one of them.
    fn coarse(&self) -> Vec<TuneSetting> {
        let first = usize::from(self.ladder_kb.len() > 1);
        self.ladder_kb
            .iter()
            .skip(first)
            .step_by(COARSE_STEP)
            .map(|kb| TuneSetting {
                read_ahead_kb: Some(*kb),
                ..TuneSetting::default()
            })
            .collect()
    }

    /// One step up and one down the ladder.
    fn neighbours(&self, setting: &TuneSetting) -> Vec<TuneSetting> {
        let Some(kb) = setting.read_ahead_kb.or(self.now_kb) else {
            return Vec::new();
        };
        let below = self.ladder_kb.iter().rev().find(|other| **other < kb);
        let above = self.ladder_kb.iter().find(|other| **other > kb);
        below
            .into_iter()
            .chain(above)
            .map(|kb| TuneSetting {
                read_ahead_kb: Some(*kb),
                ..setting.clone()
            })
            .collect()
    }

    /// One more setting that is still as it is: of the queue, or what is kept in memory.
    fn with_one_more(&self, setting: &TuneSetting) -> Vec<TuneSetting> {
        let mut more = Vec::new();
        if setting.pinned.is_none() {
            more.extend(self.pins.iter().map(|pin| TuneSetting {
                pinned: Some(pin.clone()),
                ..setting.clone()
            }));
        }
        if setting.memory_high_bytes.is_none() {
            more.extend(self.memory_high.iter().map(|bytes| TuneSetting {
                memory_high_bytes: Some(*bytes),
                ..setting.clone()
            }));
        }
        if setting.scheduler.is_none() {
            more.extend(self.schedulers.iter().map(|name| TuneSetting {
                scheduler: Some(name.clone()),
                ..setting.clone()
            }));
        }
        if setting.nr_requests.is_none() {
            more.extend(self.nr_requests.iter().map(|count| TuneSetting {
                nr_requests: Some(*count),
                ..setting.clone()
            }));
        }
        more
    }

    fn with_arguments(&self, setting: &TuneSetting) -> Vec<TuneSetting> {
        if !setting.added_arguments.is_empty() {
            return Vec::new();
        }
        self.arguments
            .iter()
            .map(|words| TuneSetting {
                added_arguments: words.clone(),
                ..setting.clone()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
