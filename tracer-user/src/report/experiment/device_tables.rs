//! Tables of speed: devices side by side, bandwidth and latency.

use crate::{report::markdown::table, units::unobserved};

use super::{
    amounts::Unit,
    groups::{Group, Traced},
};

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

/// One line a device and cell: the study's comparison of two SSDs.
pub(super) fn devices(text: &mut String, groups: &[Group<'_>]) {
    text.push_str("## Devices compared\n\nOne line a cell and device. Several things may differ between the lines of one model (device, extents, read-ahead): a difference in tok/s belongs to all of them together.\n\n");
    let mut rows = Vec::new();
    for group in groups {
        let mut names: Vec<String> = group.runs.iter().map(device).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let on_it = |pick: fn(&Traced<'_>) -> Option<f64>| {
                let name = &name;
                move |run: &Traced<'_>| {
                    if device(run) == *name {
                        pick(run)
                    } else {
                        None
                    }
                }
            };
            rows.push(vec![
                group.model.to_owned(),
                name.clone(),
                group.class.name().to_owned(),
                group.label(),
                group
                    .runs
                    .iter()
                    .filter(|run| device(run) == name)
                    .count()
                    .to_string(),
                group.show(
                    Unit::Count,
                    on_it(|run| Some(run.model.model.extents? as f64)),
                ),
                group.show(Unit::Count, on_it(super::read_tables::read_ahead)),
                group.show(Unit::PerSecond, on_it(|run| run.record.engine.tokens_per_s)),
                group.show(
                    Unit::BytesPerSecond,
                    on_it(|run| run.model.bandwidth.as_ref()?.busy_bytes_per_s),
                ),
            ]);
        }
    }
    rows.sort();
    table(
        text,
        &[
            "model",
            "device",
            "pressure",
            "cell",
            "runs",
            "extents",
            "read_ahead_kb",
            "tok/s",
            "while busy",
        ],
        &rows,
    );
}

/// Bytes per second and latency.
pub(super) fn bandwidth(text: &mut String, groups: &[Group<'_>]) {
    text.push_str("## Bandwidth and latency\n\nAverage: over the whole window, computing included. While busy: over the time in which a read of the model was in flight. Peak: the best 100 ms.\n\n");
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|group| {
            let rate = |pick: fn(&crate::schema::BandwidthRecord) -> Option<f64>| {
                group.show(Unit::BytesPerSecond, |run| {
                    pick(run.model.bandwidth.as_ref()?)
                })
            };
            let latency = |pick: fn(&crate::schema::LatencyRecord) -> Option<f64>| {
                group.show(Unit::Count, |run| {
                    pick(run.model.latency_us.as_ref()?).map(f64::round)
                })
            };
            vec![
                group.class.name().to_owned(),
                group.label(),
                group.count(),
                rate(|bandwidth| bandwidth.average_bytes_per_s),
                rate(|bandwidth| bandwidth.busy_bytes_per_s),
                rate(|bandwidth| bandwidth.peak_bytes_per_s),
                latency(|latency| latency.p50),
                latency(|latency| latency.p99),
            ]
        })
        .collect();
    table(
        text,
        &[
            "pressure",
            "cell",
            "runs",
            "average",
            "while busy",
            "peak (100 ms)",
            "p50 µs",
            "p99 µs",
        ],
        &rows,
    );
}
