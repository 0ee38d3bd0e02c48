//! 6. Are the gaps random enough to hurt an SSD?

use crate::{
    figures::{Figure, Unit, gaps::phase as gaps},
    report::experiment::{
        groups::{Group, Traced},
        tables::memory::resident_bytes,
    },
    schema::PhaseRecord,
    stats::{experiment::bootstrap::median, formulas::ratio},
};

use super::{missing::Missing, question::Answer};

/// Fewest reads of a generation whose order and latency are looked at.
const FEWEST_READS: u64 = 100;

fn generation<'a>(run: &Traced<'a>) -> Option<&'a PhaseRecord> {
    let phase = run.phase("generation")?;
    phase.reads.filter(|reads| *reads >= FEWEST_READS)?;
    Some(phase)
}

fn median_latency(phase: &PhaseRecord) -> Option<f64> {
    phase.latency_us.as_ref()?.p50
}

fn slow_latency(phase: &PhaseRecord) -> Option<f64> {
    phase.latency_us.as_ref()?.p99
}

fn mean_bytes(phase: &PhaseRecord) -> Option<f64> {
    ratio(phase.read_bytes?, phase.reads?)
}

pub(super) fn answer(groups: &[Group<'_>]) -> Answer {
    let used: Vec<&Group<'_>> = groups
        .iter()
        .filter(|group| group.sound().any(|run| generation(run).is_some()))
        .collect();
    let rows = used
        .iter()
        .map(|group| {
            let gap = |figure: &Figure<PhaseRecord>| {
                group.show(figure.unit, |run| figure.value(generation(run)?))
            };
            vec![
                group.class.name().to_owned(),
                group.label(),
                group.count(),
                group.show(Unit::Count, |run| Some(generation(run)?.reads? as f64)),
                gap(&gaps::SEQUENTIAL_SHARE),
                gap(&gaps::STREAM_SEQUENTIAL_SHARE),
                gap(&gaps::BACKWARD_SHARE),
                group.show(Unit::Bytes, |run| mean_bytes(generation(run)?)),
                group.show(Unit::Bytes, |run| mean_bytes(run.phase("load")?)),
                group.show(Unit::Microseconds, |run| median_latency(generation(run)?)),
                group.show(Unit::Microseconds, |run| median_latency(run.phase("load")?)),
                group.show(Unit::Microseconds, |run| slow_latency(generation(run)?)),
                group.show(Unit::Microseconds, |run| slow_latency(run.phase("load")?)),
                moving_parts(group),
            ]
        })
        .collect();
    Answer {
        question: "Are the gaps random enough to hurt an SSD?",
        claims: used.iter().filter_map(|group| claim(group)).collect(),
        limits: vec![
            "load and generation differ in the size of reads and in how many are in flight too, so a difference in latency is not the order's alone. What random reads of the same size and depth cost this device needs a measurement of the device itself, which no run is.".into(),
        ],
        header: vec![
            "pressure", "cell", "runs", "reads in generation", "sequential", "in its stream",
            "backward", "mean read", "mean read, load", "p50", "p50, load", "p99", "p99, load", "moving parts",
        ],
        rows,
        missing: missing(groups, &used),
    }
}

fn moving_parts(group: &Group<'_>) -> String {
    let mut said: Vec<&str> = group
        .runs
        .iter()
        .flat_map(|run| &run.record.devices)
        .map(|device| match device.rotational {
            Some(true) => "yes",
            Some(false) => "no",
            None => "not observed",
        })
        .collect();
    said.sort_unstable();
    said.dedup();
    said.join(", ")
}

fn claim(group: &Group<'_>) -> Option<String> {
    let middle = |pick: &dyn Fn(&Traced<'_>) -> Option<f64>| median(&group.figures(pick));
    let gap = |figure: &Figure<PhaseRecord>| middle(&|run| figure.value(generation(run)?));
    let (sequential, backward) = (gap(&gaps::SEQUENTIAL_SHARE)?, gap(&gaps::BACKWARD_SHARE)?);
    let stream = gap(&gaps::STREAM_SEQUENTIAL_SHARE);
    let latency = match (
        middle(&|run| median_latency(generation(run)?)),
        middle(&|run| median_latency(run.phase("load")?)),
    ) {
        (Some(generation), Some(load)) if load > 0.0 => format!(
            "; the median read took {}, in the load {} ({})",
            Unit::Microseconds.show(generation),
            Unit::Microseconds.show(load),
            Unit::Factor.show(generation / load)
        ),
        _ => "; latencies of both phases are not known".to_owned(),
    };
    Some(format!(
        "{}, generation alone: {} of the reads follow the one before them, {} go backward{}{latency}.",
        group.label(),
        Unit::Share.show(sequential),
        Unit::Share.show(backward),
        stream.map_or_else(String::new, |stream| format!(
            ", and {} continue one of the last 32",
            Unit::Share.show(stream)
        )),
    ))
}

/// Models whose generation read too little to have an order.
fn missing(groups: &[Group<'_>], used: &[&Group<'_>]) -> Vec<Missing> {
    let model = |group: &Group<'_>| group.runs.first()?.run.cell.get("model").cloned();
    let seen: Vec<String> = used.iter().filter_map(|group| model(group)).collect();
    let mut missing: Vec<Missing> = Vec::new();
    for group in groups {
        let (Some(name), Some(run)) = (model(group), group.runs.first()) else {
            continue;
        };
        let asked = |it: &Missing| {
            it.axes
                .iter()
                .any(|(_, values)| values.first() == Some(&name))
        };
        if seen.contains(&name) || missing.iter().any(asked) {
            continue;
        }
        let needed = resident_bytes(run).map_or(run.model.model.size_bytes, |bytes| bytes as u64);
        let sizes = [7, 5].map(|eighths| format!("memory-max={}", needed / 8 * eighths));
        missing.push(Missing {
            why: format!(
                "runs of {} whose generation makes at least {FEWEST_READS} reads (less memory than it needs)",
                group.model
            ),
            template: "seeks",
            repetitions: 3,
            axes: vec![("model".into(), vec![name]), ("pressure".into(), sizes.into())],
        });
    }
    if groups.is_empty() {
        missing.push(Missing {
            why: "runs whose generation reads".into(),
            template: "seeks",
            repetitions: 3,
            axes: Vec::new(),
        });
    }
    missing
}
