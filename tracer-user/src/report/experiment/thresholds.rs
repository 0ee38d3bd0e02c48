//! Thresholds from an experiment's runs: by model, kind of pressure, and all else of the cell.

use std::{collections::BTreeMap, num::NonZeroU64};

use crate::{
    schema::{ExperimentRecord, ExperimentRunRecord, PlannedPressure, RunOutcome, RunRecord},
    stats::experiment::{
        bootstrap::median,
        threshold::{
            NextRuns, Prediction, SizeFigures, StepBytes, ThresholdRun, Verdict, next_runs, verdict,
        },
    },
    units::unobserved,
};

use super::{
    cells::{order, short, values, varied},
    groups::{Group, swapped, traced, unsound},
    tables::memory::resident_bytes,
};

/// The wished resolution, as a part of the model's size: 2 %.
const RESOLUTION_PART: u64 = 50;

/// How memory was taken away: each kind has thresholds of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PressureKind {
    Locked,
    LeftFree,
    Cgroup,
}

impl PressureKind {
    fn of(pressure: PlannedPressure) -> Option<(Self, u64)> {
        match pressure {
            PlannedPressure::None => None,
            PlannedPressure::Lock(size) => Some((Self::Locked, size)),
            PlannedPressure::LeaveFree(size) => Some((Self::LeftFree, size)),
            PlannedPressure::MemoryMax(size) => Some((Self::Cgroup, size)),
        }
    }

    /// In a word or two.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Locked | Self::LeftFree => "under a balloon",
            Self::Cgroup => "in a memory cgroup",
        }
    }

    /// What the size of such a run is.
    pub(super) const fn size(self) -> &'static str {
        match self {
            Self::Locked => {
                "MemAvailable after the balloon had locked its part (median of the runs with the same lock)"
            }
            Self::LeftFree => "MemAvailable that the balloon was to leave",
            Self::Cgroup => "limit of the engine's memory cgroup",
        }
    }
}

/// The threshold of one model under one kind of pressure.
pub(super) struct ModelThreshold {
    pub kind: PressureKind,
    /// Short name of the model.
    pub model: String,
    /// All of the cell but the pressure.
    pub cell: BTreeMap<String, String>,
    pub axes: String,
    pub size_bytes: Option<u64>,
    /// RssFile + RssAnon without pressure in the same cell: median over runs.
    pub resident_bytes: Option<u64>,
    pub verdict: Verdict,
    /// Runs that are left out, and why.
    pub left_out: Vec<String>,
    /// The sizes of a lock's runs, each with the bytes that were locked. Empty for other kinds.
    locks: Vec<(u64, u64)>,
}

impl ModelThreshold {
    pub(super) fn prediction(&self) -> Option<Prediction> {
        let onset = *self.verdict.onset.as_ref().ok()?;
        self.resident_bytes.map(|resident_bytes| Prediction {
            resident_bytes,
            onset,
        })
    }

    /// The planned number of bytes that gives this size. For a lock: that of the nearest tested size, and as much more as
    /// there is to be less left.
    fn planned_bytes(&self, size_bytes: u64) -> Option<u64> {
        if self.kind != PressureKind::Locked {
            return Some(size_bytes);
        }
        let (left, lock) = self
            .locks
            .iter()
            .min_by_key(|(left, _)| left.abs_diff(size_bytes))?;
        lock.saturating_add(*left).checked_sub(size_bytes)
    }

    /// The value of the pressure axis that gives this size.
    pub(super) fn plan(&self, size_bytes: u64) -> Option<String> {
        let axis = match self.kind {
            PressureKind::Locked => "lock",
            PressureKind::LeftFree => "leave-free",
            PressureKind::Cgroup => "memory-max",
        };
        Some(format!("{axis}={}", self.planned_bytes(size_bytes)?))
    }

    /// What the runs of this group say, if they are of this threshold.
    pub(super) fn size_of(&self, group: &Group<'_>) -> Option<&SizeFigures> {
        let (kind, planned) = PressureKind::of(group.pressure)?;
        let cell = &group.runs.first()?.run.cell;
        if kind != self.kind || without_pressure(cell) != self.cell {
            return None;
        }
        let size_bytes = if kind == PressureKind::Locked {
            self.locks.iter().find(|(_, lock)| *lock == planned)?.0
        } else {
            planned
        };
        let mut sizes = self.verdict.sizes.iter();
        sizes.find(|size| size.size_bytes == size_bytes)
    }

    /// What is still to be run, to know the threshold to 2 % of the model's size. `None` where that is not known.
    pub(super) fn next(&self) -> Option<NextRuns> {
        let resolution = NonZeroU64::new(self.size_bytes? / RESOLUTION_PART)?;
        Some(next_runs(&self.verdict, resolution))
    }

    pub(super) fn label(&self) -> String {
        if self.axes.is_empty() {
            self.model.clone()
        } else {
            format!("{}; {}", self.model, self.axes)
        }
    }
}

fn without_pressure(cell: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut rest = cell.clone();
    rest.remove("pressure");
    rest
}

/// Sizes between collapse and onset to be run next, largest first, each once, as plans write them: limits, bytes to leave
/// free, or bytes to lock, by the kind of the experiment. After them the threshold of each model is known to 2 % of its
/// size. Empty where nothing is left to refine; what else is missing (a clean size, more runs) the answers say.
#[must_use]
pub fn threshold_refinement(experiment: &ExperimentRecord) -> Vec<u64> {
    let mut sizes: Vec<u64> = thresholds(experiment)
        .iter()
        .filter_map(|threshold| Some((threshold, threshold.next()?)))
        // More runs of a kind that cannot be judged (too few steps, no known need) would be no better.
        .filter(|(_, next)| next.unjudged_bytes.is_empty())
        .flat_map(|(threshold, next)| {
            let planned = next.refine_bytes.into_iter();
            planned
                .filter_map(|size| threshold.planned_bytes(size))
                .collect::<Vec<_>>()
        })
        .collect();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    sizes.dedup();
    sizes
}

