//! Each request, by the engine's own words.

use crate::{
    report::document::{Column, Document, Table, Text},
    schema::{RequestRecord, RunRecord},
    units::{count, observed_count, unobserved},
};

/// Requests that the report shows.
const SHOWN: usize = 24;

pub(super) fn write(document: &mut Document, record: &RunRecord) {
    let several = |requests: &&Vec<RequestRecord>| requests.len() > 1;
    let Some(requests) = record.engine.requests.as_ref().filter(several) else {
        return;
    };
    document.heading(3, "Requests, by the engine's log");
    if requests.len() > SHOWN {
        document.paragraph(Text::with_code(&format!(
            "The first {SHOWN} of {}; `run.json` has the others.",
            count(requests.len() as u64)
        )));
    }
    let rate = |rate: Option<f64>| rate.map_or_else(unobserved, |rate| format!("{rate:.2}"));
    let rows = requests
        .iter()
        .zip(1u64..)
        .take(SHOWN)
        .map(|(request, number)| {
            [
                request.name.clone().unwrap_or_else(|| count(number)),
                observed_count(request.prompt_tokens),
                rate(request.prompt_tokens_per_s),
                observed_count(request.eval_tokens),
                rate(request.tokens_per_s),
            ]
        });
    let columns = [
        Column::left("request"),
        Column::right("prompt tokens"),
        Column::right("prompt tok/s"),
        Column::right("tokens generated"),
        Column::right("tok/s"),
    ];
    document.table(Table::new(columns).with_rows(rows));
}
