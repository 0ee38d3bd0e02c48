//! An old trace's record as terminal table and `report.md`: the tables of a run, as far as a trace can fill them.

use std::fmt::Write as _;

use crate::{
    schema::{BlockTraceRecord, TraceLossRecord},
    units::{bytes, count, observed_count, seconds, share},
};

use super::{
    figures::{Section, gap_rows, read_rows, row, speed_rows},
    markdown::{checks, devices, escaped, every_figure, gaps, sizes},
    terminal::table_of,
};

/// What a live run can say and a trace cannot.
const BY_ENGINE: &str = "issued by the engine";

fn sections(record: &BlockTraceRecord) -> Vec<Section> {
    let mut reads = read_rows(&record.model);
    reads.retain(|row| row.name != BY_ENGINE);
    if record.extents_from.is_none()
        && let Some(size) = reads.first_mut()
    {
        *size = row(
            "range of the reads",
            bytes(record.model.model.size_bytes),
            "from the first sector read to the last; without --model everything read there counts",
        );
    }
    if let (Some(thread), Some(figures)) = (record.thread_id, &record.model.reads) {
        reads.push(row(
            format!("issued by thread {thread}"),
            share(figures.process_share.share),
            "bytes read while this thread was current; workers and kernel threads read for it, too",
        ));
    }
    let sections = [
        ("Trace", trace_rows(record)),
        ("Reads from the device", reads),
        (
            "Gaps between consecutive reads",
            record.model.gaps.as_ref().map(gap_rows).unwrap_or_default(),
        ),
        ("Bandwidth and latency", speed_rows(&record.model)),
    ];
    sections
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(title, rows)| Section {
            title: title.to_owned(),
            rows,
        })
        .collect()
}

fn trace_rows(record: &BlockTraceRecord) -> Vec<super::figures::Row> {
    let mut rows = vec![
        row(
            "records",
            count(record.records),
            "of all devices and kinds; several are of one request",
        ),
        row(
            "time",
            seconds(Some(record.time.wall_s)),
            "from the first record to the last one; what happened before and after is not known",
        ),
        row(
            "missing records",
            observed_count(record.loss.missing_records),
            "by their numbers; what the kernel dropped for want of buffers leaves no mark in the files",
        ),
    ];
    for device in &record.devices {
        let others = if device.other_reads > 0 && record.extents_from.is_some() {
            format!(", {} of them not of the model", count(device.other_reads))
        } else {
            String::new()
        };
        rows.push(row(
            format!("device {}", device.name),
            format!(
                "{} reads ({}){others}",
                count(device.reads),
                bytes(device.read_bytes)
            ),
            "requests that were issued, each once",
        ));
    }
    rows
}

/// What is missing, in words.
pub(super) fn losses(text: &mut String, loss: &TraceLossRecord, partial_reason: Option<&str>) {
    // Writing to a String cannot fail, so the results are dropped.
    match loss.missing_records {
        Some(0) => {}
        Some(missing) => {
            let _ = writeln!(
                text,
                "INCOMPLETE: {} records are missing; no figure is sure.",
                count(missing)
            );
        }
        None => {
            text.push_str("INCOMPLETE: records are missing or were left out; no figure is sure.\n")
        }
    }
    if let Some(dropped) = loss.dropped_records.filter(|dropped| *dropped > 0) {
        let _ = writeln!(
            text,
            "INCOMPLETE: blktrace dropped {} records; no figure is sure.",
            count(dropped)
        );
    }
    if loss.late_records > 0 {
        let _ = writeln!(
            text,
            "INCOMPLETE: {} records are out of the order of time by more than could be put right; gaps, latency and re-issues are not sure. Are these two recordings in one?",
            count(loss.late_records)
        );
    }
    if let Some(reason) = partial_reason {
        let _ = writeln!(text, "PARTIAL: {reason}");
    }
}

fn verdict(record: &BlockTraceRecord) -> String {
    let mut text = String::new();
    let checked = record.checks.iter().filter(|check| check.holds.is_some());
    let checked = checked.count();
    let violated = record.violations().count();
    if violated == 0 {
        let _ = writeln!(text, "{checked} self-checks, all hold.");
    } else {
        let _ = writeln!(
            text,
            "{violated} of {checked} self-checks DO NOT HOLD; do not quote the figures they are about:"
        );
        for check in record.violations() {
            let _ = writeln!(text, "  {}: {} ≠ {}", check.name, check.left, check.right);
        }
    }
    losses(&mut text, &record.loss, record.partial_reason.as_deref());
    if let Some(source) = &record.extents_from {
        let _ = writeln!(text, "Extents of the model: {source}.");
    }
    for note in &record.notes {
        let _ = writeln!(text, "Note: {note}");
    }
    text
}

/// The trace as a table of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn block_trace_terminal(record: &BlockTraceRecord, columns: Option<u16>) -> String {
    table_of(sections(record), columns) + &verdict(record)
}

/// The whole report.
#[must_use]
pub fn block_trace_markdown(record: &BlockTraceRecord) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "# Old trace of {}\n",
        escaped(&record.model.model.path)
    );
    let _ = writeln!(
        text,
        "{} ({}), {}, tracer {}.\n",
        escaped(&record.files.join(", ")),
        escaped(&record.format),
        record.recorded_at.as_deref().unwrap_or("date not observed"),
        record.tracer_version
    );
    for line in verdict(record).lines() {
        let _ = writeln!(text, "> {}  ", escaped(line));
    }
    text.push('\n');
    gaps(&mut text, &record.model);
    sizes(&mut text, &record.model);
    devices(&mut text, &record.devices);
    every_figure(&mut text, sections(record));
    checks(&mut text, &record.checks);
    text
}

#[cfg(test)]
mod tests {
    use crate::schema::{BlockTraceRecord, Check, TraceLossRecord};

    use super::{block_trace_markdown, block_trace_terminal};

    #[test]
    fn what_is_missing_is_shouted() {
        let record = BlockTraceRecord {
            loss: TraceLossRecord {
                missing_records: Some(1017),
                dropped_records: Some(5),
                late_records: 3,
                ..TraceLossRecord::default()
            },
            checks: vec![Check::equal("dispatches", ("lines", 8), ("summary", 7))],
            partial_reason: Some("t.txt, line 9: the last line is cut off".to_owned()),
            ..BlockTraceRecord::default()
        };
        for text in [
            block_trace_terminal(&record, None),
            block_trace_markdown(&record),
        ] {
            for part in [
                "1,017 records are missing",
                "dropped 5",
                "3 records are out of the order",
                "DO NOT HOLD",
                "PARTIAL: t.txt, line 9",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        let unknown = BlockTraceRecord::default();
        let text = block_trace_terminal(&unknown, None);
        assert!(text.contains("INCOMPLETE: records are missing or were left out"));
        assert!(!text.contains("DO NOT HOLD"));
    }
}
