//! A run as a document: what happened and whether it can be trusted, the results, the phases, what was read again; then
//! the details. The terminal shows the first part, Markdown all of it.

mod charts;
mod details;
mod engine_metrics;
mod experts;
mod machine;
mod names;
mod phases;
mod pieces;
mod requests;
mod results;
mod steps;
mod verdict;

use crate::{
    advice,
    chart::Chart,
    figures::{InRun, selections::TILES},
    schema::RunRecord,
};

use super::{
    document::{self, Document, Text},
    page::{self, Page},
};

pub use charts::{ChartSources, TimeWindow};
pub use verdict::{Verdict, verdict};

/// The run's first screen in lines of at most `columns` characters; `None` where the output is no terminal.
#[must_use]
pub fn terminal(record: &RunRecord, columns: Option<u16>) -> String {
    document::terminal(&first_screen(record), columns)
}

#[must_use]
pub fn markdown(record: &RunRecord) -> String {
    let mut document = first_screen(record);
    details::write(&mut document, record);
    document::markdown(&document)
}

/// The run as a page of its own: what happened, the charts, and all of the report behind a fold.
#[must_use]
pub fn run_page(record: &RunRecord, sources: ChartSources<'_>) -> String {
    let mut first = Document::default();
    begin(&mut first, record);
    let results = record.all_models().map(|model| {
        let figures = TILES
            .iter()
            .filter(|figure| figure.value(record, model).is_some());
        let figures = figures.map(|figure| (figure.label().to_owned(), figure.show(record, model)));
        (
            names::short(&model.model.path).to_owned(),
            figures.collect(),
        )
    });
    let mut details = tables(record);
    details::write(&mut details, record);
    page::page(&Page {
        title: title(record),
        first,
        results: results.collect(),
        meanings: meanings(record),
        charts: charts::document(record, sources),
        details,
    })
}

/// What each figure on a tile means.
fn meanings(record: &RunRecord) -> Document {
    let is_shown = |figure: &&InRun| {
        let mut models = record.all_models();
        models.any(|model| figure.value(record, model).is_some())
    };
    let mut document = Document::default();
    document.list(TILES.iter().filter(is_shown).map(|figure| {
        Text::default()
            .strong(figure.label())
            .joined(Text::with_code(&format!(": {}", figure.meaning())))
    }));
    document
}

/// The run's charts, and why others are missing.
pub fn run_charts(record: &RunRecord, sources: ChartSources<'_>) -> (Vec<Chart>, Vec<String>) {
    let (mut drawn, mut left_out) = (Vec::new(), Vec::new());
    let all = charts::charts(record, sources);
    for chart in all
        .into_iter()
        .flat_map(|charts| charts.groups)
        .flat_map(|(_, charts)| charts)
    {
        match chart {
            Ok(drawing) => drawn.push(drawing.chart),
            Err(why) => left_out.push(why),
        }
    }
    (drawn, left_out)
}

fn title(record: &RunRecord) -> String {
    let command = record.command.join(" ");
    if !record.partial {
        return format!("Run of {command}");
    }
    // Said before any sentence that would else be taken for one about the whole run.
    match &record.partial_reason {
        Some(reason) => format!("Part of a run ({reason}): {command}"),
        None => format!("Part of a run: {command}"),
    }
}

/// What the run says of storage, and whether it can be trusted.
fn begin(document: &mut Document, record: &RunRecord) {
    document.heading(1, title(record));
    for sentence in advice::verdict(&advice::explain(record, None)) {
        document.paragraph(Text::strong_with_code(&sentence));
    }
    verdict(record).write(document);
}

fn first_screen(record: &RunRecord) -> Document {
    let mut document = Document::default();
    begin(&mut document, record);
    document.append(tables(record));
    document
}

/// The results, the phases, what was read again.
fn tables(record: &RunRecord) -> Document {
    let mut document = Document::default();
    results::write(&mut document, record);
    for model in record.all_models() {
        phases::first(&mut document, record, model);
        pieces::by_kind(&mut document, record, model);
    }
    document
}

#[cfg(test)]
mod tests;