/// Every threshold that has runs with at least two sizes of memory.
pub(super) fn thresholds(experiment: &ExperimentRecord) -> Vec<ModelThreshold> {
    let axes = varied(experiment);
    let mut sets: BTreeMap<_, Set> = BTreeMap::new();
    for run in experiment
        .runs
        .iter()
        .filter(|run| run.outcome != RunOutcome::Missing)
    {
        if let Some((kind, planned_bytes)) = PressureKind::of(run.pressure) {
            let place = (run.cell.get("model"), order(experiment, &run.cell));
            let key = (kind, place, without_pressure(&run.cell));
            sets.entry(key).or_default().add(run, planned_bytes);
        }
    }
    sets.into_iter()
        .filter_map(|((kind, _, cell), set)| set.finish(experiment, kind, cell, &axes))
        .collect()
}

/// The runs of one kind of pressure and one cell.
#[derive(Default)]
struct Set {
    runs: Vec<ThresholdRun>,
    /// MemAvailable of the runs with one planned size.
    available: BTreeMap<u64, Vec<f64>>,
    size_bytes: Option<u64>,
    left_out: Vec<String>,
}

impl Set {
    fn add(&mut self, run: &ExperimentRunRecord, planned_bytes: u64) {
        let mut own = ThresholdRun {
            run: run.number,
            size_bytes: planned_bytes,
            block: run.block,
            failed: run.outcome == RunOutcome::Failed,
            ..ThresholdRun::default()
        };
        if let Some(record) = run.record.as_ref().filter(|_| !own.failed)
            && let Err(why) = self.add_record(&mut own, record)
        {
            self.left_out.push(format!("run {}: {why}", run.number));
            return;
        }
        self.runs.push(own);
    }

    /// Takes from a finished run what counts, or says why it does not count.
    fn add_record(&mut self, run: &mut ThresholdRun, record: &RunRecord) -> Result<(), String> {
        let mut models = record.all_models();
        let (Some(model), None) = (models.next(), models.next()) else {
            return Err("it traced several models".to_owned());
        };
        if swapped(record) {
            return Err("the machine swapped".to_owned());
        }
        if let Some(why) = unsound(record) {
            return Err(why);
        }
        self.size_bytes = Some(model.model.size_bytes);
        let available = record.memory.available_before_bytes;
        self.available
            .entry(run.size_bytes)
            .or_default()
            .extend(available.map(|bytes| bytes as f64));
        let steps = model
            .tokens
            .iter()
            .flatten()
            .filter(|step| step.phase == "generation");
        run.steps = steps
            .map(|step| StepBytes {
                read_bytes: step.read_bytes,
                need_bytes: step.need_bytes,
            })
            .collect();
        run.tokens_per_s = record.engine.tokens_per_s;
        Ok(())
    }

    /// More locked is less memory, and only the machine knows how much less: each run's size becomes what its lock left.
    /// Returns these sizes, each with its lock.
    fn left_by_locks(&mut self) -> Vec<(u64, u64)> {
        let mut locks = Vec::new();
        let (available, left_out) = (&self.available, &mut self.left_out);
        self.runs.retain_mut(|run| {
            let typical = available
                .get(&run.size_bytes)
                .and_then(|values| median(values));
            match typical {
                Some(typical) => {
                    let left = typical.round() as u64;
                    locks.push((left, run.size_bytes));
                    run.size_bytes = left;
                }
                None => left_out.push(format!(
                    "run {}: MemAvailable under its lock is not known",
                    run.run
                )),
            }
            typical.is_some()
        });
        locks
    }

    fn finish(
        mut self,
        experiment: &ExperimentRecord,
        kind: PressureKind,
        cell: BTreeMap<String, String>,
        axes: &[&str],
    ) -> Option<ModelThreshold> {
        let locks = if kind == PressureKind::Locked {
            self.left_by_locks()
        } else {
            Vec::new()
        };
        let first = self.runs.first()?.size_bytes;
        if self.runs.iter().all(|run| run.size_bytes == first) {
            return None;
        }
        let model = cell.get("model");
        Some(ModelThreshold {
            kind,
            model: model.map_or_else(unobserved, |model| short(model).to_owned()),
            axes: values(&cell, axes),
            size_bytes: self.size_bytes,
            resident_bytes: resident_without_pressure(experiment, &cell),
            verdict: verdict(&self.runs),
            left_out: self.left_out,
            cell,
            locks,
        })
    }
}

/// Median over the sound runs of this cell without pressure.
fn resident_without_pressure(
    experiment: &ExperimentRecord,
    cell: &BTreeMap<String, String>,
) -> Option<u64> {
    let unpressed: Vec<f64> = traced(experiment)
        .iter()
        .filter(|run| {
            run.run.pressure == PlannedPressure::None
                && without_pressure(&run.run.cell) == *cell
                && !swapped(run.record)
                && unsound(run.record).is_none()
        })
        .filter_map(resident_bytes)
        .collect();
    median(&unpressed).map(|bytes| bytes.round() as u64)
}

#[cfg(test)]
mod tests;
