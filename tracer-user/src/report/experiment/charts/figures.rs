//! The figures that are drawn of every run, and what a group's runs say of one together.

use crate::{
    chart::{Dot, Ink, Mark},
    figures::Unit,
    report::experiment::{
        groups::{Group, Traced},
        tables::spread::kind,
    },
    stats::{
        experiment::summary::{FigureSummary, Spread, summarise},
        formulas::quotient,
    },
    units::count,
};

/// A figure of a run.
pub(super) struct Figure {
    /// The chart's name against memory is this and `-memory`.
    pub name: &'static str,
    pub title: &'static str,
    /// What to see where it is drawn against memory.
    pub sees: &'static str,
    pub label: &'static str,
    pub unit: Unit,
    pub pick: fn(&Traced<'_>) -> Option<f64>,
}

pub(super) static FIGURES: [Figure; 3] = [
    Figure {
        name: "speed",
        title: "Tokens per second",
        sees: "Each point is a run. Where the points of one size lie far apart, the engine is unstable there: the same run can be fast or slow.",
        label: "tokens per second",
        unit: Unit::PerSecond,
        pick: |run| run.record.engine.tokens_per_s,
    },
    Figure {
        name: "read",
        title: "Read from the disk for each token",
        sees: "What a generated token read from the disk. From the onset on, to the right, it is next to nothing.",
        label: "bytes a token",
        unit: Unit::Bytes,
        pick: |run| {
            let phase = run.phase("generation")?;
            quotient(phase.read_bytes? as f64, phase.steps as f64)
        },
    },
    Figure {
        name: "stall",
        title: "Waiting for the disk",
        sees: "The share of the generation's time in which a thread of the engine stood still until bytes of the model came.",
        label: "share of the time",
        unit: Unit::Share,
        pick: |run| {
            let phase = run.phase("generation")?;
            quotient(phase.waits.stall_s?, phase.duration_s)
        },
    },
];

/// Why a figure of these groups is not drawn: no run has it, or it is 0 in all.
pub(super) fn nothing_of(figure: &Figure, groups: &[&Group<'_>]) -> String {
    let runs = groups.iter().flat_map(|group| &group.runs);
    let values = runs.filter_map(figure.pick).count();
    if values == 0 {
        return format!("{}: no run has this figure.", figure.title);
    }
    format!(
        "{}: {} in all {} runs.",
        figure.title,
        figure.unit.show(0.0),
        count(values as u64)
    )
}

/// A group's sound runs in this figure together; `None` where they may not be pooled.
pub(super) fn summary(group: &Group<'_>, figure: &Figure, seed: u64) -> Option<FigureSummary> {
    group.pooled.as_ref().ok()?;
    Some(summarise(
        &group.figures(figure.pick),
        kind(figure.unit),
        seed,
    ))
}

/// The median of a group's sound runs, where it describes them: they may be pooled, and do not lie in two modes.
pub(super) fn middle(group: &Group<'_>, figure: &Figure, seed: u64) -> Option<f64> {
    let summary = summary(group, figure, seed)?;
    if matches!(summary.spread, Spread::Modes(_)) {
        return None;
    }
    summary.median
}

/// Every run as a dot: those that count, and those that do not.
pub(super) fn each_run(sound: Vec<Dot>, doubtful: Vec<Dot>) -> impl Iterator<Item = Mark> {
    [
        ("a run", Ink::Read, sound),
        ("a run that is not counted", Ink::Other, doubtful),
    ]
    .into_iter()
    .filter(|(_, _, dots)| !dots.is_empty())
    .map(|(name, ink, dots)| Mark::Dots {
        name: name.into(),
        ink,
        dots,
    })
}
