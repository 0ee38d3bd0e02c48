//! A comparison as a document.

use crate::{
    figures::{AcrossRuns, Unit},
    report::{
        document::{self, Column, Document, Table, Text, Tone},
        experiment::tables::spread,
        page::{Page, page},
    },
    stats::experiment::bootstrap::{CONFIDENCE, FEWEST_VALUES},
    units::unobserved,
};

use super::{
    Side,
    charts::charts,
    record::{Certainty, Change, ColumnValues, ComparedFigure, ComparedTable, Comparison},
};

/// The seed of a spread's interval, where one cell shows it.
const SEED: u64 = 1;
const NOT_COMPARED: &str = "not compared";

/// What changed at first sight and in the phases, in lines of at most `columns` characters; `None` where the output is no
/// terminal.
#[must_use]
pub fn comparison_terminal(comparison: &Comparison, columns: Option<u16>) -> String {
    let mut document = Document::default();
    document.heading(1, title(comparison));
    left_out(&mut document, comparison);
    for table in &comparison.tables {
        begin(&mut document, table);
        // The others are named below, each with its reason.
        phases(
            &mut document,
            table,
            &compared_anywhere(table, AcrossRuns::first_of_phases()),
        );
        not_compared(&mut document, table);
    }
    document::terminal(&document, columns)
}

/// All of it.
#[must_use]
pub fn comparison_markdown(comparison: &Comparison) -> String {
    let mut document = Document::default();
    document.heading(1, title(comparison));
    left_out(&mut document, comparison);
    for table in &comparison.tables {
        begin(&mut document, table);
        rest(&mut document, table);
    }
    document::markdown(&document)
}

/// All of it as a page of its own, with the courses of the runs over each other.
#[must_use]
pub fn comparison_page(comparison: &Comparison, sides: &[Side]) -> String {
    let (mut first, mut details) = (Document::default(), Document::default());
    first.heading(1, title(comparison));
    left_out(&mut first, comparison);
    for table in &comparison.tables {
        begin(&mut first, table);
        rest(&mut details, table);
    }
    page(&Page {
        title: title(comparison),
        first,
        results: Vec::new(),
        charts: charts(sides),
        meanings: Document::default(),
        details,
    })
}

fn title(comparison: &Comparison) -> String {
    let mut names: Vec<&str> = Vec::new();
    for column in comparison.tables.iter().flat_map(|table| &table.columns) {
        if !names.contains(&column.name.as_str()) {
            names.push(&column.name);
        }
    }
    if names.is_empty() {
        "Nothing to compare".to_owned()
    } else {
        format!("Comparison of {}", names.join(", "))
    }
}

fn left_out(document: &mut Document, comparison: &Comparison) {
    for why in &comparison.left_out {
        document.note(Tone::Caution, why);
    }
}

/// What the columns are, what was not the same from the beginning, and what changed at first sight.
fn begin(document: &mut Document, table: &ComparedTable) {
    if !table.title.is_empty() {
        document.heading(2, &table.title);
    }
    let mut columns = Table::new([
        Column::left(""),
        Column::left("from"),
        Column::right("runs"),
        Column::left("command"),
    ]);
    for column in &table.columns {
        columns.row([
            column.letter.clone(),
            column.name.clone(),
            column.runs.to_string(),
            column.command.join(" "),
        ]);
    }
    document.table(columns);
    for caution in &table.cautions {
        document.note(Tone::Caution, caution);
    }
    document.heading(3, "What was not the same before");
    if table.settings.is_empty() {
        document.paragraph("Nothing that the records tell.");
    } else {
        let letters = table.columns.iter().map(|column| column.letter.as_str());
        let mut settings = Table::new(std::iter::once("setting").chain(letters).map(Column::left));
        for setting in &table.settings {
            settings.row(
                std::iter::once(&setting.what)
                    .chain(&setting.values)
                    .cloned(),
            );
        }
        document.table(settings);
    }
    document.heading(3, "What changed");
    let first = AcrossRuns::first();
    document.table(figures(table, &first).captioned(explanation(table)));
}

/// Phases, all other figures, and what is not compared.
fn rest(document: &mut Document, table: &ComparedTable) {
    phases(document, table, &AcrossRuns::of_phases());
    let details = figures(table, &AcrossRuns::details());
    if !details.is_empty() {
        document.heading(3, "Other figures");
        document.table(details);
    }
    not_compared(document, table);
}

