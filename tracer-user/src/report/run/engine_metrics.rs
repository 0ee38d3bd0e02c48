//! Tokens by the engine's own metrics, and what was read for each.

use crate::{
    figures::selections::ENGINE_METRICS,
    report::{document::Document, figure_table},
    schema::RunRecord,
};

pub(super) fn write(document: &mut Document, record: &RunRecord) {
    let Some(metrics) = &record.engine_metrics else {
        return;
    };
    let whose = metrics.names.as_deref().unwrap_or("engine");
    document.heading(3, format!("Tokens, by the {whose} server's own metrics"));
    document.table(figure_table::below(record, ENGINE_METRICS));
    if let Some(reason) = &metrics.reason {
        document.paragraph(format!("What is missing here: {reason}."));
    }
}
