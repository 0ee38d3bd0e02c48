//! Tables of speed: devices side by side, bandwidth and latency.

use crate::{
    figures::{InRun, Unit, engine, speed},
    report::document::{Column, Document, Table},
    schema::{BandwidthFigures, ExperimentRecord, LatencyFigures},
    units::unobserved,
};

use super::spread;
use crate::report::experiment::groups::{Group, Traced};

/// A run's devices by name and what they call themselves.
fn device(run: &Traced<'_>) -> String {
    let named: Vec<String> = run
        .record
        .devices
        .iter()
        .map(|device| match &device.device_model {
            Some(model) => format!("{} ({model})", device.name),
            None => device.name.clone(),
        })
        .collect();
    if named.is_empty() {
        unobserved()
    } else {
        named.join(" + ")
    }
}

/// Device and extents of a run: what a comparison of two SSDs differs in.
fn place(run: &Traced<'_>) -> (String, Option<u64>) {
    (device(run), run.model.model.extents)
}

/// One line a device and cell: the study's comparison of two SSDs. Nothing where there is nothing to compare.
pub(in crate::report::experiment) fn devices(document: &mut Document, groups: &[Group<'_>]) {
    let mut places = groups.iter().flat_map(|group| &group.runs).map(place);
    let first = places.next();
    if places.all(|place| Some(&place) == first.as_ref()) {
        return;
    }
    document.heading(3, "Devices compared");
    let mut rows: Vec<Vec<String>> = groups.iter().flat_map(on_each_device).collect();
    rows.sort();
    document.table(
        Table::new([
            Column::left("model"),
            Column::left("device"),
            Column::left("cell"),
            Column::right("runs"),
            Column::right("extents"),
            Column::right("read_ahead_kb"),
            Column::right("tok/s"),
            Column::right("while busy"),
        ])
        .captioned("One line a cell and device. Several things may differ between the lines of one model (device, extents, read-ahead): a difference in tok/s belongs to all of them together.")
        .with_rows(rows),
    );
}

fn on_each_device(group: &Group<'_>) -> Vec<Vec<String>> {
    let mut names: Vec<String> = group.runs.iter().map(device).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let show = |unit, pick: fn(&Traced<'_>) -> Option<f64>| {
                group.show(unit, |run| pick(run).filter(|_| device(run) == name))
            };
            let runs = group.runs.iter().filter(|run| device(run) == name).count();
            vec![
                group.model.to_owned(),
                name.clone(),
                group.name.clone(),
                runs.to_string(),
                show(Unit::Count, |run| Some(run.model.model.extents? as f64)),
                show(Unit::Count, |run| {
                    Some(run.record.devices.first()?.read_ahead_kb? as f64)
                }),
                show(Unit::PerSecond, |run| run.record.engine.tokens_per_s),
                show(Unit::BytesPerSecond, |run| {
                    run.model.bandwidth.as_ref()?.busy_bytes_per_s
                }),
            ]
        })
        .collect()
}

/// Bytes per second and latency.
pub(in crate::report::experiment) fn bandwidth(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
) {
    document.heading(3, "Time, bandwidth and latency");
    let rows = groups.iter().map(|group| {
        let rate = |pick: fn(&BandwidthFigures) -> Option<f64>| {
            group.show(Unit::BytesPerSecond, |run| {
                pick(run.model.bandwidth.as_ref()?)
            })
        };
        let latency = |pick: fn(&LatencyFigures) -> Option<f64>| {
            group.show(Unit::Microseconds, |run| {
                pick(run.model.latency_us.as_ref()?)
            })
        };
        [
            group.name.clone(),
            spread::of_figure(group, &InRun::Run(&engine::WALL_S), experiment.seed),
            rate(|bandwidth| bandwidth.average_bytes_per_s),
            spread::of_figure(
                group,
                &InRun::Model(&speed::BUSY_BYTES_PER_S),
                experiment.seed,
            ),
            rate(|bandwidth| bandwidth.peak_bytes_per_s),
            latency(|latency| latency.p50),
            latency(|latency| latency.p99),
        ]
    });
    document.table(
        Table::new([
            Column::left("cell"),
            Column::right("time"),
            Column::right("average"),
            Column::right("while busy"),
            Column::right("peak (100 ms)"),
            Column::right("latency, p50"),
            Column::right("latency, p99"),
        ])
        .captioned("Time: of the whole run. Average: over the whole window, computing included. While busy: over the time in which a read of the model was in flight. Peak: the best 100 ms.")
        .with_rows(rows),
    );
}
