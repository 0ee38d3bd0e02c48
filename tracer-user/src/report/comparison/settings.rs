//! What was not the same before the runs began, and what a reader has to know before a figure is quoted.

use std::collections::BTreeSet;

use crate::{
    figures::{AcrossRuns, Unit, device, selections::CONDITIONS},
    report::experiment::groups::swapped,
    schema::{ModelRecord, RunRecord},
    stats::experiment::bootstrap::median,
    units::unobserved,
};

use super::{
    columns::{ColumnRuns, OneRun},
    record::{ComparedColumn, Setting},
    sameness::flaw,
};

/// Amounts of memory that differ by less are called equal: they are never the same twice.
const EQUAL_AMOUNTS: f64 = 0.02;

type Words = fn(&RunRecord, &ModelRecord) -> Option<String>;

/// What is said in words, and where it stands.
const IN_WORDS: [(&str, Words); 13] = [
    ("command", |run, _| Some(run.command.join(" "))),
    ("how it was traced", |run, _| Some(run.mode.clone())),
    ("level", |run, _| {
        Some(run.detail.clone().unwrap_or_else(|| "events".into()))
    }),
    ("model", |_, model| Some(model.model.path.clone())),
    ("file system", |_, model| {
        Some(model.model.filesystem.clone())
    }),
    ("kernel", |run, _| Some(run.kernel.clone())),
    ("tracer", |run, _| Some(run.tracer_version.clone())),
    ("page ageing", |run, _| run.machine.lru.clone()),
    ("CPU governor", |run, _| run.machine.governor.clone()),
    ("disk", |run, _| {
        of_devices(run, |device| {
            device
                .device_model
                .clone()
                .or_else(|| Some(device.name.clone()))
        })
    }),
    ("read-ahead of the disk", |run, _| {
        of_devices(run, |own| Some(device::READ_AHEAD_KB.show(own)))
    }),
    ("scheduler of the disk", |run, _| {
        of_devices(run, |device| device.scheduler.clone())
    }),
    ("page cache before", |run, _| {
        Some(
            match (run.pressure.dropped_caches, run.pressure.evicted_model) {
                (true, _) => "dropped".into(),
                (false, true) => "the model evicted".into(),
                (false, false) => "left as it was".into(),
            },
        )
    }),
];

fn of_devices(
    run: &RunRecord,
    words: impl Fn(&crate::schema::DeviceRecord) -> Option<String>,
) -> Option<String> {
    let words: Vec<String> = run.devices.iter().filter_map(words).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// Settings in which the columns differ.
pub(super) fn settings(columns: &[ColumnRuns<'_>]) -> Vec<Setting> {
    let words = IN_WORDS.iter().map(|(what, words)| Setting {
        what: (*what).to_owned(),
        values: columns
            .iter()
            .map(|column| distinct(column, |run| words(run.record, run.model)))
            .collect(),
    });
    let words = words.filter(|setting| differ(&setting.values));
    words
        .chain(CONDITIONS.iter().filter_map(|condition| {
            let of = |column: &ColumnRuns<'_>| -> Vec<f64> {
                let runs = column.runs.iter();
                runs.filter_map(|run| condition.value(run.record, run.model))
                    .collect()
            };
            let values: Vec<Vec<f64>> = columns.iter().map(of).collect();
            let middles: Vec<Option<f64>> = values.iter().map(|values| median(values)).collect();
            (!equal(&middles, condition.unit())).then(|| Setting {
                what: condition.label().to_owned(),
                values: values
                    .iter()
                    .map(|values| condition.unit().show_range(values))
                    .collect(),
            })
        }))
        .collect()
}

fn differ(values: &[String]) -> bool {
    values.windows(2).any(|pair| pair.first() != pair.last())
}

fn equal(values: &[Option<f64>], unit: Unit) -> bool {
    if values.iter().all(Option::is_none) {
        return true;
    }
    let Some(values) = values.iter().copied().collect::<Option<Vec<f64>>>() else {
        return false;
    };
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let about = if unit == Unit::Bytes {
        EQUAL_AMOUNTS
    } else {
        0.0
    };
    high - low <= high.abs() * about
}

/// The values that the runs of a column have, each once.
fn distinct(column: &ColumnRuns<'_>, words: impl Fn(&OneRun<'_>) -> Option<String>) -> String {
    let mut seen: Vec<String> = Vec::new();
    for run in &column.runs {
        let words = words(run).unwrap_or_else(unobserved);
        if !seen.contains(&words) {
            seen.push(words);
        }
    }
    const MOST: usize = 3;
    let more = seen.len().saturating_sub(MOST);
    seen.truncate(MOST);
    if more > 0 {
        seen.push(format!("{more} others"));
    }
    seen.join("; ")
}

/// What a reader should know, besides settings.
pub(super) fn cautions(columns: &[ColumnRuns<'_>], named: &[ComparedColumn]) -> Vec<String> {
    let mut cautions = Vec::new();
    for (column, named) in columns.iter().zip(named) {
        let letter = &named.letter;
        let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
        for run in &column.runs {
            let reasons: BTreeSet<String> = AcrossRuns::all()
                .iter()
                .filter_map(|figure| flaw(run.record, figure))
                .collect();
            for why in reasons {
                let number = run.number.to_string();
                match by_reason.iter_mut().find(|(known, _)| *known == why) {
                    Some((_, runs)) => runs.push(number),
                    None => by_reason.push((why, vec![number])),
                }
            }
        }
        for (why, runs) in by_reason {
            cautions.push(if column.runs.len() == 1 {
                format!("{letter}: {why}. The figures that this may make wrong are not compared.")
            } else {
                format!(
                    "{letter}, run {}: {why}. These runs are left out of the figures that this may make wrong.",
                    runs.join(", ")
                )
            });
        }
        if let Some(why) = &column.not_pooled {
            cautions.push(format!("{letter}: its runs are not pooled: {why}."));
        } else if column.runs.len() > 1 && column.runs.iter().any(|run| run.block.is_none()) {
            cautions.push(format!(
                "{letter}: nothing in the records shows that its {} runs did the same work. An experiment does.",
                column.runs.len()
            ));
        }
    }
    let each = |some: &dyn Fn(&OneRun<'_>) -> bool| {
        let columns = columns.iter();
        columns
            .map(|column| column.runs.iter().any(some))
            .collect::<Vec<bool>>()
    };
    let unlike = |values: &[bool]| values.contains(&true) && values.contains(&false);
    if unlike(&each(&|run| swapped(run.record))) {
        cautions.push("The machine swapped in some of these runs and not in the others: what the engine waited for was not the same.".into());
    }
    let cgroup = each(&|run| run.record.pressure.cgroup.is_some());
    let balloon = each(&|run| run.record.pressure.locked_bytes > 0);
    if unlike(&cgroup) && unlike(&balloon) {
        cautions.push("Memory was taken away in different ways: a memory cgroup makes the engine alone reclaim, a balloon the whole machine.".into());
    }
    let levels: BTreeSet<String> = columns
        .iter()
        .flat_map(|column| column.runs.iter())
        .map(|run| run.record.detail.clone().unwrap_or_else(|| "events".into()))
        .collect();
    if levels.len() > 1 {
        cautions.push("They were traced at different levels, and tracing costs the engine more at one than at the other (docs/PERFORMANCE.md): small differences in speed may be that.".into());
    }
    cautions
}
