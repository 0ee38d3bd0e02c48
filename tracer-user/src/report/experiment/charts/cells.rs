//! Cells that differ in what else was varied: threads, load mode, the model, read-ahead.

use std::collections::BTreeSet;

use crate::{
    chart::{Axis, Chart, Dot, Ink, Mark, SpreadAcross},
    figures::Unit,
    report::{
        document::{Column, Document, Drawing, Table},
        experiment::{
            cells::varied,
            groups::{Group, MemoryClass, order, unsound},
            tables::spread,
        },
    },
    schema::{ExperimentRecord, PlannedPressure},
    stats::experiment::summary::Spread,
    units::{bytes, unobserved},
};

use super::figures::{FIGURES, Figure, each_run, nothing_of, summary};

/// The axis of a plan that sets the read-ahead.
const READ_AHEAD_AXIS: &str = "read_ahead";
/// Most cells in one chart.
const MOST: usize = 60;

/// One chart a figure and kind of pressure, each cell a row; left out where memory is all that was varied.
pub(super) fn write(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    drawn_against_memory: bool,
) {
    let axes = varied(experiment);
    let models: BTreeSet<&str> = groups.iter().map(|group| group.model).collect();
    let read_aheads: BTreeSet<u64> = groups
        .iter()
        .filter(|_| !axes.contains(&READ_AHEAD_AXIS))
        .filter_map(read_ahead_kb)
        .collect();
    if drawn_against_memory && axes.is_empty() && models.len() < 2 && read_aheads.len() < 2 {
        return;
    }
    let mut by = axes.clone();
    if models.len() > 1 {
        by.push("model");
    }
    if read_aheads.len() > 1 {
        by.push("read-ahead");
    }
    let mut number = 0;
    for class in MemoryClass::ALL {
        let mut own: Vec<&Group<'_>> = groups.iter().filter(|group| group.class == class).collect();
        if own.is_empty() {
            continue;
        }
        // Models stand together under each pressure here; the rest of their order stays.
        own.sort_by_key(|group| order(group.pressure));
        let left_out = own.len().saturating_sub(MOST);
        own.truncate(MOST);
        number += 1;
        let what = if by.is_empty() {
            "run by run".to_owned()
        } else {
            format!("by {}", by.join(" and "))
        };
        document.heading(2, format!("Compared {what}, {}", class.title()));
        let cells = Rows::of(experiment, &own);
        for figure in &FIGURES {
            if let Some(mut drawing) = rows(experiment, figure, &own, &cells, &what) {
                if number > 1 {
                    drawing.chart.name = format!("{}-{number}", drawing.chart.name);
                }
                document.drawing(drawing);
            } else {
                document.paragraph(nothing_of(figure, &own));
            }
        }
        if left_out > 0 {
            document.paragraph(format!(
                "{left_out} more cells are in the tables below: a chart has {MOST} rows at most."
            ));
        }
    }
}

/// What the kernel may read ahead on the group's disk, KiB, where all runs had the same.
fn read_ahead_kb(group: &Group<'_>) -> Option<u64> {
    let mut found = group.runs.iter().map(|run| {
        let mut devices = run.record.devices.iter();
        let device = devices.next()?;
        device.read_ahead_kb
    });
    let first = found.next()??;
    found.all(|other| other == Some(first)).then_some(first)
}

/// What tells a row from the others: its values, in the order of the label of the rows.
struct Rows {
    label: String,
    names: Vec<String>,
}

