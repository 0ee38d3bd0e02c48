//! The results' table: one line a model.

use crate::{
    figures::selections::RESULTS,
    report::{document::Document, figure_table},
    schema::RunRecord,
};

use super::names::short;

pub(super) fn write(document: &mut Document, record: &RunRecord) {
    document.heading(2, "Results");
    let columns: Vec<_> = RESULTS
        .iter()
        .map(|figure| (figure.label(), figure.unit()))
        .collect();
    let lines = record
        .all_models()
        .map(|model| {
            let values = RESULTS.iter().map(|figure| figure.value(record, model));
            (short(&model.model.path).to_owned(), values.collect())
        })
        .collect();
    document.table(figure_table::of_values("model", &columns, lines));
}