/// Those of the figures that at least one column is compared in.
fn compared_anywhere(table: &ComparedTable, figures: Vec<AcrossRuns>) -> Vec<AcrossRuns> {
    let compared = |figure: &ComparedFigure| {
        let mut changes = figure.changes.iter();
        changes.any(|change| matches!(change, Change::Compared { .. }))
    };
    let known = |figure: &AcrossRuns| table.figures.iter().find(|own| own.name == figure.name());
    figures
        .into_iter()
        .filter(|figure| known(figure).is_some_and(compared))
        .collect()
}

fn phases(document: &mut Document, table: &ComparedTable, shown: &[AcrossRuns]) {
    let phases = figures(table, shown);
    if !phases.is_empty() {
        document.heading(3, "Phases");
        document.table(phases);
    }
}

/// How a change is to be read.
fn explanation(table: &ComparedTable) -> Text {
    if table.columns.iter().any(|column| column.runs <= 1) {
        return Text::plain(
            "One run on a side: nothing here says how far two runs of the same lie apart. ",
        )
        .code("tracer experiment")
        .then(" repeats them.");
    }
    Text::plain(format!(
        "Medians. A change has its {:.0} % interval where both sides have at least {FEWEST_VALUES} runs; where that holds no change at all, it is called not clear.",
        CONFIDENCE * 100.0
    ))
}

fn figures(table: &ComparedTable, shown: &[AcrossRuns]) -> Table {
    let mut headings = vec![Column::left("figure")];
    for (at, column) in table.columns.iter().enumerate() {
        headings.push(Column::right(&column.letter));
        if at > 0 {
            let first = table.columns.first().map_or("", |first| &first.letter);
            headings.push(Column::right(format!("{} against {first}", column.letter)));
        }
    }
    let rows = shown.iter().filter_map(|known| {
        let figure = table
            .figures
            .iter()
            .find(|figure| figure.name == known.name())?;
        Some(row(figure, known.unit()))
    });
    Table::new(headings).with_rows(rows)
}

fn row(figure: &ComparedFigure, unit: Unit) -> Vec<String> {
    let mut row = vec![figure.label.clone()];
    for (at, values) in figure.values.iter().enumerate() {
        row.push(value(values, unit));
        if let Some(before) = at.checked_sub(1) {
            row.push(
                figure
                    .changes
                    .get(before)
                    .map_or_else(String::new, |own| change(own, unit)),
            );
        }
    }
    row
}

fn value(values: &ColumnValues, unit: Unit) -> String {
    if values.values.is_empty() && values.incomplete > 0 {
        "incomplete".to_owned()
    } else if values.values.is_empty() {
        unobserved()
    } else if values.median.is_none() {
        format!("{} (not pooled)", unit.show_range(&values.values))
    } else {
        spread::of_values(&values.values, spread::kind(unit), SEED, &|value| {
            unit.show(value)
        })
    }
}

fn change(change: &Change, unit: Unit) -> String {
    let Change::Compared {
        difference,
        relative,
        interval,
        certainty,
    } = change
    else {
        return NOT_COMPARED.to_owned();
    };
    if *certainty == Certainty::Same {
        return "the same".to_owned();
    }
    // The first column's value, of which the change is a part.
    let base = relative
        .filter(|relative| unit != Unit::Share && *relative != 0.0)
        .map(|relative| difference / relative);
    let show = |value: f64| match base {
        Some(base) => format!("{:+.1} %", value / base * 100.0).replace('-', "−"),
        None => unit.show_difference(value),
    };
    let about = interval.map(|[low, high]| format!("{} – {}", show(low), show(high)));
    match (certainty, about) {
        (Certainty::Clear, Some(about)) => format!("{} ({about})", show(*difference)),
        (Certainty::NotClear, Some(about)) => {
            format!("{} ({about}, not clear)", show(*difference))
        }
        (Certainty::Apart, _) => format!("{} (all runs apart)", show(*difference)),
        (Certainty::Mixed, _) => format!("{} (runs overlap)", show(*difference)),
        _ => show(*difference),
    }
}

/// Each reason once, with the figures that it holds of.
fn not_compared(document: &mut Document, table: &ComparedTable) {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for figure in &table.figures {
        for (change, column) in figure.changes.iter().zip(table.columns.iter().skip(1)) {
            let Change::NotCompared { why } = change else {
                continue;
            };
            let why = if table.columns.len() > 2 {
                format!("{}: {why}", column.letter)
            } else {
                why.clone()
            };
            match reasons.iter_mut().find(|(known, _)| *known == why) {
                Some((_, figures)) => figures.push(&figure.label),
                None => reasons.push((why, vec![&figure.label])),
            }
        }
    }
    if reasons.is_empty() {
        return;
    }
    document.heading(3, "Not compared, and why");
    document.list(
        reasons
            .into_iter()
            .map(|(why, figures)| format!("{why}. So not: {}.", figures.join(", "))),
    );
}
