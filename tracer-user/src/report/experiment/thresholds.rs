//! Thresholds from an experiment's runs: by model, kind of pressure, and all else of the cell.

use std::{collections::BTreeMap, num::NonZeroU64};

use crate::{
    report::markdown::{escaped, table},
    schema::{ExperimentRecord, PlannedPressure, RunOutcome},
    stats::experiment::{
        bootstrap::median,
        threshold::{
            CLEAN_SHARE, COLLAPSED_SHARE, Collapse, CollapseError, Dwells, FEWEST_STEPS, NextRuns,
            Onset, OnsetError, Prediction, SizeFigures, Standing, StepBytes, ThresholdRun,
            UndecidedSize, Verdict, next_runs, verdict,
        },
    },
    units::{bytes, count, factor, observed_bytes, share, signed_bytes, unobserved},
};

use super::{
    amounts::Unit,
    cells::{short, values, varied},
    groups::{swapped, traced, unsound},
    memory_tables::resident_bytes,
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
    /// Its varied axes.
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
    let mut sets: BTreeMap<(PressureKind, BTreeMap<String, String>), Set> = BTreeMap::new();
    for run in experiment
        .runs
        .iter()
        .filter(|run| run.outcome != RunOutcome::Missing)
    {
        let Some((kind, planned_bytes)) = PressureKind::of(run.pressure) else {
            continue;
        };
        let set = sets.entry((kind, without_pressure(&run.cell))).or_default();
        let mut threshold_run = ThresholdRun {
            run: run.number,
            size_bytes: planned_bytes,
            block: run.block,
            failed: run.outcome == RunOutcome::Failed,
            ..ThresholdRun::default()
        };
        if let Some(record) = run.record.as_ref().filter(|_| !threshold_run.failed) {
            let mut models = record.all_models();
            let (Some(model), None) = (models.next(), models.next()) else {
                set.left_out
                    .push(format!("run {}: it traced several models", run.number));
                continue;
            };
            if swapped(record) {
                set.left_out
                    .push(format!("run {}: the machine swapped", run.number));
                continue;
            }
            if let Some(why) = unsound(record) {
                set.left_out.push(format!("run {}: {why}", run.number));
                continue;
            }
            set.size_bytes = Some(model.model.size_bytes);
            let available = record.memory.available_before_bytes;
            set.available
                .entry(planned_bytes)
                .or_default()
                .extend(available.map(|bytes| bytes as f64));
            let steps = model
                .tokens
                .iter()
                .flatten()
                .filter(|step| step.phase == "generation");
            threshold_run.steps = steps
                .map(|step| StepBytes {
                    read_bytes: step.read_bytes,
                    need_bytes: step.need_bytes,
                })
                .collect();
            threshold_run.tokens_per_s = record.engine.tokens_per_s;
        }
        set.runs.push(threshold_run);
    }
    sets.into_iter()
        .filter_map(|((kind, cell), set)| set.finish(experiment, kind, cell, &axes))
        .collect()
}

#[derive(Default)]
struct Set {
    runs: Vec<ThresholdRun>,
    /// MemAvailable of the runs with one planned size.
    available: BTreeMap<u64, Vec<f64>>,
    size_bytes: Option<u64>,
    left_out: Vec<String>,
}

impl Set {
    fn finish(
        mut self,
        experiment: &ExperimentRecord,
        kind: PressureKind,
        cell: BTreeMap<String, String>,
        axes: &[&str],
    ) -> Option<ModelThreshold> {
        let mut locks = Vec::new();
        if kind == PressureKind::Locked {
            // More locked is less memory, and only the machine knows how much less.
            let available = &self.available;
            let left_out = &mut self.left_out;
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
        }
        let first = self.runs.first()?.size_bytes;
        if self.runs.iter().all(|run| run.size_bytes == first) {
            return None;
        }
        let unpressed: Vec<f64> = traced(experiment)
            .iter()
            .filter(|run| {
                run.run.pressure == PlannedPressure::None
                    && without_pressure(&run.run.cell) == cell
                    && !swapped(run.record)
                    && unsound(run.record).is_none()
            })
            .filter_map(resident_bytes)
            .collect();
        Some(ModelThreshold {
            kind,
            model: cell
                .get("model")
                .map_or_else(unobserved, |model| short(model).to_owned()),
            axes: values(&cell, axes),
            cell,
            size_bytes: self.size_bytes,
            resident_bytes: median(&unpressed).map(|bytes| bytes.round() as u64),
            verdict: verdict(&self.runs),
            left_out: self.left_out,
            locks,
        })
    }
}

