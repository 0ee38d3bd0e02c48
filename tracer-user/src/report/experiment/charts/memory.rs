//! What a run got from the memory that it had.

use std::collections::BTreeSet;

use crate::{
    chart::{Axis, Chart, Dot, Ink, Mark, Point, Shape, Spread as ChartSpread},
    figures::Unit,
    report::{
        document::{Column, Document, Drawing, Table},
        experiment::{
            groups::{Group, MemoryClass, Traced, unsound},
            thresholds::ModelThreshold,
        },
    },
    schema::{ExperimentRecord, PlannedPressure},
    stats::{
        experiment::{bootstrap::median, summary::Spread, threshold::SizeFigures},
        formulas::quotient,
    },
    units::bytes,
};

use super::figures::{FIGURES, Figure, each_run, middle, nothing_of, summary};

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

/// Runs of one model under one kind of pressure that differ in nothing but its size.
struct Panel<'g, 'a> {
    class: MemoryClass,
    model: &'a str,
    axes: &'g str,
    groups: Vec<&'g Group<'a>>,
    /// The groups of all panels of this model under this kind of pressure: they have the same axes, so that panels can
    /// be compared.
    beside: Vec<&'g Group<'a>>,
    /// The same without pressure, where it was run.
    unpressed: Option<&'g Group<'a>>,
}

fn panels<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<Panel<'g, 'a>> {
    let mut panels: Vec<Panel<'g, 'a>> = Vec::new();
    for group in groups {
        let is_of =
            |panel: &Panel<'g, 'a>| (panel.class, panel.model) == (group.class, group.model);
        match panels
            .iter_mut()
            .find(|panel| is_of(panel) && panel.axes == group.axes)
        {
            Some(panel) => panel.groups.push(group),
            None => panels.push(Panel {
                class: group.class,
                model: group.model,
                axes: &group.axes,
                groups: vec![group],
                beside: Vec::new(),
                unpressed: groups.iter().find(|other| {
                    other.class == MemoryClass::Unpressed
                        && (other.model, &other.axes) == (group.model, &group.axes)
                }),
            }),
        }
    }
    panels.retain(|panel| sizes(panel).len() > 1);
    for at in 0..panels.len() {
        let (class, model) = (panels[at].class, panels[at].model);
        let own = panels
            .iter()
            .filter(|panel| (panel.class, panel.model) == (class, model));
        panels[at].beside = own.flat_map(|panel| panel.groups.clone()).collect();
    }
    panels
}

/// The sizes of memory of a panel's runs.
fn sizes(panel: &Panel<'_, '_>) -> BTreeSet<u64> {
    let groups = panel.groups.iter();
    groups
        .flat_map(|group| group.runs.iter().filter_map(|run| memory(group, run)))
        .map(|size| size as u64)
        .collect()
}

/// The charts of every kind of pressure, model and cell of which there are several sizes. Says whether there are any.
pub(super) fn write(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) -> bool {
    let panels = panels(groups);
    for (number, panel) in (1..).zip(&panels) {
        let mut heading = format!("{} {}", panel.model, panel.class.title());
        if !panel.axes.is_empty() {
            heading.push_str(&format!("; {}", panel.axes));
        }
        document.heading(2, heading);
        for figure in &FIGURES {
            if let Some(mut drawing) = against_memory(experiment, figure, panel, thresholds) {
                if number > 1 {
                    drawing.chart.name = format!("{}-{number}", drawing.chart.name);
                }
                document.drawing(drawing);
            } else {
                document.paragraph(nothing_of(figure, &panel.groups));
            }
        }
    }
    !panels.is_empty()
}

