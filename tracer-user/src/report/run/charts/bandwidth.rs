//! Bytes that arrived over time, and how much of the model was in memory.

use crate::{
    chart::{Axis, Chart, Ink, Mark, Point, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::{ArrivalSeries, DeviceTestRecord, ModelRecord, RunRecord},
    units::{bytes, rate, seconds, share},
};

use super::{
    over_time,
    reads::{ReadCourse, TimeWindow},
};

/// Bytes that arrived, by parts of a window.
pub(super) struct Arrived<'a> {
    bin_s: f64,
    bytes: &'a [u64],
    window: TimeWindow,
}

impl<'a> Arrived<'a> {
    /// By the list of reads.
    pub fn of_reads(course: &'a ReadCourse) -> Self {
        Self {
            bin_s: course.bin_ns as f64 / 1e9,
            bytes: &course.arrived,
            window: course.window,
        }
    }

    /// Of the whole run, by its record.
    pub fn of_record(record: &RunRecord, arrivals: &'a ArrivalSeries) -> Self {
        Self {
            bin_s: arrivals.window_s,
            bytes: &arrivals.bytes,
            window: TimeWindow {
                from_s: 0.0,
                to_s: record.time.wall_s,
            },
        }
    }
}

/// Bytes a second, by windows of time.
pub(super) fn bandwidth(
    record: &RunRecord,
    model: &ModelRecord,
    arrived: &Arrived<'_>,
    device: Option<&DeviceTestRecord>,
) -> Drawing {
    let (bin_s, window) = (arrived.bin_s, arrived.window);
    let rates: Vec<(f64, f64)> = arrived
        .bytes
        .iter()
        .enumerate()
        .map(|(at, arrived)| (window.from_s + at as f64 * bin_s, *arrived as f64 / bin_s))
        .collect();
    let most = rates.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
    let best = device
        .and_then(|device| device.used)
        .map(|used| used.best_bytes_per_s);
    let mut marks = over_time::phases(model);
    let mut points: Vec<Point> = rates
        .iter()
        .map(|(x, y)| Point { x: *x, y: Some(*y) })
        .collect();
    if let Some((_, last)) = rates.last() {
        points.push(Point {
            x: window.to_s,
            y: Some(*last),
        });
    }
    marks.push(Mark::Line {
        name: "read from the disk".into(),
        ink: Ink::Read,
        shape: Shape::Filled,
        points,
    });
    marks.extend(over_time::steps(model));
    if let Some(best) = best {
        marks.push(Mark::Level {
            name: "the most that the device gave in its test".into(),
            ink: Ink::Limit,
            at: best,
        });
    }
    let idle = rates.iter().filter(|(_, rate)| *rate == 0.0).count();
    let mut sees = format!(
        "How fast the model came from the disk, by windows of {}: {} at most, nothing in {} of the time.",
        seconds(Some(bin_s)),
        rate(Some(most)),
        share(Some(idle as f64 / rates.len().max(1) as f64))
    );
    if let Some(best) = best {
        sees.push_str(&format!(" The device can do {}.", rate(Some(best))));
    }
    let mut table = Table::new([
        Column::right("from"),
        Column::right("arrived"),
        Column::right("a second"),
    ]);
    for ((from, rate_of), arrived) in rates.iter().zip(arrived.bytes) {
        table.row([seconds(Some(*from)), bytes(*arrived), rate(Some(*rate_of))]);
    }
    Drawing {
        chart: Chart {
            name: "bandwidth-time".into(),
            title: "Bandwidth over time".into(),
            sees,
            x: over_time::axis(record, Some(window)),
            y: Axis::linear(
                "bytes that arrived, a second",
                Unit::BytesPerSecond,
                0.0,
                most.max(best.unwrap_or(0.0)) * 1.08,
            ),
            edges: Vec::new(),
            marks,
        },
        table,
    }
}

/// How much of the model is in memory.
pub(super) fn residency(
    record: &RunRecord,
    model: &ModelRecord,
    slot: usize,
    window: Option<TimeWindow>,
) -> Result<Drawing, String> {
    // At some moments only cachestat was asked.
    let points: Vec<(f64, u64)> = record
        .residency_course
        .iter()
        .filter_map(|point| Some((point.at_s, (*point.by_events_bytes.get(slot)?)?)))
        .collect();
    if points.is_empty() {
        return Err("how much of the model was in memory was not recorded: page-cache events were only counted".into());
    }
    let size = model.model.size_bytes;
    let limit = record
        .pressure
        .cgroup
        .as_ref()
        .map(|cgroup| cgroup.limit_bytes);
    let mut marks = over_time::phases(model);
    marks.push(Mark::Line {
        name: "in memory".into(),
        ink: Ink::Memory,
        shape: Shape::Filled,
        points: points
            .iter()
            .map(|(x, y)| Point {
                x: *x,
                y: Some(*y as f64),
            })
            .collect(),
    });
    marks.push(Mark::Level {
        name: format!("the whole model, {}", bytes(size)),
        ink: Ink::Limit,
        at: size as f64,
    });
    if let Some(limit) = limit {
        marks.push(Mark::Level {
            name: format!("memory limit, {}", bytes(limit)),
            ink: Ink::Again,
            at: limit as f64,
        });
    }
    let most = points.iter().map(|(_, bytes)| *bytes).max().unwrap_or(0);
    let mut sees = format!(
        "Of the model's {} at most {} were in memory at once.",
        bytes(size),
        bytes(most)
    );
    if most < size {
        sees.push_str(" What is above the curve has to be read again when it is needed.");
    }
    let mut table = Table::new([
        Column::right("at"),
        Column::right("in memory"),
        Column::right("of the model"),
    ]);
    for (at, resident) in &points {
        table.row([
            seconds(Some(*at)),
            bytes(*resident),
            share(Some(*resident as f64 / size.max(1) as f64)),
        ]);
    }
    Ok(Drawing {
        chart: Chart {
            name: "residency-time".into(),
            title: "How much of the model was in memory".into(),
            sees,
            x: over_time::axis(record, window),
            y: Axis::linear(
                "bytes of the model in memory",
                Unit::Bytes,
                0.0,
                size.max(limit.unwrap_or(0).min(2 * size)) as f64 * 1.08,
            ),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}
