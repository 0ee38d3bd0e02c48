//! Raw data: every finished run on a line of its own.

use crate::{
    report::markdown::table,
    schema::ExperimentRecord,
    units::{bytes, observed_bytes, observed_count, share, unobserved},
};

use super::{
    cells::{pressure, values, varied},
    figures::FIGURES,
    groups::{swapped, traced, unsound},
};

/// Two tables, by run: what it was and how sound it is; every compared figure.
pub(super) fn raw(text: &mut String, experiment: &ExperimentRecord) {
    text.push_str("## Raw data, run by run\n\n");
    let axes = varied(experiment);
    let runs = traced(experiment);
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let record = run.record;
            let foreign: u64 = record
                .devices
                .iter()
                .map(|device| device.other_read_bytes)
                .sum();
            vec![
                run.run.number.to_string(),
                run.run.block.to_string(),
                run.run.directory.clone(),
                run.name().to_owned(),
                pressure(run.run.pressure),
                values(&run.run.cell, &axes),
                observed_bytes(record.memory.available_before_bytes),
                bytes(record.pressure.locked_bytes),
                observed_count(run.model.model.extents),
                observed_bytes(run.model.cache.before_bytes),
                bytes(foreign),
                record
                    .machine
                    .device_temperature_celsius
                    .map_or_else(unobserved, |celsius| format!("{celsius:.0} °C")),
                if swapped(record) { "yes" } else { "no" }.to_owned(),
                unsound(record).unwrap_or_else(|| match record.loss.unseen_completions {
                    0 if record.complete => "complete".to_owned(),
                    unseen => {
                        format!("{unseen} completions unseen: latency and bandwidth miss them")
                    }
                }),
            ]
        })
        .collect();
    table(
        text,
        &[
            "run",
            "block",
            "folder",
            "model",
            "pressure",
            "cell",
            "MemAvailable",
            "locked",
            "extents",
            "resident before",
            "read for others",
            "device",
            "swapped",
            "record",
        ],
        &rows,
    );
    let mut header = vec!["run"];
    header.extend(FIGURES.iter().map(|figure| figure.name));
    header.push("issued by the engine");
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let mut row = vec![run.run.number.to_string()];
            row.extend(FIGURES.iter().map(|figure| {
                (figure.pick)(run).map_or_else(unobserved, |value| figure.unit.show(value))
            }));
            let reads = run.model.reads.as_ref();
            row.push(share(reads.and_then(|reads| reads.process_share.share)));
            row
        })
        .collect();
    table(text, &header, &rows);
}
