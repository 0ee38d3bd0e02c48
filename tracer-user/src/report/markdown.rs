//! `report.md`: the experiment's tables, then every figure with what it says.

use std::fmt::Write as _;

use crate::{
    schema::{Check, DeviceRecord, ModelRecord, OrderRecord, RunRecord},
    units::{
        bytes, count, factor, observed_bytes, observed_count, rate, seconds, share, unobserved,
    },
};

use super::{
    attribution::{attribution, device_share},
    audit::accountings,
    figures::{Section, sections},
    terminal::verdict,
};

/// The whole report.
#[must_use]
pub fn markdown(record: &RunRecord) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail, so the results are dropped throughout.
    let _ = writeln!(text, "# Run of {}\n", escaped(&record.command.join(" ")));
    let _ = writeln!(
        text,
        "{}, kernel {}, tracer {}. {}.\n",
        record.started_at,
        record.kernel,
        record.tracer_version,
        escaped(&record.exit.description)
    );
    for line in verdict(record).lines() {
        let _ = writeln!(text, "> {}  ", escaped(line));
    }
    text.push('\n');
    summary(&mut text, record);
    for model in record.all_models() {
        gaps(&mut text, model);
        cache(&mut text, model);
        sizes(&mut text, model);
        attribution(&mut text, model);
        if let Some(found) = &model.accountings {
            accountings(&mut text, found);
        }
    }
    devices(&mut text, &record.devices);
    device_share(&mut text, record);
    buffers(&mut text, record);
    mappings(&mut text, record);
    every_figure(&mut text, sections(record));
    checks(&mut text, &record.checks);
    overhead(&mut text, record);
    text
}

/// One table with a header; cells are escaped here.
pub(super) fn table(text: &mut String, header: &[&str], rows: &[Vec<String>]) {
    let _ = writeln!(text, "| {} |", header.join(" | "));
    let _ = writeln!(text, "|{}|", vec!["---"; header.len()].join("|"));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| escaped(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text.push('\n');
}

/// Paths and commands come from outside: what would break a table or be taken for markup is escaped.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '\\' | '`' | '*' | '_' | '<' | '[' | '#' => {
                safe.push('\\');
                safe.push(character);
            }
            '\n' | '\r' => safe.push(' '),
            control if control.is_control() => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

