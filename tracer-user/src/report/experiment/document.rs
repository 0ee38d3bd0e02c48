//! The report of an experiment: the answer, the curve, what cannot be trusted, then details.

use crate::{
    report::document::{self, Document, Text},
    schema::ExperimentRecord,
};

use super::{
    device_tables::{bandwidth, devices},
    differences::differences,
    groups::{Group, groups},
    memory_tables::{beside, cache},
    phase_table::phases,
    raw::raw,
    results::results,
    says::says,
    setup::setup,
    thresholds::thresholds,
    trust::trust,
};

/// The whole report, in Markdown.
#[must_use]
pub fn experiment_markdown(experiment: &ExperimentRecord) -> String {
    let groups = groups(experiment);
    let mut document = Document::default();
    document.heading(1, format!("Experiment {}", experiment.name));
    summary(&mut document, experiment, &groups);
    details(&mut document, experiment, &groups);
    document::markdown(&document)
}

/// The answer, the curve and what cannot be trusted, in lines of `columns` characters; `None` where the output is no
/// terminal.
#[must_use]
pub fn experiment_terminal(experiment: &ExperimentRecord, columns: Option<u16>) -> String {
    let mut document = Document::default();
    summary(&mut document, experiment, &groups(experiment));
    document::terminal(&document, columns)
}

fn summary(document: &mut Document, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    let thresholds = thresholds(experiment);
    says(document, experiment, groups, &thresholds);
    if !groups.is_empty() {
        results(document, experiment, groups, &thresholds);
    }
    trust(document, experiment, groups, &thresholds);
}

fn details(document: &mut Document, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    document.heading(2, "Details");
    document.paragraph(
        Text::plain("All of it, and more, is in ")
            .code("experiment.json")
            .then(" and in the folder of each run, ")
            .code("runs/")
            .then("."),
    );
    if !groups.is_empty() {
        differences(document, experiment, groups);
        phases(document, experiment, groups);
        cache(document, experiment, groups);
        beside(document, experiment, groups);
        bandwidth(document, experiment, groups);
        devices(document, groups);
    }
    setup(document, experiment);
    if !groups.is_empty() {
        raw(document, experiment);
    }
}

#[cfg(test)]
mod tests;
