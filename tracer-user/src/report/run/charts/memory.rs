//! Memory by kind over time, and what the kernel's pressure figures say.

use crate::{
    chart::{Axis, Chart, Ink, Mark, Point, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::{MemoryPointRecord, ModelRecord, RunRecord},
    units::{bytes, observed_bytes, seconds, share},
};

use super::{over_time, reads::TimeWindow};

type Pick<T> = fn(&MemoryPointRecord) -> Option<T>;

/// What the engine's memory is made of.
pub(super) fn memory(
    record: &RunRecord,
    model: &ModelRecord,
    window: Option<TimeWindow>,
) -> Result<Drawing, String> {
    const NO: fn(&MemoryPointRecord) -> Option<u64> = |_| None;
    let points = &record.memory_course;
    let series: [(&str, Ink, Pick<u64>); 4] = [
        (
            "the engine's own (buffers, copies of weights)",
            Ink::Again,
            |point| point.process.and_then(|own| own.anonymous_bytes),
        ),
        ("the model's pages that it has mapped", Ink::Read, |point| {
            point.process.and_then(|own| own.file_bytes)
        }),
        (
            "all of its cgroup",
            Ink::Memory,
            if record.pressure.cgroup.is_some() {
                |point| point.cgroup.and_then(|group| group.usage_bytes)
            } else {
                NO
            },
        ),
        ("in swap", Ink::Wait, |point| {
            point
                .process
                .and_then(|own| own.swap_bytes)
                .filter(|bytes| *bytes > 0)
        }),
    ];
    let limit = record
        .pressure
        .cgroup
        .as_ref()
        .map(|cgroup| cgroup.limit_bytes);
    let mut marks = over_time::phases(model);
    let mut most = limit.unwrap_or(0);
    let mut lines = 0;
    for (name, ink, pick) in series {
        let line: Vec<Point> = points
            .iter()
            .map(|point| Point {
                x: point.at_s,
                y: pick(point).map(|bytes| bytes as f64),
            })
            .collect();
        if line.iter().all(|point| point.y.is_none()) {
            continue;
        }
        lines += 1;
        most = most.max(points.iter().filter_map(pick).max().unwrap_or(0));
        marks.push(Mark::Line {
            name: name.into(),
            ink,
            shape: Shape::Straight,
            points: line,
        });
    }
    if lines == 0 {
        return Err(
            "memory over time was not sampled: the run was over before the first look".into(),
        );
    }
    if let Some(limit) = limit {
        marks.push(Mark::Level {
            name: format!("memory limit, {}", bytes(limit)),
            ink: Ink::Limit,
            at: limit as f64,
        });
    }
    let own = points
        .iter()
        .filter_map(|point| point.process?.anonymous_bytes)
        .max();
    let sees = format!(
        "What the memory was used for. The engine's own ({} at most) cannot be thrown out; what is left of the limit is all that the model's pages have.",
        observed_bytes(own)
    );
    let mut table = Table::new(
        [
            "at",
            "own",
            "mapped",
            "shared memory",
            "page tables",
            "swap",
            "cgroup",
            "machine: available",
        ]
        .map(Column::right),
    );
    for point in points {
        let of_process = |pick: fn(&crate::schema::ProcessPointRecord) -> Option<u64>| {
            point.process.as_ref().and_then(pick)
        };
        let dash = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), bytes);
        table.row([
            seconds(Some(point.at_s)),
            dash(of_process(|own| own.anonymous_bytes)),
            dash(of_process(|own| own.file_bytes)),
            dash(of_process(|own| own.shared_memory_bytes)),
            dash(of_process(|own| own.page_table_bytes)),
            dash(of_process(|own| own.swap_bytes)),
            dash(point.cgroup.and_then(|group| group.usage_bytes)),
            dash(point.system.and_then(|system| system.available_bytes)),
        ]);
    }
    Ok(Drawing {
        chart: Chart {
            name: "memory-time".into(),
            title: "What the memory was used for".into(),
            sees,
            x: over_time::axis(record, window),
            y: Axis::linear("bytes", Unit::Bytes, 0.0, most as f64 * 1.08),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

/// How much of the time something on the machine waited for storage or for memory.
pub(super) fn pressure(
    record: &RunRecord,
    model: &ModelRecord,
    window: Option<TimeWindow>,
) -> Result<Drawing, String> {
    let series: [(&str, Ink, Pick<u64>); 2] = [
        ("something waited for storage", Ink::Wait, |point| {
            point.system?.psi_io_some_us
        }),
        ("something waited for memory", Ink::Again, |point| {
            point.system?.psi_memory_some_us
        }),
    ];
    let shares = |pick: Pick<u64>| -> Vec<Point> {
        let pairs = record.memory_course.windows(2);
        pairs
            .filter_map(|pair| match pair {
                [before, after] => {
                    let length = (after.at_s - before.at_s) * 1e6;
                    let waited = pick(after)?.checked_sub(pick(before)?)? as f64;
                    Some(Point {
                        x: before.at_s,
                        y: (length > 0.0).then(|| (waited / length).min(1.0)),
                    })
                }
                _ => None,
            })
            .collect()
    };
    let lines: Vec<(&str, Ink, Vec<Point>)> = series
        .into_iter()
        .map(|(name, ink, pick)| (name, ink, shares(pick)))
        .filter(|(_, _, points)| !points.is_empty())
        .collect();
    if lines.is_empty() {
        return Err(
            "pressure on the machine (PSI): this kernel does not tell, or the run was too short"
                .into(),
        );
    }
    let mut table = Table::new([
        Column::right("from"),
        Column::right("storage"),
        Column::right("memory"),
    ]);
    if let Some((_, _, first)) = lines.first() {
        for point in first {
            let of = |at: usize| {
                let line = lines.get(at).map(|(_, _, points)| points);
                share(line.and_then(|points| {
                    points
                        .iter()
                        .find(|other| (other.x - point.x).abs() < 1e-9)?
                        .y
                }))
            };
            table.row([seconds(Some(point.x)), of(0), of(1)]);
        }
    }
    let mut marks = over_time::phases(model);
    marks.extend(lines.into_iter().map(|(name, ink, points)| Mark::Line {
        name: name.into(),
        ink,
        shape: Shape::Steps,
        points,
    }));
    let total = |waited: Option<f64>| {
        share(waited.map(|waited| (waited / record.time.wall_s.max(f64::MIN_POSITIVE)).min(1.0)))
    };
    Ok(Drawing {
        chart: Chart {
            name: "pressure-time".into(),
            title: "What the machine waited for".into(),
            sees: format!(
                "The kernel's own account (PSI), whole machine: of the time, something waited for storage in {} and for memory in {}.",
                total(record.machine.io_pressure_some_s),
                total(record.machine.memory_pressure_some_s)
            ),
            x: over_time::axis(record, window),
            y: Axis::linear("share of the time", Unit::Share, 0.0, 1.05),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}
