//! Decode steps.

use crate::{
    figures::selections::STEPS,
    report::{document::Document, figure_table},
    schema::{ModelRecord, RunRecord},
    units::count,
};

use super::names::{left_out, titled};

/// Steps of either end that a long run shows.
const OF_EACH_END: usize = 6;

pub(super) fn write(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    let Some(tokens) = model.tokens.as_ref().filter(|tokens| !tokens.is_empty()) else {
        return;
    };
    document.heading(3, titled(record, model, "Bytes per token"));
    let middle = OF_EACH_END..tokens.len().saturating_sub(OF_EACH_END);
    if middle.len() > 1 {
        document.paragraph(left_out(&format!(
            "The first and the last {OF_EACH_END} of {} steps",
            count(tokens.len() as u64)
        )));
    }
    let lines = tokens
        .iter()
        .enumerate()
        .filter(|(at, _)| middle.len() <= 1 || !middle.contains(at))
        .map(|(_, token)| {
            let name = format!("{} ({})", token.step, token.phase.replace('_', "-"));
            (name, token)
        });
    document.table(figure_table::beside("step", lines, STEPS));
}
