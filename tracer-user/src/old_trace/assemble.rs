//! What a recording says → its record: the members of a run's record that an old trace can fill.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use anyhow::Context as _;

use crate::{
    assemble::stream_members,
    schema::{
        AUDIT_SCHEMA_VERSION, AuditRecord, BLOCK_TRACE_SCHEMA_VERSION, BlockTraceRecord, Check,
        DeviceRecord, ModelIdentity, ModelRecord, ReadFigures, ReadsRecord, TimeRecord,
        TraceLossRecord,
    },
    stats::{
        ModelFigures,
        audit::matching::{Expectation, explain},
        formulas::{amplification, coverage},
        reads::{latency::LatencyFigures, sizes::classes_of_sizes},
    },
    storage::{KernelDevice, SECTOR_BYTES, Sector},
};

use super::{
    analysis::{Analysis, AnalysisOptions, analyse, partition_start, printed},
    device::DeviceFindings,
    files::trace::{Trace, TraceEnd, recording_files},
    model::{FoundModel, find_model},
};

/// Which trace to look at, and what in it.
#[derive(Clone, Debug, Default)]
pub struct TraceRequest {
    /// The files, or the name of a binary recording.
    pub files: Vec<PathBuf>,
    pub device: Option<KernelDevice>,
    pub thread: Option<u32>,
    pub model: Option<PathBuf>,
    /// A saved output of filefrag, or of `tracer model --json`.
    pub extents_from: Option<PathBuf>,
    /// First sector of the partition that the extents are relative to.
    pub partition_start: Option<Sector>,
}

/// What was found, and where.
struct Found {
    analysis: Analysis,
    files: Vec<String>,
    loss: TraceLossRecord,
    model: Option<ModelIdentity>,
    extents_from: Option<String>,
    partition_start: Option<Sector>,
    notes: Vec<String>,
}

/// Looks at an old trace: the figures of a live run, as far as a trace can give them.
///
/// # Errors
/// Files that cannot be read or are no trace, with the place; a trace without the reads that were asked for.
pub fn trace_record(request: &TraceRequest) -> anyhow::Result<BlockTraceRecord> {
    let Found {
        analysis,
        files,
        loss,
        model,
        extents_from,
        partition_start,
        mut notes,
    } = look(request)?;
    let device = &analysis.device;
    anyhow::ensure!(
        device.counts.reads > 0,
        "no read of device {} was issued (no record D): it is a device without requests (device mapper, md, zram), or the trace was made without issues (blktrace -a). `tracer audit` shows what the other records give",
        printed(device.device)
    );
    let figures = &device.figures;
    let has_completions = device.completions > 0;
    if !has_completions {
        notes.push("the trace has no completions: what was issued is taken to have arrived, and there is neither bandwidth nor latency".to_owned());
    }
    if device.writes_to_model.is_none() && device.counts.writes > 0 {
        notes.push(format!(
            "{} writes to the device; which of them lie between its reads is not told without a model",
            device.counts.writes
        ));
    }
    let checks = checks(&analysis, &loss);
    let identity = model.unwrap_or_else(|| all_reads(device));
    let reads = reads(device, &identity, request.thread);
    let violated = checks.iter().any(|check| check.holds == Some(false));
    let partial_reason = loss.partial_reason();
    Ok(BlockTraceRecord {
        schema_version: BLOCK_TRACE_SCHEMA_VERSION,
        tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: "blktrace".to_owned(),
        files,
        format: analysis.trace.format.to_owned(),
        recorded_at: recorded_at(&analysis),
        time: TimeRecord {
            wall_s: figures.window.wall_s.unwrap_or(0.0),
            ..TimeRecord::default()
        },
        records: analysis.trace.records,
        thread_id: request.thread,
        extents_from,
        partition_start_sector: partition_start.map(|sector| sector.0),
        model: ModelRecord {
            model: identity,
            reads: Some(reads),
            gaps: Some(stream_members::gaps(gap_counts(figures), Some(figures))),
            bandwidth: has_completions.then(|| {
                if loss.is_none() {
                    figures.bandwidth
                } else {
                    figures.bandwidth.without_busy_time()
                }
            }),
            latency_us: has_completions.then(|| LatencyFigures {
                untimed: Some(
                    figures.requests.unmatched_completions + figures.requests.untimed_reads,
                ),
                ..figures.latency_us
            }),
            ..ModelRecord::default()
        },
        devices: devices(&analysis),
        partial: partial_reason.is_some(),
        partial_reason,
        complete: loss.is_none() && !violated,
        loss,
        checks,
        notes,
    })
}

