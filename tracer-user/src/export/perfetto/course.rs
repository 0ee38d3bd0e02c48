//! What the record says of the run's course: phases, steps, and values over time.

use std::io::{self, Write};

use crate::{
    run::PhasePart,
    schema::{ModelRecord, RunRecord},
};

use super::{
    lanes::Lanes,
    writer::{CounterValue, TraceWriter, TrackId, TrackKind, Value},
};

/// Seconds of a record, which have 9 places, as nanoseconds.
pub fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// The run as a whole: its own slice, with what a reader must know of it.
pub fn run<W: Write>(
    writer: &mut TraceWriter<W>,
    track: TrackId,
    record: &RunRecord,
    why_partial: &[String],
) -> io::Result<()> {
    let command = record.command.join(" ");
    let why = why_partial.join("; ");
    let mut annotations = vec![
        ("command", Value::Text(&command)),
        ("tracer_version", Value::Text(&record.tracer_version)),
        ("kernel", Value::Text(&record.kernel)),
        ("started_at", Value::Text(&record.started_at)),
        ("complete", Value::Bool(record.complete)),
        (
            "partial",
            Value::Bool(record.partial || !why_partial.is_empty()),
        ),
        ("lost_events", Value::Count(record.loss.ring_buffer_records)),
    ];
    if !why.is_empty() {
        annotations.push(("partial_reason", Value::Text(&why)));
    }
    let name = if record.partial || !why_partial.is_empty() {
        "run (a part of it)"
    } else {
        "run"
    };
    let end = nanos(record.time.wall_s);
    writer.slice(track, name, (0, Some(end)), &annotations)?;
    for mark in record.given_marks.iter().flatten() {
        let annotations = [
            ("by", Value::Text(mark.by.as_str())),
            ("uncertainty_s", Value::Number(mark.uncertainty_s)),
        ];
        let name = format!("given: {}", mark.phase);
        writer.instant(track, &name, nanos(mark.at_s), &annotations)?;
    }
    Ok(())
}

/// Phases and steps of a model. `parts`: the phases' parts, where a recording has them. Returns how many steps there are.
pub fn phases_and_steps<W: Write>(
    writer: &mut TraceWriter<W>,
    parent: TrackId,
    model: &ModelRecord,
    parts: Option<&[PhasePart]>,
) -> io::Result<u64> {
    let mut phases = Lanes::new(parent, "phases");
    match parts {
        Some(parts) => {
            for part in parts {
                let span = (part.from_ns, part.to_ns);
                phases.slice(writer, part.phase.name(), span, &[])?;
            }
        }
        None => {
            for phase in model.phases.iter().flatten() {
                let span = (nanos(phase.start_s), nanos(phase.end_s));
                // Where its parts lie is in a recording only.
                let own = nanos(phase.duration_s);
                let name = if (span.1.saturating_sub(span.0)).abs_diff(own) > 1_000 {
                    format!("{} (from its first part to its last)", phase.phase)
                } else {
                    phase.phase.clone()
                };
                phases.slice(writer, &name, span, &[("own_time_ns", Value::Count(own))])?;
            }
        }
    }
    let mut steps = Lanes::new(parent, "steps");
    let mut count = 0;
    for token in model.tokens.iter().flatten() {
        count += 1;
        let mut annotations = vec![
            ("step", Value::Count(token.step)),
            ("phase", Value::Text(&token.phase)),
        ];
        let counts = [
            ("tokens", token.tokens),
            ("reads", token.reads),
            ("read_bytes", token.read_bytes),
            ("need_bytes", token.need_bytes),
            ("major_faults", token.major_faults),
            ("refaulted_bytes", token.refaulted_bytes),
        ];
        let counts = counts.into_iter();
        annotations.extend(counts.filter_map(|(name, count)| Some((name, Value::Count(count?)))));
        if let Some(stall) = token.waits.stall_s {
            annotations.push(("stall_ns", Value::Count(nanos(stall))));
        }
        let begin = nanos(token.start_s);
        match token.duration_s {
            Some(duration) => {
                let end = begin.saturating_add(nanos(duration));
                steps.slice(writer, "step", (begin, end), &annotations)?;
            }
            None => steps.open_slice(writer, "step (its end is not known)", begin, &annotations)?,
        }
    }
    Ok(count)
}

