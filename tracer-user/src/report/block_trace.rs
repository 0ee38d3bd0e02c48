//! An old trace as a document: the figures of a run, as far as a trace can give them.

use crate::{
    figures::{model, reads, selections::TRACE},
    schema::{BlockTraceRecord, TraceLossRecord},
    units::{bytes, count, observed_count, seconds},
};

use super::{
    document::{self, Document, Note, Table, Text, Tone},
    figure_table, model_tables, verdict,
};

/// What the trace itself is.
fn of_trace(record: &BlockTraceRecord) -> Table {
    let mut table = Table::new(figure_table::HEADINGS);
    table.row([
        "records",
        &count(record.records),
        "of all devices and kinds; several are of one request",
    ]);
    table.row([
        "time",
        &seconds(Some(record.time.wall_s)),
        "from the first record to the last one; what happened before and after is not known",
    ]);
    table.row([
        "missing records",
        &observed_count(record.loss.missing_records),
        "by their numbers; what the kernel dropped for want of buffers leaves no mark in the files",
    ]);
    for device in &record.devices {
        let others = if device.other_reads > 0 && record.extents_from.is_some() {
            format!(", {} of them not of the model", count(device.other_reads))
        } else {
            String::new()
        };
        table.row([
            &format!("device {}", device.name),
            &format!(
                "{} reads ({}){others}",
                count(device.reads),
                bytes(device.read_bytes)
            ),
            "requests that were issued, each once",
        ]);
    }
    table
}

/// What is the trace's own about the model: a range without extents, one thread's share.
fn of_model(record: &BlockTraceRecord) -> Table {
    let mut table = Table::new(figure_table::HEADINGS);
    let size = model::SIZE_BYTES.show(&record.model);
    if record.extents_from.is_some() {
        table.row(["size", &size, model::SIZE_BYTES.meaning]);
    } else {
        table.row([
            "range of the reads",
            &size,
            "from the first sector read to the last; without --model everything read there counts",
        ]);
    }
    if let Some(thread) = record.thread_id {
        table.row([
            &format!("issued by thread {thread}"),
            &reads::ENGINE_SHARE.show(&record.model),
            "bytes read while this thread was current; workers and kernel threads read for it, too",
        ]);
    }
    table
}

/// What is missing, in words.
pub(super) fn losses(loss: &TraceLossRecord, partial_reason: Option<&str>) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut caution = |words: String| notes.push(Note::new(Tone::Caution, words));
    match loss.missing_records {
        Some(0) => {}
        Some(missing) => caution(format!(
            "INCOMPLETE: {} records are missing; no figure is sure.",
            count(missing)
        )),
        None => caution(
            "INCOMPLETE: records are missing or were left out; no figure is sure.".to_owned(),
        ),
    }
    if let Some(dropped) = loss.dropped_records.filter(|dropped| *dropped > 0) {
        caution(format!(
            "INCOMPLETE: blktrace dropped {} records; no figure is sure.",
            count(dropped)
        ));
    }
    if loss.late_records > 0 {
        caution(format!(
            "INCOMPLETE: {} records are out of the order of time by more than could be put right; gaps, latency and re-issues are not sure. Are these two recordings in one?",
            count(loss.late_records)
        ));
    }
    if let Some(reason) = partial_reason {
        caution(format!("PARTIAL: {reason}"));
    }
    notes
}

fn trust(document: &mut Document, record: &BlockTraceRecord) {
    verdict::of_checks(document, &record.checks);
    document.notes(losses(&record.loss, record.partial_reason.as_deref()));
    if let Some(source) = &record.extents_from {
        document.note(Tone::Plain, format!("Extents of the model: {source}."));
    }
    for note in &record.notes {
        document.note(Tone::Plain, Text::with_code(&format!("Note: {note}")));
    }
}

fn figures(document: &mut Document, record: &BlockTraceRecord) {
    document.heading(2, "Trace");
    document.table(of_trace(record));
    document.table(of_model(record));
    for (title, figures) in TRACE {
        document.heading(2, *title);
        document.table(figure_table::below(&record.model, figures));
    }
}

/// The trace in lines of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn block_trace_terminal(record: &BlockTraceRecord, columns: Option<u16>) -> String {
    let mut document = Document::default();
    trust(&mut document, record);
    figures(&mut document, record);
    document::terminal(&document, columns)
}

#[must_use]
pub fn block_trace_markdown(record: &BlockTraceRecord) -> String {
    let mut document = Document::default();
    document.heading(1, format!("Old trace of {}", record.model.model.path));
    document.paragraph(format!(
        "{} ({}), {}, tracer {}.",
        record.files.join(", "),
        record.format,
        record.recorded_at.as_deref().unwrap_or("date not observed"),
        record.tracer_version
    ));
    trust(&mut document, record);
    figures(&mut document, record);
    details(&mut document, record);
    document::markdown(&document)
}

fn details(document: &mut Document, record: &BlockTraceRecord) {
    if let Some(gaps) = &record.model.gaps {
        document.heading(2, "Gaps in detail");
        document.table(model_tables::gaps(&record.model));
        document.table(model_tables::distances(gaps));
    }
    let sizes = record
        .model
        .reads
        .iter()
        .flat_map(|reads| reads.sizes.iter().flatten());
    let sizes = model_tables::sizes(sizes);
    if !sizes.is_empty() {
        document.heading(2, "Request sizes");
        document.table(sizes);
    }
    document.heading(2, "Devices");
    document.table(model_tables::devices(&record.devices));
    document.heading(2, "Self-checks");
    document.table(verdict::table_of_checks(&record.checks));
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