fn summary(text: &mut String, record: &RunRecord) {
    text.push_str("## Results\n\n");
    let rows: Vec<Vec<String>> = record
        .all_models()
        .map(|model| {
            vec![
                model.model.path.clone(),
                bytes(model.model.size_bytes),
                observed_count(model.model.extents),
                bytes(record.pressure.locked_bytes),
                observed_bytes(record.memory.available_before_bytes),
                seconds(Some(record.time.wall_s)),
                record
                    .engine
                    .tokens_per_s
                    .map_or_else(unobserved, |rate| format!("{rate:.2}")),
                observed_bytes(model.reads.as_ref().map(|reads| reads.total_bytes)),
                observed_bytes(model.reads.as_ref().map(|reads| reads.unique_bytes)),
                share(model.reads.as_ref().and_then(|reads| reads.coverage)),
                factor(model.reads.as_ref().and_then(|reads| reads.amplification)),
                share(model.gaps.as_ref().and_then(|gaps| gaps.backward.share)),
            ]
        })
        .collect();
    table(
        text,
        &[
            "model",
            "size",
            "extents",
            "locked",
            "available",
            "time",
            "tok/s",
            "total read",
            "unique",
            "coverage",
            "amplification",
            "backward",
        ],
        &rows,
    );
    let rows: Vec<Vec<String>> = record
        .all_models()
        .filter_map(|model| {
            let micros =
                |value: Option<f64>| value.map_or_else(unobserved, |value| format!("{value:.0}"));
            let (bandwidth, latency) = (model.bandwidth.as_ref()?, model.latency_us.as_ref()?);
            Some(vec![
                model.model.path.clone(),
                rate(bandwidth.average_bytes_per_s),
                rate(bandwidth.busy_bytes_per_s),
                rate(bandwidth.peak_bytes_per_s),
                micros(latency.p50),
                micros(latency.p90),
                micros(latency.p99),
                micros(latency.max),
            ])
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("## Bandwidth and latency\n\n");
    table(
        text,
        &[
            "model",
            "average",
            "while busy",
            "peak (100 ms)",
            "p50 µs",
            "p90 µs",
            "p99 µs",
            "max µs",
        ],
        &rows,
    );
}

pub(super) fn gaps(text: &mut String, model: &ModelRecord) {
    let Some(gaps) = &model.gaps else {
        return;
    };
    let _ = writeln!(
        text,
        "## Gaps between consecutive reads of {}\n",
        escaped(&model.model.path)
    );
    let order = |pick: fn(&OrderRecord) -> u64| {
        let order = &gaps.file_order;
        let all = order.sequential + order.small + order.medium + order.large + order.backward;
        if all == 0 {
            unobserved()
        } else {
            share(Some(pick(order) as f64 / all as f64))
        }
    };
    let rows: Vec<Vec<String>> = [
        (
            "sequential (gap = 0)",
            &gaps.sequential,
            order(|order| order.sequential),
        ),
        ("small (< 128 KiB)", &gaps.small, order(|order| order.small)),
        (
            "medium (128 KiB – 1 MiB)",
            &gaps.medium,
            order(|order| order.medium),
        ),
        ("large (> 1 MiB)", &gaps.large, order(|order| order.large)),
        (
            "backward (< 0)",
            &gaps.backward,
            order(|order| order.backward),
        ),
    ]
    .into_iter()
    .map(|(name, class, by_offset)| {
        vec![
            name.to_owned(),
            count(class.count),
            share(class.share),
            share(class.share_of_bytes),
            by_offset,
        ]
    })
    .collect();
    table(
        text,
        &[
            "gap",
            "reads",
            "share",
            "share of bytes",
            "share by file offset",
        ],
        &rows,
    );
    let _ = writeln!(
        text,
        "{} gaps; {} of the backward reads overlap the read before them. {} of the reads continue one of the last 32 reads (their own stream).\n",
        count(gaps.count),
        count(gaps.backward_overlapping),
        share(gaps.stream_sequential_share),
    );
    if !gaps.distances.is_empty() {
        let rows: Vec<Vec<String>> = gaps
            .distances
            .iter()
            .map(|bucket| {
                vec![
                    bucket.from_bytes.to_string(),
                    bucket.to_bytes.to_string(),
                    count(bucket.count),
                    share(bucket.cumulative_share),
                    bucket
                        .mean_queue_depth
                        .map_or_else(unobserved, |depth| format!("{depth:.1}")),
                ]
            })
            .collect();
        text.push_str("Signed distances:\n\n");
        table(
            text,
            &[
                "from, bytes",
                "to, bytes",
                "gaps",
                "cumulative",
                "queue depth",
            ],
            &rows,
        );
    }
}

fn cache(text: &mut String, model: &ModelRecord) {
    let cache = &model.cache;
    let _ = writeln!(text, "## Page cache of {}\n", escaped(&model.model.path));
    table(
        text,
        &[
            "before",
            "load end",
            "last token",
            "after",
            "delta",
            "of the model",
        ],
        &[vec![
            observed_bytes(cache.before_bytes),
            observed_bytes(cache.load_end_bytes),
            observed_bytes(cache.last_token_bytes),
            observed_bytes(cache.after_bytes),
            cache
                .delta_bytes
                .map_or_else(unobserved, crate::units::signed_bytes),
            match cache.delta_bytes {
                Some(delta) if model.model.size_bytes > 0 => {
                    share(Some(delta as f64 / model.model.size_bytes as f64))
                }
                _ => unobserved(),
            },
        ]],
    );
    let _ = writeln!(text, "Residency: {}.\n", escaped(&cache.residency_method));
    table(
        text,
        &[
            "inserts",
            "evictions",
            "refaults",
            "faults",
            "first-touch hits",
            "look-ups",
        ],
        &[vec![
            observed_count(cache.inserts),
            observed_count(cache.evictions),
            observed_count(cache.refaults),
            observed_count(cache.faults),
            observed_count(cache.first_touch_hits),
            observed_count(cache.lookups),
        ]],
    );
}

pub(super) fn sizes(text: &mut String, model: &ModelRecord) {
    let Some(reads) = model.reads.as_ref().filter(|reads| !reads.sizes.is_empty()) else {
        return;
    };
    let _ = writeln!(text, "## Request sizes of {}\n", escaped(&model.model.path));
    let rows: Vec<Vec<String>> = reads
        .sizes
        .iter()
        .map(|size| vec![bytes(size.bytes), count(size.count)])
        .collect();
    table(text, &["size", "reads"], &rows);
}

pub(super) fn devices(text: &mut String, devices: &[DeviceRecord]) {
    text.push_str("## Devices\n\n");
    let text_or = |value: &Option<String>| value.clone().unwrap_or_else(unobserved);
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| {
            vec![
                format!("{} ({})", device.name, device.number),
                text_or(&device.device_model),
                text_or(&device.scheduler),
                observed_count(device.read_ahead_kb),
                observed_count(device.max_sectors_kb),
                format!("{} ({})", count(device.reads), bytes(device.read_bytes)),
                format!(
                    "{} ({})",
                    count(device.other_reads),
                    bytes(device.other_read_bytes)
                ),
                format!("{} ({})", count(device.writes), bytes(device.write_bytes)),
            ]
        })
        .collect();
    table(
        text,
        &[
            "device",
            "model",
            "scheduler",
            "read_ahead_kb",
            "max_sectors_kb",
            "reads",
            "of them no model's",
            "writes",
        ],
        &rows,
    );
}

/// What the engine's log says of its memory.
fn buffers(text: &mut String, record: &RunRecord) {
    if record.engine.buffers.is_empty() {
        return;
    }
    text.push_str("## Buffers of the engine, by its log\n\n");
    let rows: Vec<Vec<String>> = record
        .engine
        .buffers
        .iter()
        .map(|buffer| {
            vec![
                buffer.device.clone().unwrap_or_else(unobserved),
                buffer.purpose.replace('_', " "),
                bytes(buffer.bytes),
            ]
        })
        .collect();
    table(text, &["memory", "for", "size"], &rows);
}

fn mappings(text: &mut String, record: &RunRecord) {
    let Some(mappings) = &record.process.mappings else {
        return;
    };
    let _ = writeln!(
        text,
        "## Largest mappings, {}\n",
        escaped(&mappings.taken_at)
    );
    let rows: Vec<Vec<String>> = mappings
        .largest
        .iter()
        .map(|mapping| {
            vec![
                mapping.address.clone(),
                mapping.permissions.clone(),
                bytes(mapping.size_bytes),
                observed_bytes(mapping.rss_bytes),
                observed_bytes(mapping.anonymous_bytes),
                observed_bytes(mapping.locked_bytes),
                mapping.path.clone(),
            ]
        })
        .collect();
    table(
        text,
        &[
            "address",
            "mode",
            "size",
            "resident",
            "anonymous",
            "locked",
            "mapped",
        ],
        &rows,
    );
}

pub(super) fn every_figure(text: &mut String, sections: Vec<Section>) {
    text.push_str("## Every figure\n\n");
    for section in sections {
        let _ = writeln!(text, "### {}\n", escaped(&section.title));
        let rows: Vec<Vec<String>> = section
            .rows
            .into_iter()
            .map(|row| vec![row.name.to_owned(), row.value, row.meaning.to_owned()])
            .collect();
        table(text, &["figure", "value", "what it says"], &rows);
    }
}

pub(super) fn checks(text: &mut String, checks: &[Check]) {
    text.push_str("## Self-checks\n\n");
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| {
            let answer = match check.holds {
                Some(true) => "holds",
                Some(false) => "DOES NOT HOLD",
                None => "not observed",
            };
            vec![
                check.name.clone(),
                answer.to_owned(),
                check.left.clone(),
                check.right.clone(),
            ]
        })
        .collect();
    table(text, &["check", "", "one road", "other road"], &rows);
}