/// The onset in words, or what is missing for it.
pub(super) fn onset(onset: &Result<Onset, OnsetError>) -> String {
    match onset {
        Ok(onset) => format!(
            "{}; at {}, the next tested size below, a run still reads: resolution {}",
            bytes(onset.size_bytes),
            bytes(onset.unclean_bytes),
            bytes(onset.resolution_bytes())
        ),
        Err(OnsetError::NoRuns) => "not decided: there are no runs under pressure".to_owned(),
        Err(OnsetError::NoCleanSize { largest_bytes }) => format!(
            "not decided: no tested size is clean; a run still reads at the largest, {}",
            bytes(*largest_bytes)
        ),
        Err(OnsetError::AllClean { smallest_bytes }) => format!(
            "not decided: every tested size is clean, so it lies at or below the smallest, {}",
            bytes(*smallest_bytes)
        ),
        Err(OnsetError::Undecided {
            size_bytes,
            why,
            at_most_bytes,
        }) => format!(
            "not decided: at {} {why}{}",
            bytes(*size_bytes),
            at_most_bytes.map_or_else(String::new, |size| format!(
                "; it is at most {}",
                bytes(size)
            ))
        ),
    }
}

/// The collapse in words, or what is missing for it.
pub(super) fn collapse(collapse: &Result<Collapse, CollapseError>) -> String {
    match collapse {
        Ok(collapse) => format!(
            "{}; at {}, the next tested size above, a run reads less than half of its need",
            bytes(collapse.size_bytes),
            bytes(collapse.uncollapsed_bytes)
        ),
        Err(CollapseError::NoRuns) => "not decided: there are no runs under pressure".to_owned(),
        Err(CollapseError::NoCollapsedSize { smallest_bytes }) => format!(
            "not decided: no tested size has collapsed; a run reads less than half of its need at the smallest, {}",
            bytes(*smallest_bytes)
        ),
        Err(CollapseError::AllCollapsed { largest_bytes }) => format!(
            "not decided: every tested size has collapsed, so it lies at or above the largest, {}",
            bytes(*largest_bytes)
        ),
        Err(CollapseError::Undecided {
            size_bytes,
            why,
            at_least_bytes,
        }) => format!(
            "not decided: at {} {why}{}",
            bytes(*size_bytes),
            at_least_bytes.map_or_else(String::new, |size| format!(
                "; it is at least {}",
                bytes(size)
            ))
        ),
    }
}

/// All thresholds, with the runs that they rest on.
pub(super) fn thresholds_section(text: &mut String, experiment: &ExperimentRecord) {
    let found = thresholds(experiment);
    if found.is_empty() {
        return;
    }
    text.push_str(&format!(
        "## Memory thresholds\n\nBy bytes read against bytes needed, over the second half of each run's generation steps ({FEWEST_STEPS} or more). Onset: the smallest tested size at which, and at every larger one, no such step of any run reads more than {} of its need. Collapse: the largest at which, and at every smaller one, every run reads at least {} of its need. Near the threshold an engine can read nothing or everything at the same size, so there is a band and not a point. tok/s decides nothing here.\n\n",
        share(Some(CLEAN_SHARE)),
        share(Some(COLLAPSED_SHARE))
    ));
    for threshold in &found {
        one(text, threshold);
    }
}

fn one(text: &mut String, threshold: &ModelThreshold) {
    text.push_str(&format!(
        "### {}: {}\n\n",
        escaped(&threshold.label()),
        threshold.kind.size()
    ));
    for line in lines(threshold) {
        text.push_str(&format!("* {}\n", escaped(&line)));
    }
    text.push('\n');
    table(text, &SIZE_HEADER, &size_rows(threshold));
}