/// Looks at an old trace under every accounting.
///
/// # Errors
/// As for [`trace_record`]; but a trace without issues will do.
pub fn audit_record(
    request: &TraceRequest,
    expected: Option<&Expectation>,
) -> anyhow::Result<AuditRecord> {
    let found = look(request)?;
    let Found { analysis, loss, .. } = found;
    let device = &analysis.device;
    let partial_reason = loss.partial_reason();
    Ok(AuditRecord {
        schema_version: AUDIT_SCHEMA_VERSION,
        tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
        files: found.files,
        format: analysis.trace.format.to_owned(),
        device: printed(device.device),
        model: found.model,
        first_sector: device.range.map(|(first, _)| first),
        end_sector: device.range.map(|(_, end)| end),
        accountings: device.accountings.clone(),
        expectation: expected.map(|expected| explain(&device.accountings, expected)),
        partial: partial_reason.is_some(),
        partial_reason,
        complete: loss.is_none()
            && checks(&analysis, &loss)
                .iter()
                .all(|check| check.holds != Some(false)),
        loss,
        notes: found.notes,
    })
}

fn look(request: &TraceRequest) -> anyhow::Result<Found> {
    let (files, left_out) = recording_files(&request.files)?;
    let mut notes = Vec::new();
    let mut added_start = None;
    let model = match find_model(request.model.as_deref(), request.extents_from.as_deref())? {
        None => None,
        Some(FoundModel::OnDisk(place)) => Some(*place),
        Some(FoundModel::InFileSystem(model)) => {
            let start = match request.partition_start {
                Some(start) => start,
                None => match partition_start(Trace::open(&files)?)? {
                    Some(start) => {
                        notes.push(format!(
                            "the partition begins at sector {start}, by the trace's remaps (records A)"
                        ));
                        start
                    }
                    None => {
                        notes.push("the trace has no remaps: the file system is taken to begin with the disk; else give --partition-start".to_owned());
                        Sector(0)
                    }
                },
            };
            added_start = Some(start);
            Some(model.at(start).context("the model's extents")?)
        }
    };
    let identity = model.as_ref().map(|model| model.identity.clone());
    let extents_from = model.as_ref().map(|model| model.source.clone());
    let options = AnalysisOptions {
        device: request.device,
        thread: request.thread,
        model,
    };
    let analysis = analyse(Trace::open(&files)?, &options)?;
    let loss = loss(&analysis.trace, &left_out, &mut notes);
    if analysis.trace.wrapped_lines > 0 {
        notes.push(format!(
            "{} records stood in two lines each, as mail programs break them, and were put together",
            analysis.trace.wrapped_lines
        ));
    }
    let device = &analysis.device;
    if device.early_completions > 0 {
        notes.push(format!(
            "{} reads completed before they were issued, by their time stamps: the clocks of two CPUs differ by up to {:.1} µs at least. They were matched by their sectors; they have no latency, and other latencies may be wrong by as much",
            device.early_completions,
            device.longest_skew.0 as f64 / 1e3
        ));
    }
    let printed_files = files.iter().map(|file| file.display().to_string());
    Ok(Found {
        files: printed_files.collect(),
        loss,
        model: identity,
        extents_from,
        partition_start: added_start,
        notes,
        analysis,
    })
}

fn loss(trace: &TraceEnd, left_out: &[PathBuf], notes: &mut Vec<String>) -> TraceLossRecord {
    let is_text = trace.format == super::files::trace::TEXT_FORMAT;
    let skipped = trace.summary.and_then(|summary| summary.skipped_records);
    let missing_records = match skipped {
        Some(skipped) => Some(skipped),
        None if is_text && trace.missing_by_sequence > 0 => {
            notes.push(format!(
                "{} records are not in the text by their numbers, and blkparse's summary, which would say whether blktrace lost them or somebody left them out, is not there",
                trace.missing_by_sequence
            ));
            None
        }
        None => Some(trace.missing_by_sequence),
    };
    TraceLossRecord {
        missing_records,
        dropped_records: trace.summary.and_then(|summary| summary.dropped_records),
        late_records: trace.late_records,
        cut_off: trace.cut_off.clone(),
        files_left_out: left_out
            .iter()
            .map(|file| file.display().to_string())
            .collect(),
    }
}

