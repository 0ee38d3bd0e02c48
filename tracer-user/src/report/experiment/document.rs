//! The report of an experiment: the answer, the curve, what cannot be trusted, then details.

use crate::{
    chart::Chart,
    report::{
        document::{self, Document, Text},
        page::{Page, page},
    },
    schema::ExperimentRecord,
};

use super::{
    charts::charts,
    groups::{Group, groups},
    says::{says, says_in_short},
    setup::setup,
    tables::{
        devices::{bandwidth, devices},
        differences::differences,
        memory::{beside, cache},
        phases::phases,
        raw::raw,
        results::results,
    },
    threshold_words::tiles,
    thresholds::thresholds,
    trust::{trust, trust_in_short},
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

/// The same as a page of its own: the answer, charts, and all of the report behind a fold.
#[must_use]
pub fn experiment_page(experiment: &ExperimentRecord) -> String {
    let groups = groups(experiment);
    let thresholds = thresholds(experiment);
    let title = format!("Experiment {}", experiment.name);
    let mut first = Document::default();
    first.heading(1, title.clone());
    says_in_short(&mut first, experiment, &groups, &thresholds);
    let mut middle = charts(experiment, &groups, &thresholds);
    // The answer of a search for the fastest way says itself what it can be trusted for.
    if experiment.tune.is_none() {
        trust_in_short(&mut first, experiment, &groups, &thresholds);
        if !thresholds.is_empty() {
            middle.heading(2, "The memory that is enough, exactly");
            says(&mut middle, experiment, &groups, &thresholds);
        }
        trust(&mut middle, experiment, &groups, &thresholds);
    }
    let mut rest = Document::default();
    if experiment.tune.is_none() && !groups.is_empty() {
        results(&mut rest, experiment, &groups, &thresholds);
    }
    details(&mut rest, experiment, &groups);
    page(&Page {
        title,
        first,
        results: thresholds
            .iter()
            .map(|threshold| (threshold.label(), tiles(threshold)))
            .filter(|(_, tiles)| !tiles.is_empty())
            .collect(),
        meanings: Document::default(),
        charts: middle,
        details: rest,
    })
}

/// Its charts, as its page shows them.
#[must_use]
pub fn experiment_charts(experiment: &ExperimentRecord) -> Vec<Chart> {
    let groups = groups(experiment);
    charts(experiment, &groups, &thresholds(experiment)).into_charts()
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
    if experiment.tune.is_some() {
        // Its own table has every setting; what singles runs out is in the details.
        return;
    }
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
    if experiment.tune.is_some() && !groups.is_empty() {
        let thresholds = thresholds(experiment);
        results(document, experiment, groups, &thresholds);
        trust(document, experiment, groups, &thresholds);
    }
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
