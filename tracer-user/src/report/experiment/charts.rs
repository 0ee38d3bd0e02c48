//! An experiment's charts: what a run got from the memory that it had, every run a point.

use std::collections::BTreeSet;

use crate::{
    chart::{Axis, Chart, Dot, Ink, Mark, Spread as ChartSpread},
    figures::Unit,
    report::document::{Column, Document, Drawing, Table},
    schema::{ExperimentRecord, PlannedPressure},
    stats::{
        experiment::summary::{Spread, summarise},
        formulas::quotient,
    },
    units::bytes,
};

use super::{
    groups::{Group, MemoryClass, Traced, unsound},
    tables::spread::kind,
    thresholds::ModelThreshold,
};

/// A figure that is drawn against memory.
struct Figure {
    name: &'static str,
    title: &'static str,
    sees: &'static str,
    label: &'static str,
    unit: Unit,
    pick: fn(&Traced<'_>) -> Option<f64>,
}

const FIGURES: [Figure; 3] = [
    Figure {
        name: "speed-memory",
        title: "Tokens per second against memory",
        sees: "Each point is a run. Where the points of one size lie far apart, the engine is unstable there: the same run can be fast or slow.",
        label: "tokens per second",
        unit: Unit::PerSecond,
        pick: |run| run.record.engine.tokens_per_s,
    },
    Figure {
        name: "read-memory",
        title: "Read for each token against memory",
        sees: "What a generated token read from the disk. From the onset on, to the right, nothing is read any more.",
        label: "bytes a token",
        unit: Unit::Bytes,
        pick: |run| {
            let phase = run.phase("generation")?;
            quotient(phase.read_bytes? as f64, phase.steps as f64)
        },
    },
    Figure {
        name: "stall-memory",
        title: "Waiting for the disk against memory",
        sees: "The share of the generation's time in which a thread of the engine stood still until bytes of the model came.",
        label: "share of the time",
        unit: Unit::Share,
        pick: |run| {
            let phase = run.phase("generation")?;
            quotient(phase.waits.stall_s?, phase.duration_s)
        },
    },
];

/// The memory that a run had, bytes.
fn memory(group: &Group<'_>, run: &Traced<'_>) -> Option<f64> {
    match group.pressure {
        PlannedPressure::None => None,
        PlannedPressure::LeaveFree(size) | PlannedPressure::MemoryMax(size) => Some(size as f64),
        PlannedPressure::Lock(_) => run
            .record
            .memory
            .available_before_bytes
            .map(|size| size as f64),
    }
}

/// The charts of every kind of pressure, model and cell of which there are several sizes.
pub(super) fn charts(
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) -> Document {
    let mut document = Document::default();
    let kinds: BTreeSet<(MemoryClass, &str, &str)> = groups
        .iter()
        .map(|group| (group.class, group.model, group.axes.as_str()))
        .collect();
    let mut number = 0;
    for (class, model, axes) in kinds {
        let own: Vec<&Group<'_>> = groups
            .iter()
            .filter(|group| (group.class, group.model, group.axes.as_str()) == (class, model, axes))
            .collect();
        let sizes: BTreeSet<u64> = own
            .iter()
            .flat_map(|group| group.runs.iter().filter_map(|run| memory(group, run)))
            .map(|size| size as u64)
            .collect();
        if sizes.len() < 2 {
            continue;
        }
        number += 1;
        let mut heading = format!("{model} {}", class.title());
        if !axes.is_empty() {
            heading.push_str(&format!("; {axes}"));
        }
        document.heading(2, heading);
        for figure in &FIGURES {
            if let Some(mut drawing) = against_memory(experiment, figure, &own, thresholds) {
                if number > 1 {
                    drawing.chart.name = format!("{}-{number}", drawing.chart.name);
                }
                document.drawing(drawing);
            } else {
                document.paragraph(format!(
                    "Not shown: {}: no run has this figure.",
                    figure.title
                ));
            }
        }
    }
    if document.is_empty() {
        document.paragraph("No chart: in no cell was memory of two sizes given to a model. The tables below compare the cells.");
    }
    document
}

fn against_memory(
    experiment: &ExperimentRecord,
    figure: &Figure,
    groups: &[&Group<'_>],
    thresholds: &[ModelThreshold],
) -> Option<Drawing> {
    let (mut sound, mut doubtful, mut spreads) = (Vec::new(), Vec::new(), Vec::new());
    let mut table = Table::new([
        Column::right("run"),
        Column::right("memory"),
        Column::right(figure.label),
        Column::left(""),
    ]);
    for group in groups {
        for run in &group.runs {
            let (Some(size), Some(value)) = (memory(group, run), (figure.pick)(run)) else {
                continue;
            };
            let why = unsound(run.record);
            let note = why
                .as_ref()
                .map_or_else(String::new, |why| format!(" · not counted: {why}"));
            let says = format!(
                "run {} · {} · {}{note}",
                run.run.number,
                bytes(size as u64),
                figure.unit.show(value)
            );
            table.row([
                run.run.number.to_string(),
                bytes(size as u64),
                figure.unit.show(value),
                why.clone().unwrap_or_default(),
            ]);
            let dots = if why.is_some() {
                &mut doubtful
            } else {
                &mut sound
            };
            dots.push(Dot {
                x: size,
                y: value,
                says,
            });
        }
        spreads.extend(spread(experiment, figure, group));
    }
    let all = || sound.iter().chain(&doubtful);
    let least = all().map(|dot| dot.x).fold(f64::INFINITY, f64::min);
    let largest = all().map(|dot| dot.x).fold(0.0, f64::max);
    let most = all().map(|dot| dot.y).fold(0.0, f64::max);
    all().next()?;
    let room = (largest - least) * 0.05;
    let mut marks = of_threshold(groups, thresholds);
    for (name, ink, dots) in [
        ("a run", Ink::Read, sound),
        ("a run that is not counted", Ink::Other, doubtful),
    ] {
        if !dots.is_empty() {
            marks.push(Mark::Dots {
                name: name.into(),
                ink,
                dots,
            });
        }
    }
    if !spreads.is_empty() {
        marks.push(Mark::Spreads {
            name: "median and its 95 % interval".into(),
            ink: Ink::Limit,
            spreads,
        });
    }
    Some(Drawing {
        chart: Chart {
            name: figure.name.into(),
            title: figure.title.into(),
            sees: figure.sees.into(),
            x: Axis::linear("memory", Unit::Bytes, least - room, largest + room),
            y: Axis::linear(
                figure.label,
                figure.unit,
                0.0,
                if most > 0.0 { most * 1.08 } else { 1.0 },
            ),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

/// The median of a group's sound runs with its interval, where they may be pooled and do not lie in two modes.
fn spread(
    experiment: &ExperimentRecord,
    figure: &Figure,
    group: &Group<'_>,
) -> Option<ChartSpread> {
    if group.pooled.is_err() {
        return None;
    }
    let sizes = group.figures(|run| memory(group, run));
    let size = crate::stats::experiment::bootstrap::median(&sizes)?;
    let summary = summarise(
        &group.figures(figure.pick),
        kind(figure.unit),
        experiment.seed,
    );
    let middle = summary.median?;
    let Spread::Interval { interval, .. } = &summary.spread else {
        return None;
    };
    Some(ChartSpread {
        x: size,
        low: interval.low,
        middle,
        high: interval.high,
        says: format!(
            "{} · median {} ({} – {})",
            bytes(size as u64),
            figure.unit.show(middle),
            figure.unit.show(interval.low),
            figure.unit.show(interval.high)
        ),
    })
}

/// Where the steps stop reading, where all of them read, and what lies between.
fn of_threshold(groups: &[&Group<'_>], thresholds: &[ModelThreshold]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let own = thresholds.iter().find(|threshold| {
        groups
            .iter()
            .any(|group| threshold.size_of(group).is_some())
    });
    let Some(verdict) = own.map(|threshold| &threshold.verdict) else {
        return marks;
    };
    let onset = verdict.onset.as_ref().ok().map(|onset| onset.size_bytes);
    let collapse = verdict
        .collapse
        .as_ref()
        .ok()
        .map(|collapse| collapse.size_bytes);
    if let (Some(onset), Some(band)) = (onset, &verdict.band) {
        let from = collapse.or_else(|| band.sizes_bytes.first().copied());
        if let Some(from) = from.filter(|from| *from < onset) {
            marks.push(Mark::Band {
                name: "unstable".into(),
                from: from as f64,
                to: onset as f64,
                ink: Some(Ink::Wait),
            });
        }
    }
    for (at, words, ink) in [
        (onset, "onset: from here on nothing is read", Ink::Limit),
        (
            collapse,
            "collapse: up to here everything is read again",
            Ink::Again,
        ),
    ] {
        if let Some(at) = at {
            marks.push(Mark::Upright {
                name: format!("{words}, {}", bytes(at)),
                ink,
                at: at as f64,
            });
        }
    }
    marks
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{
            document::html,
            experiment::{
                experiment_page,
                groups::groups,
                sample::{GIB, experiment, finished},
                thresholds::thresholds,
            },
        },
        schema::PlannedPressure,
    };

    use super::charts;

    #[test]
    fn every_run_is_a_point_and_one_size_is_no_chart() {
        let of = |sizes: &[u64]| {
            experiment(
                sizes
                    .iter()
                    .map(|size| finished("a.gguf", PlannedPressure::MemoryMax(*size)))
                    .collect(),
            )
        };
        let made = of(&[GIB, GIB, 2 * GIB, 3 * GIB]);
        let document = charts(&made, &groups(&made), &thresholds(&made));
        let written = html(&document);
        for number in 0..4 {
            assert!(
                written.contains(&format!("run {number} · ")),
                "{number}: {written}"
            );
        }
        assert!(experiment_page(&made).contains("id=\"speed-memory\""));
        let made = of(&[GIB, GIB]);
        assert!(html(&charts(&made, &groups(&made), &thresholds(&made))).contains("No chart"));
    }
}