fn recorded_at(analysis: &Analysis) -> Option<String> {
    let clock = analysis.trace.wall_clock?;
    let at_clock = UNIX_EPOCH
        .checked_add(Duration::from_secs(clock.seconds.into()))?
        .checked_add(Duration::from_nanos(clock.nanos.into()))?;
    let moved = analysis.start.0.abs_diff(clock.time.0);
    let first = if analysis.start >= clock.time {
        at_clock.checked_add(Duration::from_nanos(moved))?
    } else {
        at_clock.checked_sub(Duration::from_nanos(moved))?
    };
    // Beyond the year 9999, which a damaged file may say, there is no such format.
    let last = UNIX_EPOCH.checked_add(Duration::from_secs(253_402_300_799))?;
    (UNIX_EPOCH..=last)
        .contains(&first)
        .then(|| humantime::format_rfc3339_seconds(first).to_string())
}

/// The "model" where nobody named one.
fn all_reads(device: &DeviceFindings) -> ModelIdentity {
    let (first, end) = device.range.unwrap_or_default();
    let bytes = (end - first).saturating_mul(SECTOR_BYTES);
    ModelIdentity {
        path: format!(
            "all reads of {}, sectors {first} to {end}",
            printed(device.device)
        ),
        size_bytes: bytes,
        data_bytes: Some(bytes),
        extents: Some(1),
        ..ModelIdentity::default()
    }
}

fn gap_counts(figures: &ModelFigures) -> [u64; tracer_common::gap::GAP_CLASSES] {
    figures.gaps.map(|gap| gap.count).in_slots()
}

fn reads(device: &DeviceFindings, identity: &ModelIdentity, thread: Option<u32>) -> ReadsRecord {
    let figures = &device.figures;
    let (reads, requests) = (&figures.reads, &figures.requests);
    let unique_bytes = device.issued_unique_bytes.unwrap_or(reads.unique_bytes);
    let data_bytes = identity.data_bytes.unwrap_or(identity.size_bytes);
    let (writes, write_bytes) = device.writes_to_model.unwrap_or_default();
    let threads: BTreeSet<u32> = thread.into_iter().collect();
    let mut process_share = figures.processes.of(&threads);
    process_share.share = process_share.share.filter(|_| thread.is_some());
    ReadsRecord {
        amount: ReadFigures {
            unique_bytes,
            coverage: coverage(unique_bytes, data_bytes),
            amplification: amplification(reads.total_bytes, unique_bytes),
            ..*reads
        },
        completed_bytes: requests.completed_bytes,
        failed: requests.failed_reads,
        failed_bytes: requests.failed_bytes,
        unseen: 0,
        unseen_bytes: 0,
        in_flight: requests.in_flight_reads,
        in_flight_bytes: requests.in_flight_bytes,
        requeues: requests.requeues,
        reissues: requests.reissues + requests.remainders,
        readahead: Some(requests.readahead_reads),
        writes: Some(writes),
        write_bytes: Some(write_bytes),
        sizes: Some(figures.request_sizes.clone()),
        size_classes: Some(classes_of_sizes(&figures.request_sizes)),
        process_share: Some(process_share),
    }
}

/// The chosen device with its figures, the others with their reads.
fn devices(analysis: &Analysis) -> Vec<DeviceRecord> {
    let mut chosen = analysis.device.counts.clone();
    chosen.name = printed(analysis.device.device);
    let others = analysis.other_devices.iter().map(|other| DeviceRecord {
        name: printed(other.device),
        ..other.counts.clone()
    });
    std::iter::once(chosen).chain(others).collect()
}

fn checks(analysis: &Analysis, loss: &TraceLossRecord) -> Vec<Check> {
    let figures = &analysis.device.figures;
    let mut checks: Vec<Check> = figures
        .all_laws()
        .map(|law| Check {
            left: format!("trace: {}", law.left),
            right: format!("trace: {}", law.right),
            ..law.clone()
        })
        .collect();
    const DISPATCHES: &str = "issues of reads and flushes = blkparse's read dispatches";
    if let Some(summary) = analysis.trace.summary {
        checks.push(match summary.read_dispatches {
            Some(dispatches) => Check::equal(
                DISPATCHES,
                ("lines of the text", analysis.read_dispatches),
                ("blkparse's summary", dispatches),
            ),
            None => Check::unobserved(
                DISPATCHES,
                format!("lines of the text: {}", analysis.read_dispatches),
                "blkparse's summary is abbreviated or has no such line",
            ),
        });
    }
    const MISSING: &str = "no record is missing by its number";
    checks.push(match loss.missing_records {
        Some(missing) => Check::equal(MISSING, ("missing", missing), ("expected", 0)),
        None => Check::unobserved(MISSING, "lost or left out", "no summary of blkparse"),
    });
    checks
}

#[cfg(test)]
mod tests;
