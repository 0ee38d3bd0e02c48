//! Tables of what was read: results, amplification, coverage by phase.

use crate::{
    report::markdown::table,
    stats::experiment::bootstrap::median,
    units::{bytes, observed_bytes, unobserved},
};

use super::{
    amounts::Unit,
    cells::pressure,
    figures::FIGURES,
    groups::{Group, MemoryClass, Traced},
};

/// Phases in the order of a run; those that no run has are left out.
pub(super) const PHASES: [&str; 9] = [
    "load",
    "idle",
    "warm_up",
    "prompt",
    "generation",
    "mixed",
    "inference",
    "end",
    "unmarked",
];

/// A sector, bytes.
const SECTOR_BYTES: f64 = 512.0;

/// One table for each kind of pressure, one line a cell: the study's table of results.
pub(super) fn results(text: &mut String, groups: &[Group<'_>]) {
    text.push_str("## Results\n\nOne line a cell: the value in all runs, or the median and the range. tok/s is the engine's own figure, for the generation alone.\n\n");
    for class in MemoryClass::ALL {
        let rows: Vec<Vec<String>> = groups
            .iter()
            .filter(|group| group.class == class)
            .map(row)
            .collect();
        if rows.is_empty() {
            continue;
        }
        text.push_str(&format!("### Results {}\n\n", class.title()));
        table(
            text,
            &[
                "model",
                "size",
                "pressure",
                "cell",
                "runs",
                "MemAvailable",
                "time",
                "tok/s",
                "total read",
                "unique",
                "coverage",
                "amplification",
                "backward",
            ],
            &rows,
        );
    }
}

fn row(group: &Group<'_>) -> Vec<String> {
    let figure = |name: &str| {
        FIGURES
            .iter()
            .find(|figure| figure.name == name)
            .map_or_else(unobserved, |figure| group.show(figure.unit, figure.pick))
    };
    let size = group.runs.first().map(|run| run.model.model.size_bytes);
    vec![
        group.model.to_owned(),
        observed_bytes(size),
        pressure(group.pressure),
        group.axes.clone(),
        group.count(),
        group.show(Unit::Bytes, |run| {
            Some(run.record.memory.available_before_bytes? as f64)
        }),
        figure("time"),
        figure("tok/s"),
        figure("total read"),
        figure("unique"),
        figure("coverage"),
        figure("amplification"),
        figure("backward"),
    ]
}

/// Total against unique bytes, whole run and generation alone.
pub(super) fn amplification(text: &mut String, groups: &[Group<'_>]) {
    text.push_str("## I/O amplification\n\nTotal / unique bytes, each request counted once. It depends on tokens, threads, read-ahead and memory: compare only where these are the same.\n\n");
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let sectors = group
                .figures(|run| Some(run.model.reads.as_ref()?.unique_bytes as f64 / SECTOR_BYTES));
            vec![
                group.class.name().to_owned(),
                group.label(),
                group.count(),
                group.show(Unit::Factor, |run| run.model.reads.as_ref()?.amplification),
                group.show(Unit::Factor, |run| run.phase("load")?.amplification),
                of_generation(group),
                group.show(Unit::Factor, |run| run.model.reads.as_ref()?.reread_factor),
                unique_sectors(&sectors),
                group.show(Unit::Count, read_ahead),
            ]
        })
        .collect();
    table(
        text,
        &[
            "pressure",
            "cell",
            "runs",
            "whole run",
            "load",
            "generation",
            "total / size",
            "unique sectors",
            "read_ahead_kb",
        ],
        &rows,
    );
    text.push_str("Identical unique sectors in every run show that the same bytes were read, not that the method is right.\n\n");
}

fn of_generation(group: &Group<'_>) -> String {
    let read = group.figures(|run| Some(run.phase("generation")?.read_bytes? as f64));
    if !read.is_empty() && read.iter().all(|bytes| *bytes == 0.0) {
        return "nothing read".to_owned();
    }
    group.show(Unit::Factor, |run| run.phase("generation")?.amplification)
}

/// Of the first device of a run.
pub(super) fn read_ahead(run: &Traced<'_>) -> Option<f64> {
    Some(run.record.devices.first()?.read_ahead_kb? as f64)
}

fn unique_sectors(values: &[f64]) -> String {
    match values {
        [] => unobserved(),
        [only] => Unit::Count.show(*only),
        [first, others @ ..] if others.iter().all(|other| other == first) => {
            format!(
                "{}, identical in all {}",
                Unit::Count.show(*first),
                values.len()
            )
        }
        _ => Unit::Count.show_range(values),
    }
}

/// Which phase read which share of the model.
pub(super) fn coverage(text: &mut String, groups: &[Group<'_>]) {
    text.push_str("## Coverage by phase\n\nShare of the model's bytes that arrived at least once in the phase. A byte may be read in several phases, so the shares do not add up.\n\n");
    let phases: Vec<&str> = PHASES
        .into_iter()
        .filter(|name| {
            let mut runs = groups.iter().flat_map(|group| &group.runs);
            runs.any(|run| run.phase(name).is_some())
        })
        .collect();
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let mut row = vec![
                group.class.name().to_owned(),
                group.label(),
                group.count(),
                group.show(Unit::Share, |run| run.model.reads.as_ref()?.coverage),
            ];
            row.extend(phases.iter().map(|name| {
                let read = group.figures(|run| Some(run.phase(name)?.read_bytes? as f64));
                let share = group.show(Unit::Share, |run| run.phase(name)?.coverage);
                median(&read).map_or(share.clone(), |read| {
                    format!("{share}; read {}", bytes(read.round() as u64))
                })
            }));
            row
        })
        .collect();
    let named: Vec<String> = phases.iter().map(|name| name.replace('_', "-")).collect();
    let mut header = vec!["pressure", "cell", "runs", "whole run"];
    header.extend(named.iter().map(String::as_str));
    table(text, &header, &rows);
}
