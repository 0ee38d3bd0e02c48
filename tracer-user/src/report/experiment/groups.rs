//! Which runs stand together, and which of them may be pooled.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    figures::{InRun, Unit},
    schema::{
        ExperimentRecord, ExperimentRunRecord, ModelRecord, PhaseRecord, PlannedPressure,
        RunOutcome, RunRecord,
    },
    stats::experiment::{
        bootstrap::median,
        modes::{Modes, modes},
        pooling::{NotPooled, Work, same_work},
    },
    units::unobserved,
};

use super::cells::{self, pressure, short, values, varied};

/// Experiments of different kinds: their runs never stand in one table, let alone in one median.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::report) enum MemoryClass {
    /// Nothing was done to the memory.
    Unpressed,
    /// Memory of the whole machine was locked away.
    Balloon,
    /// The engine had a memory cgroup of its own.
    Cgroup,
    /// The machine swapped during the run, whatever else was done.
    Swapped,
}

impl MemoryClass {
    pub(super) const ALL: [Self; 4] = [Self::Unpressed, Self::Balloon, Self::Cgroup, Self::Swapped];

    pub(super) const fn of_pressure(planned: PlannedPressure) -> Self {
        match planned {
            PlannedPressure::None => Self::Unpressed,
            PlannedPressure::Lock(_) | PlannedPressure::LeaveFree(_) => Self::Balloon,
            PlannedPressure::MemoryMax(_) => Self::Cgroup,
        }
    }

    /// In one word or two.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Unpressed => "none",
            Self::Balloon => "balloon",
            Self::Cgroup => "cgroup",
            Self::Swapped => "swapped",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Unpressed => "without pressure",
            Self::Balloon => "under a balloon (memory of the whole machine locked away)",
            Self::Cgroup => "in a memory cgroup of the engine",
            Self::Swapped => "during which the machine swapped",
        }
    }
}

/// A model's part of a finished run.
#[derive(Clone, Copy)]
pub(in crate::report) struct Traced<'a> {
    pub run: &'a ExperimentRunRecord,
    pub record: &'a RunRecord,
    pub model: &'a ModelRecord,
}

impl<'a> Traced<'a> {
    /// A figure of the catalogue.
    pub(super) fn value(&self, figure: &InRun) -> Option<f64> {
        figure.value(self.record, self.model)
    }

    /// A phase by name.
    pub(super) fn phase(&self, name: &str) -> Option<&'a PhaseRecord> {
        self.model
            .phases
            .as_ref()?
            .iter()
            .find(|phase| phase.phase == name)
    }

    /// Tokens that were asked for, else those that the engine says it generated.
    pub(super) fn tokens(&self) -> Option<u64> {
        let planned = self
            .run
            .cell
            .get("tokens")
            .and_then(|text| text.parse().ok());
        let generated = self
            .run
            .work
            .as_ref()
            .and_then(|work| work.generated_tokens);
        planned.or(generated)
    }

    pub(super) fn name(&self) -> &'a str {
        short(&self.model.model.path)
    }
}

/// Whether the machine swapped, as far as it was observed: a page in or out, or a page of the engine in swap.
pub(in crate::report) fn swapped(record: &RunRecord) -> bool {
    let some = |pages: Option<u64>| pages.is_some_and(|pages| pages > 0);
    let of_engine = record
        .memory_course
        .iter()
        .filter_map(|point| point.process.as_ref());
    some(record.memory.swap_in_pages)
        || some(record.memory.swap_out_pages)
        || of_engine.into_iter().any(|point| some(point.swap_bytes))
}

/// Why the figures of a run may be wrong, where that is so. Unseen completions alone do not count: bytes and counts
/// are exact all the same.
pub(super) fn unsound(record: &RunRecord) -> Option<String> {
    let violated = record.violations().count();
    if record.partial {
        let reason = record.partial_reason.as_deref();
        Some(format!(
            "it was cut short: {}",
            reason.unwrap_or("no reason is given")
        ))
    } else if violated > 0 {
        Some(format!("{violated} self-checks do not hold"))
    } else if record.loss.ring_buffer_records > 0 {
        Some(format!(
            "{} records were lost",
            record.loss.ring_buffer_records
        ))
    } else {
        record
            .loss
            .recursion_misses
            .filter(|missed| *missed > 0)
            .map(|missed| format!("the kernel skipped a program {missed} times"))
    }
}

