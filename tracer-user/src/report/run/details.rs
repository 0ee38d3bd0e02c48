//! All that the first screen leaves out, each figure once.

use std::collections::BTreeSet;

use crate::{
    figures::selections::{
        MODEL_DETAILS, PHASE_ORDER, PHASE_PAGES, PHASE_READS, RESULTS, RUN_DETAILS, STEPS, TENSORS,
    },
    report::{
        audit::accountings,
        document::{Document, Table, Text},
        figure_table::{self, marked},
        model_tables, verdict,
    },
    schema::{ModelRecord, RunRecord},
};

use super::{engine_metrics, experts, machine, names::titled, phases, pieces, requests, steps};

pub(super) fn write(document: &mut Document, record: &RunRecord) {
    document.heading(2, "Details");
    document.paragraph(format!(
        "{}, kernel {}, tracer {}. {}.",
        record.started_at, record.kernel, record.tracer_version, record.exit.description
    ));
    for model in record.all_models() {
        of_model(document, record, model);
    }
    for (title, figures) in RUN_DETAILS {
        document.heading(3, *title);
        document.table(figure_table::below(record, figures));
    }
    engine_metrics::write(document, record);
    requests::write(document, record);
    machine::write(document, record);
    document.heading(3, "Self-checks");
    document.table(verdict::table_of_checks(&record.checks));
    legend(document);
}

fn of_model(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    phases::details(document, record, model);
    pieces::details(document, record, model);
    experts::write(document, record, model);
    steps::write(document, record, model);
    if let Some(gaps) = &model.gaps {
        document.heading(3, titled(record, model, "Gaps between consecutive reads"));
        document.table(model_tables::gaps(model));
        document.table(model_tables::distances(gaps));
    }
    if let Some(sizes) = model.reads.as_ref().and_then(|reads| reads.sizes.as_ref()) {
        document.heading(3, titled(record, model, "Request sizes"));
        document.table(model_tables::sizes(sizes));
    }
    for (title, figures) in MODEL_DETAILS {
        document.heading(3, titled(record, model, title));
        document.table(figure_table::below(model, figures));
    }
    document.paragraph(format!("Residency: {}.", model.cache.residency_method));
    if let Some(found) = &model.accountings {
        accountings(document, found);
    }
}

/// What the columns of the tables say, each once.
fn legend(document: &mut Document) {
    document.heading(3, "What the columns say");
    let mut said = BTreeSet::new();
    let mut table = Table::new(["column", "what it says"]);
    let results = RESULTS
        .iter()
        .map(|figure| (figure.label(), figure.meaning()));
    let phases = [PHASE_READS, PHASE_ORDER, PHASE_PAGES]
        .into_iter()
        .flatten()
        .map(|figure| (figure.label, figure.meaning));
    let tensors = TENSORS.iter().map(|figure| (figure.label, figure.meaning));
    let steps = STEPS.iter().map(|figure| (figure.label, figure.meaning));
    for (label, meaning) in results.chain(phases).chain(tensors).chain(steps) {
        if said.insert(label) {
            table.row([Text::plain(label), marked(meaning)]);
        }
    }
    document.table(table);
}