fn overhead(text: &mut String, record: &RunRecord) {
    text.push_str("## What the tracer cost\n\n");
    let _ = writeln!(
        text,
        "{} of CPU time in user space for {} records.\n",
        seconds(Some(record.overhead.tracer_cpu_s)),
        count(record.overhead.ring_buffer_records)
    );
    if record.overhead.programs.is_empty() {
        text.push_str("The programs' own run time was not measured (`--measure-overhead`).\n");
        return;
    }
    let rows: Vec<Vec<String>> = record
        .overhead
        .programs
        .iter()
        .map(|program| {
            let mean = program.total_ns.checked_div(program.calls);
            vec![
                program.program.clone(),
                count(program.calls),
                format!("{:.3} ms", program.total_ns as f64 / 1e6),
                mean.map_or_else(unobserved, |mean| format!("{mean} ns")),
            ]
        })
        .collect();
    table(text, &["program", "calls", "time", "a call"], &rows);
}

#[cfg(test)]
mod tests {
    use crate::schema::{ModelIdentity, ModelRecord, RunRecord};

    use super::{escaped, markdown};

    #[test]
    fn foreign_text_cannot_break_a_table() {
        let record = RunRecord {
            single: Some(ModelRecord {
                model: ModelIdentity {
                    path: "a|b\nc".into(),
                    ..Default::default()
                },
                ..Default::default()
            }),
            ..Default::default()
        };
        let text = markdown(&record);
        let line = text
            .lines()
            .find(|line| line.contains("a\\|b c"))
            .unwrap_or_default();
        assert_eq!(line.matches(" | ").count(), 11, "{line}");
        assert_eq!(escaped("\u{1b}[31m"), "\u{fffd}\\[31m");
    }
}
