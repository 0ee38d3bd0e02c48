//! A run as a document: what happened and whether it can be trusted, the results, the phases, what was read again; then
//! the details. The terminal shows the first part, Markdown all of it.

mod details;
mod experts;
mod machine;
mod names;
mod phases;
mod pieces;
mod requests;
mod results;
mod steps;
mod verdict;

use crate::{advice, schema::RunRecord};

use super::document::{self, Document, Text};

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

fn first_screen(record: &RunRecord) -> Document {
    let mut document = Document::default();
    document.heading(1, format!("Run of {}", record.command.join(" ")));
    for sentence in advice::verdict(&advice::explain(record, None)) {
        document.paragraph(Text::default().strong(sentence));
    }
    verdict(record).write(&mut document);
    results::write(&mut document, record);
    for model in record.all_models() {
        phases::first(&mut document, record, model);
        pieces::by_kind(&mut document, record, model);
    }
    document
}

#[cfg(test)]
mod tests;
