//! The experiment on the terminal: one line a cell.

use std::fmt::Write as _;

use comfy_table::{ContentArrangement, Table, presets};

use crate::{
    report::terminal::{DEFAULT_COLUMNS, NARROWEST_COLUMNS},
    schema::{ExperimentRecord, RunOutcome},
};

use super::{
    amounts::Unit,
    cells::{pressure, short},
    consistency::disagreeing,
    figures::FIGURES,
    groups::{MemoryClass, groups},
    setup::standing,
    thresholds::{lines, thresholds},
};

/// Figures of the terminal's table, by name.
const SHOWN: [&str; 5] = ["time", "tok/s", "total read", "coverage", "amplification"];

/// A summary in `columns` characters; `None` where the output is no terminal.
#[must_use]
pub fn experiment_terminal(experiment: &ExperimentRecord, columns: Option<u16>) -> String {
    let mut text = String::new();
    let groups = groups(experiment);
    // Writing to a String cannot fail.
    for class in MemoryClass::ALL {
        let mut table = Table::new();
        table
            .load_style(presets::UTF8_BORDERS_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(columns.unwrap_or(DEFAULT_COLUMNS).max(NARROWEST_COLUMNS));
        if columns.is_none() {
            table.force_no_tty();
        }
        let mut header = vec!["model", "pressure", "cell", "runs"];
        header.extend(SHOWN);
        header.push("read in generation");
        table.set_header(header);
        for group in groups.iter().filter(|group| group.class == class) {
            let mut row = vec![
                group.model.to_owned(),
                pressure(group.pressure),
                group.axes.clone(),
                group.count(),
            ];
            let shown = SHOWN.iter().filter_map(|name| {
                let figure = FIGURES.iter().find(|figure| figure.name == *name)?;
                Some(group.show(figure.unit, figure.pick))
            });
            row.extend(shown);
            row.push(group.show(Unit::Bytes, |run| {
                Some(run.phase("generation")?.read_bytes? as f64)
            }));
            table.add_row(row);
        }
        if !table.is_empty() {
            let _ = writeln!(text, "Runs {}:", class.title());
            let _ = writeln!(text, "{table}");
        }
    }
    for line in standing(experiment) {
        let _ = writeln!(text, "{line}");
    }
    for group in &groups {
        if let Err(why) = &group.pooled {
            let _ = writeln!(text, "{}: NOT POOLED: {why}.", group.label());
        }
        for run in disagreeing(group) {
            let beside = if run.beside.is_empty() {
                "nothing in its record differs".to_owned()
            } else {
                run.beside.join("; ")
            };
            let _ = writeln!(
                text,
                "Run {} disagrees with its siblings in {}; likely cause: {beside}.",
                run.run,
                run.figures.join(", ")
            );
        }
    }
    for run in experiment
        .runs
        .iter()
        .filter(|run| run.outcome == RunOutcome::Failed)
    {
        let model = run.cell.get("model").map_or("", |model| short(model));
        let why = run.failure.as_deref().unwrap_or("no reason is given");
        let _ = writeln!(
            text,
            "Run {} ({model}, {}) failed: {why}",
            run.number,
            pressure(run.pressure)
        );
    }
    for threshold in thresholds(experiment) {
        let _ = writeln!(text, "{} ({}):", threshold.label(), threshold.kind.size());
        for line in lines(&threshold) {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}
