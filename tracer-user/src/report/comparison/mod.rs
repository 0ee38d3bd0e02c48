//! Runs and experiments side by side: what changed, how sure that is, and what cannot be compared and why.
//!
//! Which figures there are, what they are called and how they are taken from a record, is the catalogue's
//! ([`AcrossRuns`]). Here is decided whether two values of one are of the same thing (`sameness`), how far they lie apart
//! (`change`), and which runs belong together (`columns`).

mod change;
mod charts;
mod columns;
mod condition;
mod document;
mod record;
mod sameness;
mod settings;
#[cfg(test)]
mod tests;

use crate::figures::AcrossRuns;

use columns::{Beside, ColumnRuns, side_by_side};

pub use columns::{Compared, Side};
pub use condition::{Condition, Judgement, UnknownCondition};
pub use document::{comparison_markdown, comparison_page, comparison_terminal};
pub use record::{
    COMPARISON_SCHEMA_VERSION, Certainty, Change, ColumnValues, ComparedColumn, ComparedFigure,
    ComparedTable, Comparison, Setting,
};

/// Puts the sides beside each other.
#[must_use]
pub fn compare(sides: &[Side]) -> Comparison {
    let (tables, left_out) = side_by_side(sides);
    Comparison {
        schema_version: COMPARISON_SCHEMA_VERSION,
        tables: tables.iter().map(table).collect(),
        left_out,
    }
}

fn table(beside: &Beside<'_>) -> ComparedTable {
    let columns: Vec<ComparedColumn> = (0..)
        .zip(&beside.columns)
        .map(|(at, column)| ComparedColumn {
            letter: letter(at),
            name: column.name.clone(),
            runs: column.runs.len() as u64,
            command: column
                .runs
                .first()
                .map(|run| run.record.command.clone())
                .unwrap_or_default(),
        })
        .collect();
    ComparedTable {
        title: beside.title.clone(),
        settings: settings::settings(&beside.columns),
        cautions: settings::cautions(&beside.columns, &columns),
        figures: AcrossRuns::all()
            .iter()
            .filter_map(|figure| compared(&beside.columns, &columns, figure))
            .collect(),
        columns,
    }
}

/// A figure, where at least one column has it.
fn compared(
    columns: &[ColumnRuns<'_>],
    named: &[ComparedColumn],
    figure: &AcrossRuns,
) -> Option<ComparedFigure> {
    let seen = |column: &ColumnRuns<'_>| {
        let mut runs = column.runs.iter();
        runs.any(|run| figure.value(run.record, run.model).is_some())
    };
    if !columns.iter().any(seen) {
        return None;
    }
    let (first, others) = columns.split_first()?;
    let first_letter = named.first()?.letter.as_str();
    Some(ComparedFigure {
        name: figure.name(),
        label: figure.label(),
        unit: figure.unit().name(),
        values: columns
            .iter()
            .map(|column| change::column_values(column, figure))
            .collect(),
        changes: others
            .iter()
            .zip(named.iter().skip(1))
            .map(|(other, named)| {
                change::change(first, other, [first_letter, &named.letter], figure)
            })
            .collect(),
    })
}

/// `A` to `Z`, then `A1`, …
fn letter(at: u32) -> String {
    let letter = char::from_u32(u32::from('A') + at % 26).unwrap_or('?');
    if at < 26 {
        letter.to_string()
    } else {
        format!("{letter}{}", at / 26)
    }
}
