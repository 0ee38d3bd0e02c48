//! How it read: distances, sizes, latency, reads in flight, and how often each byte was read.

use crate::{
    chart::{Axis, Bar, Chart, Ink, Mark, Point, Scale, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::{GapsRecord, ModelRecord},
    units::{bytes, count, share, signed_bytes},
};

use super::reads::{DEEPEST, ReadCourse};

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
    let mut series: Vec<(String, Vec<(u64, u64)>)> = Vec::new();
    match course {
        Some(course) => {
            let mut phases: Vec<usize> = course.sizes.keys().map(|(phase, _)| *phase).collect();
            phases.dedup();
            for phase in phases {
                let of_phase = course.sizes.iter().filter(|((own, _), _)| *own == phase);
                series.push((
                    course.phase_name(phase).replace('_', "-"),
                    of_phase.map(|((_, size), reads)| (*size, *reads)).collect(),
                ));
            }
        }
        None => {
            let mut sizes = std::collections::BTreeMap::new();
            for size in model
                .reads
                .iter()
                .flat_map(|reads| reads.sizes.iter().flatten())
            {
                *sizes.entry(size.bytes.next_power_of_two()).or_insert(0) += size.count;
            }
            series.push(("all reads".into(), sizes.into_iter().collect()));
        }
    }
    // What has few reads is a line along the bottom, and not worth a colour.
    series.sort_by_key(|(_, sizes)| {
        std::cmp::Reverse(sizes.iter().map(|(_, reads)| *reads).sum::<u64>())
    });
    series.truncate(4);
    let all_sizes = || {
        series
            .iter()
            .flat_map(|(_, sizes)| sizes.iter().map(|(size, _)| *size))
    };
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
    let inks = [Ink::Read, Ink::Again, Ink::Memory, Ink::Other];
    let mut marks = Vec::new();
    let mut most = 0.0_f64;
    for ((phase, sizes), ink) in series.iter().zip(inks) {
        let all: u64 = sizes.iter().map(|(_, reads)| *reads).sum();
        let mut points = Vec::new();
        let mut size = least.next_power_of_two() * 2;
        points.push(Point {
            x: least as f64,
            y: Some(0.0),
        });
        while size <= largest {
            let reads = sizes
                .iter()
                .find(|(own, _)| *own == size)
                .map_or(0, |(_, reads)| *reads);
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

/// Latency of the reads, with the record's percentiles.
pub(super) fn latency(model: &ModelRecord, course: &ReadCourse) -> Result<Drawing, String> {
    let all: u64 = course.latencies.values().sum();
    let (Some(first), Some(last)) = (
        course.latencies.keys().next(),
        course.latencies.keys().last(),
    ) else {
        return Err("latency: of no read both ends were seen".into());
    };
    let mut table = Table::new([
        Column::right("from"),
        Column::right("to"),
        Column::right("reads"),
        Column::right("share"),
    ]);
    let mut most = 0.0_f64;
    let bars: Vec<Bar> = course
        .latencies
        .iter()
        .map(|(step, reads)| {
            let (from, to) = (
                ReadCourse::latency_us(*step),
                ReadCourse::latency_us(step + 1),
            );
            let part = *reads as f64 / all as f64;
            most = most.max(part);
            let shown = |micros: f64| Unit::Microseconds.show(micros);
            table.row([shown(from), shown(to), count(*reads), share(Some(part))]);
            Bar {
                from,
                to,
                low: 0.0,
                high: part,
                says: format!(
                    "{} – {} · {} reads, {}",
                    shown(from),
                    shown(to),
                    count(*reads),
                    share(Some(part))
                ),
            }
        })
        .collect();
    let mut marks = vec![Mark::Bars {
        name: "reads".into(),
        ink: Ink::Read,
        bars,
    }];
    let mut sees = "How long the disk took for a read, from its issue to its end.".to_owned();
    if let Some(latency) = &model.latency_us {
        let mut said = Vec::new();
        for (name, value, ink) in [
            ("half of them at most", latency.p50, Ink::Limit),
            ("99 of 100 at most", latency.p99, Ink::Again),
        ] {
            if let Some(value) = value {
                let words = format!("{name} {}", Unit::Microseconds.show(value));
                marks.push(Mark::Upright {
                    name: words.clone(),
                    ink,
                    at: value,
                });
                said.push(words);
            }
        }
        if !said.is_empty() {
            sees.push_str(&format!(" {}.", capital(&said.join(", "))));
        }
    }
    Ok(Drawing {
        chart: Chart {
            name: "latency".into(),
            title: "How long the disk took for a read".into(),
            sees,
            x: Axis::log(
                "latency (logarithmic)",
                Unit::Microseconds,
                ReadCourse::latency_us(*first),
                ReadCourse::latency_us(last + 1),
            ),
            y: Axis::linear("share of the reads", Unit::Share, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

/// How many reads were with the driver at once.
pub(super) fn queue_depth(course: &ReadCourse) -> Result<Drawing, String> {
    let all: u64 = course.depths.iter().sum();
    let Some(deepest) = course.depths.iter().rposition(|reads| *reads > 0) else {
        return Err("queue depth: of no read both ends were seen".into());
    };
    let mut table = Table::new([
        Column::right("in flight"),
        Column::right("reads"),
        Column::right("share"),
    ]);
    let mut most = 0.0_f64;
    let mut bars = Vec::new();
    for (depth, reads) in course.depths.iter().enumerate().take(deepest + 1).skip(1) {
        let part = *reads as f64 / all as f64;
        most = most.max(part);
        let name = if depth == DEEPEST {
            format!("{depth} or more")
        } else {
            depth.to_string()
        };
        bars.push(Bar {
            from: depth as f64 - 0.5,
            to: depth as f64 + 0.5,
            low: 0.0,
            high: part,
            says: format!(
                "{name} in flight · {} reads, {}",
                count(*reads),
                share(Some(part))
            ),
        });
        table.row([name, count(*reads), share(Some(part))]);
    }
    let alone = course.depths.get(1).copied().unwrap_or(0) as f64 / all.max(1) as f64;
    Ok(Drawing {
        chart: Chart {
            name: "queue-depth".into(),
            title: "How many reads the disk had at once".into(),
            sees: format!(
                "Reads with the disk when another one was issued, this one included. {} were alone: a fast disk needs several at once to be fast.",
                share(Some(alone))
            ),
            x: Axis::linear("reads in flight", Unit::Count, 0.5, deepest as f64 + 0.5),
            y: Axis::linear("share of the reads", Unit::Share, 0.0, most * 1.08),
            edges: Vec::new(),
            marks: vec![Mark::Bars {
                name: String::new(),
                ink: Ink::Read,
                bars,
            }],
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