fn against_memory(
    experiment: &ExperimentRecord,
    figure: &Figure,
    panel: &Panel<'_, '_>,
    thresholds: &[ModelThreshold],
) -> Option<Drawing> {
    let (mut sound, mut doubtful) = (Vec::new(), Vec::new());
    let mut table = Table::new([
        Column::right("run"),
        Column::right("memory"),
        Column::right(figure.label),
        Column::left(""),
    ]);
    for group in &panel.groups {
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
    }
    let (x, most) = axes(panel, figure);
    if most <= 0.0 {
        return None;
    }
    let mut marks = of_threshold(panel, thresholds);
    marks.extend(compared(experiment, figure, panel));
    marks.extend(middles(experiment, figure, panel));
    marks.extend(each_run(sound, doubtful));
    Some(Drawing {
        chart: Chart {
            name: format!("{}-memory", figure.name),
            title: format!("{} against memory", figure.title),
            sees: figure.sees.into(),
            x,
            y: Axis::linear(figure.label, figure.unit, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

/// The axis of memory and the largest value, of all panels that are compared.
fn axes(panel: &Panel<'_, '_>, figure: &Figure) -> (Axis, f64) {
    let (mut least, mut largest, mut most) = (f64::INFINITY, 0.0_f64, 0.0_f64);
    for group in &panel.beside {
        for run in &group.runs {
            if let (Some(size), Some(value)) = (memory(group, run), (figure.pick)(run)) {
                least = least.min(size);
                largest = largest.max(size);
                most = most.max(value);
            }
        }
    }
    let room = (largest - least) * 0.05;
    (
        Axis::linear("memory", Unit::Bytes, least - room, largest + room),
        most,
    )
}

/// What the values are compared with: the same without pressure, and what a token needs.
fn compared(experiment: &ExperimentRecord, figure: &Figure, panel: &Panel<'_, '_>) -> Option<Mark> {
    if figure.name == "read" {
        let groups = panel.groups.iter();
        let needs: Vec<f64> = groups.flat_map(|group| group.figures(need)).collect();
        let need = median(&needs)?;
        return Some(Mark::Level {
            name: format!("what a token needs, {}", bytes(need as u64)),
            ink: Ink::Limit,
            at: need,
        });
    }
    let without = middle(panel.unpressed?, figure, experiment.seed)?;
    Some(Mark::Level {
        name: format!("without pressure, {}", figure.unit.show(without)),
        ink: Ink::Memory,
        at: without,
    })
}

/// The weights that a generated token uses, bytes: the mean over the run's steps.
fn need(run: &Traced<'_>) -> Option<f64> {
    let steps = run.model.tokens.iter().flatten();
    let needs: Option<Vec<u64>> = steps
        .filter(|step| step.phase == "generation")
        .map(|step| step.need_bytes)
        .collect();
    let needs = needs?;
    quotient(needs.iter().sum::<u64>() as f64, needs.len() as f64)
}

/// The medians of the groups, joined where each describes its runs, with their intervals.
fn middles(experiment: &ExperimentRecord, figure: &Figure, panel: &Panel<'_, '_>) -> Vec<Mark> {
    let mut points = Vec::new();
    let mut spreads = Vec::new();
    for group in &panel.groups {
        let sizes = group.figures(|run| memory(group, run));
        let Some(size) = median(&sizes) else {
            continue;
        };
        points.push(Point {
            x: size,
            y: middle(group, figure, experiment.seed),
        });
        spreads.extend(spread(experiment, figure, group, size));
    }
    points.sort_by(|one, other| one.x.total_cmp(&other.x));
    let mut marks = Vec::new();
    if points.iter().filter(|point| point.y.is_some()).count() > 2 {
        marks.push(Mark::Line {
            name: String::new(),
            ink: Ink::Other,
            shape: Shape::Straight,
            points,
        });
    }
    if !spreads.is_empty() {
        marks.push(Mark::Spreads {
            name: "median and its 95 % interval".into(),
            ink: Ink::Limit,
            spreads,
        });
    }
    marks
}

fn spread(
    experiment: &ExperimentRecord,
    figure: &Figure,
    group: &Group<'_>,
    size: f64,
) -> Option<ChartSpread> {
    let summary = summary(group, figure, experiment.seed)?;
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
fn of_threshold(panel: &Panel<'_, '_>, thresholds: &[ModelThreshold]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let own = thresholds.iter().find(|threshold| {
        panel
            .groups
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
    if let Some(onset) = onset {
        // Without a collapse that is sure: from the least memory with which a run did not collapse.
        let held = |size: &&SizeFigures| size.runs.iter().any(|run| !run.collapsed);
        let least_held = verdict.sizes.iter().rev().find(held);
        let from = collapse.or_else(|| least_held.map(|size| size.size_bytes));
        if let Some(from) = from.filter(|from| *from < onset) {
            marks.push(Mark::Band {
                name: "unstable: the same run can be fast or slow".into(),
                from: from as f64,
                to: onset as f64,
                ink: Some(Ink::Wait),
            });
        }
    }
    for (at, words, ink) in [
        (onset, "onset: enough from here on", Ink::Memory),
        (
            collapse,
            "collapse: every token reads its weights again",
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
