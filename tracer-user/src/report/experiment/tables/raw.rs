//! Every finished run on a line of its own.

use crate::{
    figures::selections::COMPARED,
    report::document::{Column, Document, Table},
    schema::ExperimentRecord,
    units::{bytes, observed_bytes, observed_count, share, unobserved},
};

use crate::report::experiment::{
    cells::{pressure, values, varied},
    groups::{Traced, swapped, traced, unsound},
};

/// A column: its heading, and each run's value.
struct Values {
    heading: &'static str,
    cells: Vec<String>,
}

/// A table of every figure that is not the same in all runs, and a sentence with those that are.
pub(in crate::report::experiment) fn raw(document: &mut Document, experiment: &ExperimentRecord) {
    let runs = traced(experiment);
    let over = |heading, show: &dyn Fn(&Traced<'_>) -> String| Values {
        heading,
        cells: runs.iter().map(show).collect(),
    };
    let mut columns = circumstances(experiment, &over);
    columns.extend(
        COMPARED
            .iter()
            .map(|figure| over(figure.label(), &|run| figure.show(run.record, run.model))),
    );
    columns.push(over("issued by the engine", &|run| {
        let reads = run.model.reads.as_ref();
        share(reads.and_then(|reads| reads.process_share.as_ref()?.share))
    }));
    let alike = |column: &Values| {
        column.cells.len() > 1 && column.cells.iter().all(|cell| *cell == column.cells[0])
    };
    let (same, differing): (Vec<Values>, Vec<Values>) = columns.into_iter().partition(alike);
    document.heading(3, "Every run");
    let same: Vec<String> = same
        .into_iter()
        .filter_map(|column| {
            let value = column
                .cells
                .into_iter()
                .next()
                .filter(|value| !value.is_empty())?;
            Some(format!("{} {value}", column.heading))
        })
        .collect();
    if !same.is_empty() {
        document.paragraph(format!("The same in every run: {}.", same.join("; ")));
    }
    let mut headings = vec![Column::right("run")];
    headings.extend(differing.iter().map(|column| Column::left(column.heading)));
    let rows = runs.iter().enumerate().map(|(at, run)| {
        let own = differing.iter().map(move |column| column.cells[at].clone());
        std::iter::once(run.run.number.to_string()).chain(own)
    });
    document.table(Table::new(headings).with_rows(rows));
}

/// One cell of a run.
type OfRun<'f> = &'f dyn Fn(&Traced<'_>) -> String;

/// What a run was, and how sound.
fn circumstances(
    experiment: &ExperimentRecord,
    over: &dyn Fn(&'static str, OfRun<'_>) -> Values,
) -> Vec<Values> {
    let axes = varied(experiment);
    vec![
        over("model", &|run| run.name().to_owned()),
        over("pressure", &|run| pressure(run.run.pressure)),
        over("cell", &|run| values(&run.run.cell, &axes)),
        over("block", &|run| run.run.block.to_string()),
        over("MemAvailable", &|run| {
            observed_bytes(run.record.memory.available_before_bytes)
        }),
        over("locked", &|run| bytes(run.record.pressure.locked_bytes)),
        over("extents", &|run| observed_count(run.model.model.extents)),
        over("resident before", &|run| {
            observed_bytes(run.model.cache.before_bytes)
        }),
        over("read for others", &|run| {
            let devices = run.record.devices.iter();
            bytes(devices.map(|device| device.other_read_bytes).sum())
        }),
        over("device", &|run| {
            let celsius = run.record.machine.device_temperature_celsius;
            celsius.map_or_else(unobserved, |celsius| format!("{celsius:.0} °C"))
        }),
        over("swapped", &|run| {
            if swapped(run.record) { "yes" } else { "no" }.to_owned()
        }),
        over("record", &|run| soundness(run)),
    ]
}

fn soundness(run: &Traced<'_>) -> String {
    unsound(run.record).unwrap_or_else(|| match run.record.loss.unseen_completions {
        0 if run.record.complete => "complete".to_owned(),
        unseen => format!("{unseen} completions unseen: latency and bandwidth miss them"),
    })
}
