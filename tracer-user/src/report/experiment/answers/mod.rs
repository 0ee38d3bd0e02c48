//! The study's open questions, each answered from the runs that are there, or with the plan of the runs that are missing.
//!
//! An answer claims what its rows show and no more: it names the runs, the pressure and the token counts, and where two
//! things were seen together it does not say that one caused the other.

mod cache_delta;
mod coverage;
mod kv_cache;
mod memory;
mod missing;
mod offloading;
mod question;
mod rereads;
mod seeks;
mod threshold;

use crate::{
    report::document::{self, Document, Table, Tone},
    schema::{DeviceTestRecord, ExperimentRecord},
};

use super::{
    groups::groups,
    trust::{runs_made, standing},
};
use question::Answer;

/// All questions, as Markdown. Tests of the devices decide more of them.
#[must_use]
pub fn answer(experiment: &ExperimentRecord, device_tests: &[DeviceTestRecord]) -> String {
    let mut document = Document::default();
    document.heading(1, format!("Answers from experiment {}", experiment.name));
    document.note(Tone::Plain, runs_made(experiment));
    document.notes(standing(experiment));
    let groups = groups(experiment);
    let answers = [
        coverage::answer(experiment, &groups),
        cache_delta::answer(&groups),
        threshold::answer(experiment, &groups),
        memory::answer(&groups),
        rereads::answer(&groups),
        seeks::answer(&groups),
        kv_cache::answer(&groups),
        offloading::answer(&groups, device_tests),
    ];
    for (answer, number) in answers.into_iter().zip(1..) {
        document.heading(2, format!("{number}. {}", answer.question));
        write(&mut document, answer, experiment);
    }
    document::markdown(&document)
}

fn write(document: &mut Document, answer: Answer, experiment: &ExperimentRecord) {
    if answer.claims.is_empty() {
        document.paragraph("Not answered by these runs.");
    }
    let limits = answer.limits.iter().map(|limit| format!("Limit: {limit}"));
    document.list(answer.claims.into_iter().chain(limits));
    document.table(
        Table::new(answer.header)
            .captioned("Rows used:")
            .with_rows(answer.rows),
    );
    for missing in &answer.missing {
        missing.write(document, experiment);
    }
}

#[cfg(test)]
mod tests;