/// The runs of one cell with one model, in one class.
pub(in crate::report) struct Group<'a> {
    pub class: MemoryClass,
    pub pressure: PlannedPressure,
    pub model: &'a str,
    /// Varied axes other than model and pressure.
    pub axes: String,
    /// What tells it from the other groups of the experiment: "moe.gguf; cgroup, 3.00 GiB", or without the model where
    /// there is one only.
    pub name: String,
    /// Every finished run, by number.
    pub runs: Vec<Traced<'a>>,
    /// Whether the sound ones did the same work.
    pub pooled: Result<(), NotPooled>,
}

impl<'a> Group<'a> {
    /// Runs whose figures may be pooled, if `pooled` says so: all but the unsound ones.
    pub(super) fn sound(&self) -> impl Iterator<Item = &Traced<'a>> {
        self.runs.iter().filter(|run| unsound(run.record).is_none())
    }

    /// A figure of every sound run that has it.
    pub(super) fn figures(&self, pick: impl Fn(&Traced<'a>) -> Option<f64>) -> Vec<f64> {
        self.sound().filter_map(pick).collect()
    }

    /// A figure of the group in one table cell: one value, "… in all n", the median with the range, or two modes apart;
    /// where the runs are not pooled the range alone.
    pub(super) fn show(&self, unit: Unit, pick: impl Fn(&Traced<'a>) -> Option<f64>) -> String {
        let values = self.figures(pick);
        let range = unit.show_range(&values);
        match median(&values) {
            None => unobserved(),
            Some(_) if self.pooled.is_err() => format!("{range} (not pooled)"),
            Some(only) if values.len() == 1 => unit.show(only),
            Some(_) if values.windows(2).all(|pair| pair.first() == pair.last()) => {
                format!("{range} in all {}", values.len())
            }
            Some(middle) => match modes(&values) {
                Some(Modes { low, high }) => format!(
                    "two modes: {} ({} runs), {} ({} runs)",
                    unit.show_range(&low),
                    low.len(),
                    unit.show_range(&high),
                    high.len()
                ),
                None => format!("{} ({range})", unit.show(middle)),
            },
        }
    }

    /// Finished runs, and how many of them are sound where not all are.
    pub(super) fn count(&self) -> String {
        let (all, sound) = (self.runs.len(), self.sound().count());
        if all == sound {
            all.to_string()
        } else {
            format!("{sound} of {all}")
        }
    }

    /// Model and pressure and axes, short.
    pub(super) fn label(&self) -> String {
        let mut parts = vec![self.model.to_owned()];
        if self.pressure != PlannedPressure::None {
            parts.push(pressure(self.pressure));
        }
        if !self.axes.is_empty() {
            parts.push(self.axes.clone());
        }
        parts.join("; ")
    }
}

/// Every traced model of every finished run.
pub(super) fn traced(experiment: &ExperimentRecord) -> Vec<Traced<'_>> {
    experiment
        .runs
        .iter()
        .filter(|run| run.outcome == RunOutcome::Finished)
        .filter_map(|run| Some((run, run.record.as_ref()?)))
        .flat_map(|(run, record)| {
            record
                .all_models()
                .map(move |model| Traced { run, record, model })
        })
        .collect()
}

/// Less memory comes later.
pub(super) fn order(planned: PlannedPressure) -> (u8, Reverse<u64>, u64) {
    match planned {
        PlannedPressure::None => (0, Reverse(0), 0),
        PlannedPressure::Lock(size) => (1, Reverse(0), size),
        PlannedPressure::LeaveFree(size) => (2, Reverse(size), 0),
        PlannedPressure::MemoryMax(size) => (3, Reverse(size), 0),
    }
}

/// The groups: by class, then by model, then from much memory to little, then by the values of what else was varied.
pub(in crate::report) fn groups(experiment: &ExperimentRecord) -> Vec<Group<'_>> {
    let mut groups = unnamed(experiment);
    let several_models = groups.windows(2).any(|pair| pair[0].model != pair[1].model);
    for group in &mut groups {
        let mut parts = Vec::new();
        if several_models {
            parts.push(group.model.to_owned());
        }
        if group.pressure != PlannedPressure::None {
            parts.push(pressure(group.pressure));
        } else if !several_models && group.axes.is_empty() {
            parts.push("no pressure".to_owned());
        }
        if !group.axes.is_empty() {
            parts.push(group.axes.clone());
        }
        if group.class == MemoryClass::Swapped {
            parts.push("swapped".to_owned());
        }
        group.name = parts.join("; ");
    }
    groups
}