/// The verdict in words.
pub(super) fn lines(threshold: &ModelThreshold) -> Vec<String> {
    let verdict = &threshold.verdict;
    let mut lines = vec![
        format!("Onset: {}.", onset(&verdict.onset)),
        format!("Collapse: {}.", collapse(&verdict.collapse)),
    ];
    if let Some(band) = &verdict.band {
        if band.sizes_bytes.is_empty() {
            lines.push("Unstable band: no tested size lies between the two, so it is narrower than their distance, or there is none.".to_owned());
        } else {
            lines.push(format!(
                "Unstable band: {} to {}{}: {} runs, {} steps, of which {} in the high state (at least half of the need read); {} switches in {} runs; {} steps in between.",
                observed_bytes(band.sizes_bytes.first().copied()),
                observed_bytes(band.sizes_bytes.last().copied()),
                if band.bounded_below { "" } else { " (not bounded below)" },
                band.runs,
                band.steps,
                share(band.high_share),
                band.switches,
                band.runs_that_switch,
                band.steps_between,
            ));
            lines.push(format!(
                "Stays in the high state: {}; in the low state: {}.",
                stays(&band.high),
                stays(&band.low)
            ));
        }
        for (smaller, larger) in &band.more_memory_read_more {
            lines.push(format!(
                "More memory read more: the median run of {} read more of its need than that of {}.",
                bytes(*larger),
                bytes(*smaller)
            ));
        }
    }
    lines.push(format!(
        "Beside it: model {}; RssFile + RssAnon without pressure {}{}.",
        observed_bytes(threshold.size_bytes),
        observed_bytes(threshold.resident_bytes),
        threshold.prediction().map_or_else(String::new, |prediction| format!(
            "; onset − sum: {}, onset / sum: {}; the sum lies {} the interval in which the onset was found",
            signed_bytes(prediction.difference_bytes()),
            factor(prediction.ratio()),
            if prediction.within_resolution() { "within" } else { "outside" }
        ))
    ));
    if !threshold.left_out.is_empty() {
        lines.push(format!("Left out: {}.", threshold.left_out.join("; ")));
    }
    lines
}

fn stays(dwells: &Dwells) -> String {
    let lengths: Vec<f64> = dwells.whole.iter().map(|steps| *steps as f64).collect();
    let longest_cut = dwells.cut.iter().max();
    let whole = match median(&lengths) {
        None => "none seen whole".to_owned(),
        Some(middle) => format!(
            "{} seen whole, {} steps ({} in the middle)",
            lengths.len(),
            Unit::Count.show_range(&lengths),
            Unit::Count.show(middle)
        ),
    };
    let cut = longest_cut.map_or_else(String::new, |longest| {
        format!(
            ", {} cut by the ends of what counts, the longest at least {} steps",
            dwells.cut.len(),
            count(*longest as u64)
        )
    });
    format!("{whole}{cut}")
}

pub(super) const SIZE_HEADER: [&str; 7] = [
    "size",
    "runs",
    "clean",
    "collapsed",
    "read / needed, every run",
    "tok/s, every run",
    "cannot be judged",
];

/// One line a size, from much memory to little.
pub(super) fn size_rows(threshold: &ModelThreshold) -> Vec<Vec<String>> {
    threshold.verdict.sizes.iter().map(size_row).collect()
}

fn size_row(size: &SizeFigures) -> Vec<String> {
    let standing = |standing: &Standing| match standing {
        Standing::All => "every run".to_owned(),
        Standing::NotAll => "not every run".to_owned(),
        Standing::Undecided(UndecidedSize::TooFewRuns(_)) => "too few runs".to_owned(),
        Standing::Undecided(_) => "not decided".to_owned(),
    };
    let shares: Vec<f64> = size.runs.iter().map(|run| run.read_share).collect();
    let speeds: Vec<f64> = size
        .runs
        .iter()
        .filter_map(|run| run.tokens_per_s)
        .collect();
    let unjudged: Vec<String> = size
        .unjudged
        .iter()
        .map(|(run, why)| format!("run {run}: {why}"))
        .collect();
    vec![
        bytes(size.size_bytes),
        size.runs.len().to_string(),
        standing(&size.clean),
        standing(&size.collapsed),
        Unit::Factor.show_all(&shares),
        Unit::PerSecond.show_all(&speeds),
        unjudged.join("; "),
    ]
}

#[cfg(test)]
mod tests;