/// What arrived, by the time.
pub fn bandwidth<W: Write>(
    writer: &mut TraceWriter<W>,
    parent: TrackId,
    model: &ModelRecord,
) -> io::Result<()> {
    let Some(arrivals) = model.arrivals.as_ref().filter(|own| own.window_s > 0.0) else {
        return Ok(());
    };
    let kind = TrackKind::Value("B/s");
    let description = "bytes that arrived in each part of the time, by its length";
    let track = writer.track(Some(parent), "bandwidth", kind, Some(description))?;
    let at = |number: usize| nanos(arrivals.window_s * number as f64);
    for (number, bytes) in arrivals.bytes.iter().enumerate() {
        let value = CounterValue::Number(*bytes as f64 / arrivals.window_s);
        writer.counter(track, at(number), value)?;
    }
    writer.counter(track, at(arrivals.bytes.len()), CounterValue::Number(0.0))
}

/// How much of a model was in memory.
pub fn residency<W: Write>(
    writer: &mut TraceWriter<W>,
    parent: TrackId,
    record: &RunRecord,
    slot: usize,
) -> io::Result<()> {
    let points = record.residency_course.iter();
    let of = |values: Option<&Vec<Option<u64>>>| values?.get(slot).copied().flatten();
    let by_events = points
        .clone()
        .map(|point| (point.at_s, of(Some(&point.by_events_bytes))));
    values(
        writer,
        parent,
        "in memory (by events)",
        TrackKind::Bytes,
        by_events,
    )?;
    let by_count = points
        .clone()
        .map(|point| (point.at_s, of(point.by_cachestat_bytes.as_ref())));
    values(
        writer,
        parent,
        "in memory (by cachestat)",
        TrackKind::Bytes,
        by_count,
    )?;
    let dirty = points.map(|point| (point.at_s, of(point.dirty_bytes.as_ref())));
    values(
        writer,
        parent,
        "changed and not written",
        TrackKind::Bytes,
        dirty,
    )
}

/// Memory of the engine, the machine, the engine's cgroup, and who waited for it.
pub fn memory<W: Write>(
    writer: &mut TraceWriter<W>,
    parent: TrackId,
    record: &RunRecord,
) -> io::Result<()> {
    type Point = crate::schema::MemoryPointRecord;
    type Figure = (&'static str, TrackKind, fn(&Point) -> Option<u64>);
    let figures: [Figure; 13] = [
        ("engine: anonymous", TrackKind::Bytes, |at| {
            at.process?.anonymous_bytes
        }),
        ("engine: mapped files", TrackKind::Bytes, |at| {
            at.process?.file_bytes
        }),
        ("engine: swapped out", TrackKind::Bytes, |at| {
            at.process?.swap_bytes
        }),
        ("machine: available", TrackKind::Bytes, |at| {
            at.system?.available_bytes
        }),
        ("machine: page cache", TrackKind::Bytes, |at| {
            at.system?.cached_bytes
        }),
        ("machine: dirty", TrackKind::Bytes, |at| {
            at.system?.dirty_bytes
        }),
        ("machine: refaults", TrackKind::Value("pages"), |at| {
            at.system?.workingset_refault_file_pages
        }),
        ("PSI memory, some waited", TrackKind::Value("us"), |at| {
            at.system?.psi_memory_some_us
        }),
        ("PSI memory, all waited", TrackKind::Value("us"), |at| {
            at.system?.psi_memory_full_us
        }),
        ("PSI I/O, some waited", TrackKind::Value("us"), |at| {
            at.system?.psi_io_some_us
        }),
        ("PSI I/O, all waited", TrackKind::Value("us"), |at| {
            at.system?.psi_io_full_us
        }),
        ("cgroup: all", TrackKind::Bytes, |at| at.cgroup?.usage_bytes),
        ("cgroup: page cache", TrackKind::Bytes, |at| {
            at.cgroup?.file_bytes
        }),
    ];
    for (name, kind, figure) in figures {
        let points = record.memory_course.iter();
        values(
            writer,
            parent,
            name,
            kind,
            points.map(|at| (at.at_s, figure(at))),
        )?;
    }
    Ok(())
}

/// A track of values, where there are any.
fn values<W: Write>(
    writer: &mut TraceWriter<W>,
    parent: TrackId,
    name: &str,
    kind: TrackKind,
    points: impl Iterator<Item = (f64, Option<u64>)>,
) -> io::Result<()> {
    let mut points = points
        .filter_map(|(at_s, value)| Some((at_s, value?)))
        .peekable();
    if points.peek().is_none() {
        return Ok(());
    }
    let track = writer.track(Some(parent), name, kind, None)?;
    for (at_s, value) in points {
        writer.counter(track, nanos(at_s), CounterValue::Whole(value))?;
    }
    Ok(())
}
