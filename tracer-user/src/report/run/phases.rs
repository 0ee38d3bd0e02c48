//! Phases of a run.

use crate::{
    figures::{
        Figure,
        selections::{PHASE_ORDER, PHASE_PAGES, PHASE_READS},
    },
    report::{
        document::{Document, Table},
        figure_table,
    },
    schema::{ModelRecord, PhaseRecord, RunRecord},
};

use super::names::titled;

/// What each phase read, and how long the engine stood still.
pub(super) fn first(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    if model.phases.is_none() {
        return;
    }
    document.heading(2, titled(record, model, "Phases"));
    document.table(table(model, PHASE_READS));
}

/// In which order each phase read, what the page cache did, and where the phases were taken from.
pub(super) fn details(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    if model.phases.is_none() {
        return;
    }
    document.heading(3, titled(record, model, "Phases: order, speed, page cache"));
    if let Some(marks) = &model.marks {
        document.paragraph(format!(
            "Taken from: {} – {}.",
            marks.source, marks.description
        ));
    }
    document.table(table(model, PHASE_ORDER));
    document.table(table(model, PHASE_PAGES));
}

fn table(model: &ModelRecord, figures: &[&Figure<PhaseRecord>]) -> Table {
    let lines = model
        .phases
        .iter()
        .flatten()
        .map(|phase| (phase.phase.replace('_', "-"), phase));
    figure_table::beside("phase", lines, figures)
}
