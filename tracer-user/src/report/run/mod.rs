//! A run as a document: what happened and whether it can be trusted, the results, the phases, what was read again; then
//! the details. The terminal shows the first part, Markdown all of it.

mod details;
mod experts;
mod machine;
mod phases;
mod pieces;
mod results;
mod steps;
mod verdict;

use crate::schema::{ModelRecord, RunRecord};

use super::document::{self, Document};

pub use verdict::{Verdict, verdict};

/// The run's first screen in lines of at most `columns` characters; `None` where the output is no terminal.
#[must_use]
pub fn terminal(record: &RunRecord, columns: Option<u16>) -> String {
    document::terminal(&first_screen(record), columns)
}

/// The whole report.
#[must_use]
pub fn markdown(record: &RunRecord) -> String {
    let mut document = first_screen(record);
    details::write(&mut document, record);
    document::markdown(&document)
}

/// What matters first.
fn first_screen(record: &RunRecord) -> Document {
    let mut document = Document::default();
    document.heading(1, format!("Run of {}", record.command.join(" ")));
    verdict(record).write(&mut document);
    results::write(&mut document, record);
    for model in record.all_models() {
        phases::first(&mut document, record, model);
        pieces::by_kind(&mut document, record, model);
    }
    document
}

/// The last part of a path, by which a person knows a model.
fn short(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A heading, with the model's name where the run had several.
fn titled(record: &RunRecord, model: &ModelRecord, title: &str) -> String {
    if record.models.len() > 1 {
        format!("{title}: {}", short(&model.model.path))
    } else {
        title.to_owned()
    }
}

#[cfg(test)]
mod tests;