impl Rows {
    fn of(experiment: &ExperimentRecord, groups: &[&Group<'_>]) -> Self {
        type Name = fn(&Group<'_>) -> String;
        let mut parts: Vec<(String, Vec<String>)> = Vec::new();
        let mut part = |label: &str, name: &dyn Fn(&Group<'_>) -> String| {
            let names: Vec<String> = groups.iter().map(|group| name(group)).collect();
            if names.windows(2).any(|pair| pair[0] != pair[1]) {
                parts.push((label.to_owned(), names));
            }
        };
        let model: Name = |group| group.model.to_owned();
        part("model", &model);
        part("memory", &|group| size(group.pressure));
        for axis in varied(experiment) {
            part(axis, &|group| {
                let cell = group.runs.first().map(|run| &run.run.cell);
                let value = cell.and_then(|cell| cell.get(axis));
                value.map_or_else(String::new, |value| value.chars().take(24).collect())
            });
        }
        // Where the plan varies it, its own words stand there already.
        let by_record = !varied(experiment).contains(&READ_AHEAD_AXIS);
        part("read-ahead", &|group| {
            if !by_record {
                return String::new();
            }
            read_ahead_kb(group).map_or_else(unobserved, |size| Unit::Kibibytes.show(size as f64))
        });
        let label: Vec<&str> = parts.iter().map(|(label, _)| label.as_str()).collect();
        let names = (0..groups.len()).map(|row| {
            let values = parts.iter().filter_map(|(_, names)| names.get(row));
            let values: Vec<&str> = values.map(String::as_str).collect();
            if values.is_empty() {
                "all runs".to_owned()
            } else {
                values.join(" · ")
            }
        });
        Self {
            names: names.collect(),
            label: label.join(" · "),
        }
    }
}

/// How much memory was left or taken.
fn size(planned: PlannedPressure) -> String {
    match planned {
        PlannedPressure::None => "all".to_owned(),
        PlannedPressure::Lock(size) => format!("{} locked", bytes(size)),
        PlannedPressure::LeaveFree(size) | PlannedPressure::MemoryMax(size) => bytes(size),
    }
}

fn rows(
    experiment: &ExperimentRecord,
    figure: &Figure,
    groups: &[&Group<'_>],
    cells: &Rows,
    what: &str,
) -> Option<Drawing> {
    let (mut sound, mut doubtful, mut spreads) = (Vec::new(), Vec::new(), Vec::new());
    let mut table = Table::new([
        Column::left(cells.label.as_str()),
        Column::right("runs"),
        Column::right(figure.label),
        Column::right("every run"),
    ]);
    for (row, (group, name)) in groups.iter().zip(&cells.names).enumerate() {
        let mut values = Vec::new();
        for run in &group.runs {
            let Some(value) = (figure.pick)(run) else {
                continue;
            };
            values.push(value);
            let why = unsound(run.record);
            let note = why
                .as_ref()
                .map_or_else(String::new, |why| format!(" · not counted: {why}"));
            let dots = if why.is_some() {
                &mut doubtful
            } else {
                &mut sound
            };
            dots.push(Dot {
                x: value,
                y: row as f64,
                says: format!(
                    "{} · run {} · {}{note}",
                    group.name,
                    run.run.number,
                    figure.unit.show(value)
                ),
            });
        }
        let summary = summary(group, figure, experiment.seed);
        table.row([
            name.clone(),
            group.count(),
            summary.as_ref().map_or_else(
                || "not pooled".to_owned(),
                |summary| {
                    spread::of_values(
                        &summary.points,
                        spread::kind(figure.unit),
                        experiment.seed,
                        &|value| figure.unit.show(value),
                    )
                },
            ),
            figure.unit.show_all(&values),
        ]);
        if let Some(summary) = &summary
            && let (Some(middle), Spread::Interval { interval, .. }) =
                (summary.median, &summary.spread)
        {
            spreads.push(SpreadAcross {
                row,
                low: interval.low,
                middle,
                high: interval.high,
                says: format!(
                    "{} · median {} ({} – {})",
                    group.name,
                    figure.unit.show(middle),
                    figure.unit.show(interval.low),
                    figure.unit.show(interval.high)
                ),
            });
        }
    }
    let most = sound
        .iter()
        .chain(&doubtful)
        .map(|dot| dot.x)
        .reduce(f64::max)
        .filter(|most| *most > 0.0)?;
    let mut marks = Vec::new();
    marks.extend(each_run(sound, doubtful));
    if !spreads.is_empty() {
        marks.push(Mark::SpreadsAcross {
            name: "median and its 95 % interval".into(),
            ink: Ink::Limit,
            spreads,
        });
    }
    Some(Drawing {
        chart: Chart {
            name: format!("cells-{}", figure.name),
            title: format!("{} {what}", figure.title),
            sees: "Each row is one way of running it, each point a run. Rows whose points lie apart differ; rows whose points overlap do not, as far as these runs tell.".into(),
            x: Axis::linear(
                figure.label,
                figure.unit,
                // Room for half a point.
                -most * 0.02,
                most * 1.05,
            ),
            y: Axis::of_names(&cells.label, cells.names.clone()),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{
            document::{Document, html},
            experiment::{
                groups::groups,
                sample::{GIB, experiment, finished, with_record},
            },
        },
        schema::{ExperimentRunRecord, PlannedPressure},
    };

    use super::write;

    fn threads(threads: u64, pressure: PlannedPressure) -> ExperimentRunRecord {
        let mut run = with_record(finished("a.gguf", pressure), |record| {
            record.engine.tokens_per_s = Some(threads as f64 * 1.5);
        });
        run.cell.insert("threads".into(), threads.to_string());
        run
    }

    fn written(runs: Vec<ExperimentRunRecord>, drawn_against_memory: bool) -> String {
        let made = experiment(runs);
        let mut document = Document::default();
        write(&mut document, &made, &groups(&made), drawn_against_memory);
        html(&document)
    }

    #[test]
    fn each_cell_is_a_row_in_the_order_of_its_value() {
        let text = written(
            [2, 10, 1]
                .map(|count| threads(count, PlannedPressure::None))
                .to_vec(),
            false,
        );
        let at = |words: &str| {
            text.find(words)
                .unwrap_or_else(|| panic!("{words}: {text}"))
        };
        assert!(at("Tokens per second by threads") < at("threads = 2 · run 0 · 3.00"));
        assert!(at("<td class=\"l\">1</td>") < at("<td class=\"l\">2</td>"));
        assert!(at("<td class=\"l\">2</td>") < at("<td class=\"l\">10</td>"));
    }

    #[test]
    fn where_memory_is_all_that_was_varied_its_own_charts_say_it() {
        let of = |size| threads(1, PlannedPressure::MemoryMax(size));
        assert_eq!(written(vec![of(GIB), of(2 * GIB)], true), "");
        let slow = with_record(of(2 * GIB), |record| {
            record.devices[0].read_ahead_kb = Some(2560);
        });
        let text = written(vec![of(GIB), slow], true);
        assert!(
            text.contains("by read-ahead") && text.contains("2.00 GiB · 2,560 KiB"),
            "{text}"
        );
    }
}
