//! How it read: distances, sizes, and how often each byte was read.

use std::collections::BTreeMap;

use crate::{
    chart::{Axis, Bar, Chart, Ink, Mark, Point, Scale, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::{GapsRecord, ModelRecord},
    units::{bytes, count, share, signed_bytes},
};

use super::reads::{PHASE_INKS, ReadCourse};

/// Sectors are the smallest distance.
const SECTOR: f64 = 512.0;

/// How far each read lies from the end of the one before.
pub(super) fn gaps(gaps: &GapsRecord) -> Result<Drawing, String> {
    let buckets = gaps.distances.as_deref().unwrap_or_default();
    let all: u64 = buckets.iter().map(|bucket| bucket.count).sum();
    if all == 0 {
        return Err(if gaps.distances.is_some() {
            "distances between reads: there were not two reads on one device".into()
        } else {
            "distances between reads: gaps were only counted, by class".into()
        });
    }
    let largest = buckets
        .iter()
        .map(|bucket| {
            bucket
                .from_bytes
                .unsigned_abs()
                .max(bucket.to_bytes.unsigned_abs())
        })
        .max()
        .unwrap_or(512)
        .max(4096) as f64;
    let mut table = Table::new([
        Column::right("from"),
        Column::right("to"),
        Column::right("gaps"),
        Column::right("share"),
        Column::right("queue depth"),
    ]);
    let (mut onward, mut back) = (Vec::new(), Vec::new());
    let mut most = 0.0_f64;
    for bucket in buckets.iter().filter(|bucket| bucket.count > 0) {
        let part = bucket.count as f64 / all as f64;
        most = most.max(part);
        let (from, to) = if bucket.from_bytes == 0 && bucket.to_bytes == 0 {
            (-SECTOR / 2.0, SECTOR / 2.0)
        } else {
            (bucket.from_bytes as f64, bucket.to_bytes as f64)
        };
        let depth = bucket
            .mean_queue_depth
            .map_or_else(|| "–".to_owned(), |depth| format!("{depth:.1}"));
        let says = format!(
            "{} – {} · {} gaps, {} · {depth} reads in flight",
            signed_bytes(bucket.from_bytes),
            signed_bytes(bucket.to_bytes),
            count(bucket.count),
            share(Some(part))
        );
        let bar = Bar {
            from,
            to,
            low: 0.0,
            high: part,
            says,
        };
        if bucket.to_bytes < 0 {
            back.push(bar)
        } else {
            onward.push(bar)
        }
        table.row([
            signed_bytes(bucket.from_bytes),
            signed_bytes(bucket.to_bytes),
            count(bucket.count),
            share(Some(part)),
            depth,
        ]);
    }
    let backward = gaps.classes.backward.share;
    let sequential = gaps.classes.sequential.share;
    Ok(Drawing {
        chart: Chart {
            name: "gaps".into(),
            title: "How far it jumped between reads".into(),
            sees: format!(
                "The middle is a read that begins where the one before ended ({}); to the right it skipped forward, to the left it went back ({}).",
                share(sequential),
                share(backward)
            ),
            x: Axis {
                label: "distance on the device (logarithmic to both sides)".into(),
                unit: Unit::Bytes,
                scale: Scale::SignedLog {
                    least: SECTOR,
                    largest,
                },
            },
            y: Axis::linear("share of all gaps", Unit::Share, 0.0, most * 1.08),
            edges: Vec::new(),
            marks: vec![
                Mark::Bars {
                    name: "onward".into(),
                    ink: Ink::Read,
                    bars: onward,
                },
                Mark::Bars {
                    name: "back".into(),
                    ink: Ink::Again,
                    bars: back,
                },
            ],
        },
        table,
    })
}

/// Request sizes, by phase where the list of reads tells.
pub(super) fn sizes(model: &ModelRecord, course: Option<&ReadCourse>) -> Result<Drawing, String> {
    let mut series: Vec<(String, BTreeMap<u64, u64>)> = match course {
        Some(course) => course.by_phase(&course.sizes),
        None => {
            let mut sizes = BTreeMap::new();
            let reads = model.reads.as_ref();
            let classes = reads.and_then(|reads| reads.size_classes.as_ref());
            for class in classes.into_iter().flatten() {
                sizes.insert(class.up_to_bytes, class.count);
            }
            // A record of before there were classes.
            let single = reads.filter(|reads| reads.size_classes.is_none());
            for size in single.iter().flat_map(|reads| reads.sizes.iter().flatten()) {
                *sizes.entry(size.bytes.next_power_of_two()).or_insert(0) += size.count;
            }
            vec![("all reads".into(), sizes)]
        }
    };
    // What has few reads is a line along the bottom, and not worth a colour.
    series.truncate(ReadCourse::drawn(&series));
    let all_sizes = || series.iter().flat_map(|(_, sizes)| sizes.keys().copied());
    let (Some(least), Some(largest)) = (all_sizes().min(), all_sizes().max()) else {
        return Err("request sizes: there were no reads, or they were only counted".into());
    };
    let (least, largest) = (least.max(2) / 2, largest.max(2));
    let mut table = Table::new([
        Column::left("phase"),
        Column::right("up to"),
        Column::right("reads"),
        Column::right("share"),
    ]);
    let mut marks = Vec::new();
    let mut most = 0.0_f64;
    for ((phase, sizes), ink) in series.iter().zip(PHASE_INKS) {
        let all: u64 = sizes.values().sum();
        let mut points = Vec::new();
        let mut size = least.next_power_of_two() * 2;
        points.push(Point {
            x: least as f64,
            y: Some(0.0),
        });
        while size <= largest {
            let reads = sizes.get(&size).copied().unwrap_or(0);
            let part = reads as f64 / all.max(1) as f64;
            most = most.max(part);
            if let Some(last) = points.last_mut() {
                last.y = Some(part);
            }
            points.push(Point {
                x: size as f64,
                y: Some(part),
            });
            if reads > 0 {
                table.row([phase.clone(), bytes(size), count(reads), share(Some(part))]);
            }
            size *= 2;
        }
        marks.push(Mark::Line {
            name: phase.clone(),
            ink,
            shape: Shape::Steps,
            points,
        });
    }
    Ok(Drawing {
        chart: Chart {
            name: "request-sizes".into(),
            title: "How large its requests were".into(),
            sees: "How much the kernel asked the disk for at once. Small requests leave a fast disk idle; the largest ones are what read-ahead and the device allow.".into(),
            x: Axis::log("size of a request (each step: up to the double)", Unit::Bytes, least as f64, largest as f64),
            y: Axis::linear("share of the phase's reads", Unit::Share, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

/// How much of the model was read how often.
pub(super) fn access_counts(course: &ReadCourse) -> Result<Drawing, String> {
    const MOST_ROWS: usize = 200;
    let times = course.times_read();
    let all: u64 = times.values().sum();
    let most = times.keys().last().copied().unwrap_or(0);
    if all == 0 || most == 0 {
        return Err("how often each byte was read: nothing was".into());
    }
    let mut left = all;
    let mut points = vec![Point {
        x: 0.0,
        y: Some(1.0),
    }];
    let mut table = Table::new([
        Column::right("times"),
        Column::right("bytes read so often"),
        Column::right("read as often or more"),
    ]);
    let mut median = 0;
    for (often, bytes_of) in &times {
        let at_least = left as f64 / all as f64;
        if at_least >= 0.5 {
            median = *often;
        }
        points.push(Point {
            x: *often as f64,
            y: Some(at_least),
        });
        if table.rows().len() < MOST_ROWS {
            table.row([often.to_string(), bytes(*bytes_of), share(Some(at_least))]);
        }
        left -= bytes_of;
    }
    points.push(Point {
        x: most as f64 + 1.0,
        y: Some(0.0),
    });
    // Each value holds for the numbers up to its own.
    let steps = points.windows(2).flat_map(|pair| match pair {
        [before, after] => vec![
            Point {
                x: before.x,
                y: after.y,
            },
            Point {
                x: after.x,
                y: after.y,
            },
        ],
        _ => Vec::new(),
    });
    Ok(Drawing {
        chart: Chart {
            name: "access-counts".into(),
            title: "How often each byte of the model was read".into(),
            sees: format!(
                "Half of the model was read {median} times or more. Were it read once while loading and then kept, the curve would fall to 0 after 1. In units of {}.",
                bytes(course.unit_bytes)
            ),
            x: Axis::linear("times read", Unit::Count, 0.0, most as f64 + 1.0),
            y: Axis::linear(
                "share of the model read so often or more",
                Unit::Share,
                0.0,
                1.05,
            ),
            edges: Vec::new(),
            marks: vec![Mark::Line {
                name: String::new(),
                ink: Ink::Read,
                shape: Shape::Straight,
                points: steps.collect(),
            }],
        },
        table,
    })
}