fn unnamed(experiment: &ExperimentRecord) -> Vec<Group<'_>> {
    let axes = varied(experiment);
    let mut found: BTreeMap<_, Vec<Traced<'_>>> = BTreeMap::new();
    for run in traced(experiment) {
        let class = if swapped(run.record) {
            MemoryClass::Swapped
        } else {
            MemoryClass::of_pressure(run.run.pressure)
        };
        let path = run.model.model.path.as_str();
        let cell = &run.run.cell;
        let place = cells::order(experiment, cell);
        let key = (class, path, order(run.run.pressure), place, cell);
        found.entry(key).or_default().push(run);
    }
    found
        .into_iter()
        .filter_map(|((class, path, _, _, cell), runs)| {
            let first = runs.first()?;
            let mut group = Group {
                class,
                pressure: first.run.pressure,
                model: short(path),
                axes: values(cell, &axes),
                name: String::new(),
                runs,
                pooled: Ok(()),
            };
            let works: Vec<Work<'_>> = group.sound().map(work).collect();
            group.pooled = same_work(&works);
            Some(group)
        })
        .collect()
}

fn work<'a>(run: &Traced<'a>) -> Work<'a> {
    let done = run.run.work.as_ref();
    Work {
        run: run.run.number,
        deterministic_sampling: done.is_some_and(|work| work.deterministic_sampling),
        output_digest: done.and_then(|work| work.output_digest.as_deref()),
        output_kind: done.and_then(|work| work.output_kind.as_deref()),
        engine_version: done.and_then(|work| work.engine_version.as_deref()),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::sample::{experiment, finished},
        schema::PlannedPressure,
        stats::experiment::pooling::NotPooled,
    };

    use super::{MemoryClass, groups};

    const GIB: u64 = 1 << 30;

    #[test]
    fn balloon_and_cgroup_and_swap_are_never_in_one_group() {
        let mut swapping = finished("a.gguf", PlannedPressure::LeaveFree(GIB));
        if let Some(record) = &mut swapping.record {
            record.memory.swap_in_pages = Some(1);
        }
        let made = experiment(vec![
            finished("a.gguf", PlannedPressure::MemoryMax(GIB)),
            finished("a.gguf", PlannedPressure::LeaveFree(GIB)),
            swapping,
            finished("a.gguf", PlannedPressure::None),
            finished("a.gguf", PlannedPressure::MemoryMax(GIB)),
        ]);
        let found: Vec<(MemoryClass, usize)> = groups(&made)
            .iter()
            .map(|group| (group.class, group.runs.len()))
            .collect();
        assert_eq!(
            found,
            [
                (MemoryClass::Unpressed, 1),
                (MemoryClass::Balloon, 1),
                (MemoryClass::Cgroup, 2),
                (MemoryClass::Swapped, 1)
            ]
        );
    }

    #[test]
    fn cells_with_the_same_memory_stand_by_the_value_of_what_else_was_varied() {
        let sizes = ["128K", "1M", "16K"];
        let runs = sizes.map(|size| {
            let mut run = finished("a.gguf", PlannedPressure::MemoryMax(GIB));
            run.cell.insert("read_ahead".into(), size.into());
            run
        });
        let made = experiment(runs.to_vec());
        let found: Vec<String> = groups(&made).into_iter().map(|group| group.axes).collect();
        assert_eq!(
            found,
            ["read_ahead = 16K", "read_ahead = 128K", "read_ahead = 1M"]
        );
    }

    #[test]
    fn unsound_runs_are_in_the_group_but_in_no_pool() {
        let mut made = experiment(vec![finished("a.gguf", PlannedPressure::None); 3]);
        if let Some(record) = &mut made.runs[1].record {
            record.loss.ring_buffer_records = 4;
        }
        let groups = groups(&made);
        assert_eq!(groups[0].runs.len(), 3);
        let sound: Vec<u64> = groups[0].sound().map(|run| run.run.number).collect();
        assert_eq!(sound, [0, 2]);
        assert_eq!(groups[0].pooled, Ok(()));
    }

    #[test]
    fn other_outputs_are_not_pooled() {
        let mut made = experiment(vec![finished("a.gguf", PlannedPressure::None); 2]);
        if let Some(work) = &mut made.runs[1].work {
            work.output_digest = Some("other".into());
        }
        assert_eq!(
            groups(&made)[0].pooled,
            Err(NotPooled::OtherOutput(vec![vec![0], vec![1]]))
        );
    }
}
