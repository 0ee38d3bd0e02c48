//! What was read again: by kind of tensor, by layer, by tensor.

use std::cmp::Reverse;

use crate::{
    figures::{selections::TENSORS, tensor::grouped},
    report::{document::Document, figure_table},
    schema::{ModelRecord, RunRecord, TensorRecord},
    units::count,
};

use super::names::{left_out, titled};

/// Lines of a table; of more, the first and the last of a ranking.
const LINES: usize = 16;
/// How many of either end a ranking shows.
const OF_EACH_END: usize = 5;
/// Tensors in the table of those that were read most often.
const MOST_REREAD: usize = 10;

/// The model's tensors, where any of them has a figure of reads or pages.
fn tensors(model: &ModelRecord) -> Option<&Vec<TensorRecord>> {
    model.tensors.as_ref().filter(|tensors| !tensors.is_empty())
}

/// By kind of tensor, the largest first.
pub(super) fn by_kind(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    let Some(tensors) = tensors(model) else {
        return;
    };
    let mut kinds: Vec<_> = grouped(tensors, |tensor| Some(tensor.kind.as_str()))
        .into_iter()
        .collect();
    kinds.sort_by_key(|(_, sum)| Reverse(sum.bytes));
    document.heading(2, titled(record, model, "What was read again"));
    let lines = kinds
        .iter()
        .map(|(kind, sum)| (kind.replace('_', " "), sum));
    document.table(figure_table::beside("kind of tensor", lines, TENSORS));
}

/// By layer, and the tensors that were read most often.
pub(super) fn details(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    let Some(tensors) = tensors(model) else {
        return;
    };
    let layers = grouped(tensors, |tensor| tensor.layer);
    let layers: Vec<(String, &TensorRecord)> = layers
        .iter()
        .map(|(layer, sum)| (layer.to_string(), sum))
        .collect();
    if !layers.is_empty() {
        document.heading(3, titled(record, model, "Layers"));
        ranked(document, "layer", layers);
    }
    let mut most: Vec<&TensorRecord> = tensors
        .iter()
        .filter(|tensor| tensor.read_bytes.is_some_and(|read| read > tensor.bytes))
        .collect();
    if most.is_empty() {
        return;
    }
    most.sort_by(|one, other| {
        let reread = |tensor: &TensorRecord| tensor.reread.unwrap_or(0.0);
        reread(other).total_cmp(&reread(one))
    });
    document.heading(
        3,
        titled(record, model, "Tensors that were read most often"),
    );
    let lines = most.into_iter().take(MOST_REREAD).map(|tensor| {
        let expert = tensor.expert;
        let name = expert.map_or_else(
            || tensor.name.clone(),
            |expert| format!("{}, expert {expert}", tensor.name),
        );
        (name, tensor)
    });
    document.table(figure_table::beside("tensor", lines, TENSORS));
}

/// All lines where they are few; else those with the most and the fewest bytes read.
pub(super) fn ranked(
    document: &mut Document,
    first: &str,
    mut lines: Vec<(String, &TensorRecord)>,
) {
    let all = lines.len();
    if all > LINES {
        lines.sort_by_key(|(_, sum)| Reverse(sum.read_bytes));
        lines.drain(OF_EACH_END..all - OF_EACH_END);
        document.paragraph(left_out(&format!(
            "The {OF_EACH_END} of {} of which most was read and the {OF_EACH_END} of which least was read",
            count(all as u64)
        )));
    }
    document.table(figure_table::beside(first, lines, TENSORS));
}
