//! A recording, read to its end → the figures of one of its devices.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::{
    stats::Nanos,
    storage::{KernelDevice, Sector},
};

use super::{
    device::{DeviceFindings, DeviceTrace},
    error::TraceError,
    model::ModelPlace,
    record::{Action, TraceRecord},
    trace::{Trace, TraceEnd},
};

/// Devices that one trace may have; beyond it the bytes are garbage that looks like records.
const MOST_DEVICES: usize = 1024;

/// What to look at.
#[derive(Debug, Default)]
pub struct AnalysisOptions {
    /// Which device; else the one that has reads.
    pub device: Option<KernelDevice>,
    /// The main thread.
    pub thread: Option<u32>,
    /// Where the model lies.
    pub model: Option<ModelPlace>,
}

/// What a recording says.
#[derive(Debug)]
pub struct Analysis {
    /// The device that was looked at.
    pub device: DeviceFindings,
    /// The others.
    pub other_devices: Vec<DeviceFindings>,
    /// Time of the first record.
    pub start: Nanos,
    /// Time of the last one.
    pub end: Nanos,
    /// What is known of the whole.
    pub trace: TraceEnd,
    /// Issues and re-issues of reads and flushes, of all devices.
    pub read_dispatches: u64,
}

/// Why a recording says nothing of the reads that were asked for.
#[derive(Debug, Error)]
pub enum AnalysisError {
    /// The files.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// No reads.
    #[error(
        "no read in this trace{0}: it was made of another device, while nothing was read, or of writes only"
    )]
    NoReads(String),
    /// The named device has no reads.
    #[error("no read of device {device} in this trace{others}; name one of these with --device")]
    NoReadsOfDevice {
        /// The device.
        device: String,
        /// What there is.
        others: String,
    },
    /// Several devices.
    #[error("reads of several devices in this trace{0}; choose one with --device")]
    SeveralDevices(String),
    /// No read of the model.
    #[error(
        "none of the {reads} reads of device {device}, sectors {from} to {to}, touches the model's extents, sectors {model_from} to {model_to}. Where the file system is on a partition, give its first sector with --partition-start; else the trace is of another file or device"
    )]
    NothingOfModel {
        /// The device.
        device: String,
        /// Its reads.
        reads: u64,
        /// First sector of them.
        from: u64,
        /// Sector after the last one.
        to: u64,
        /// First sector of the model.
        model_from: u64,
        /// Sector after the last one.
        model_to: u64,
    },
    /// Partitions.
    #[error(
        "the trace has remaps from several devices: {0}. Say with --partition-start where the model's partition begins"
    )]
    SeveralPartitions(String),
    /// More devices than any trace has.
    #[error("records of more than {MOST_DEVICES} devices: this is no trace")]
    TooManyDevices,
}

/// Reads a recording to its end.
///
/// # Errors
/// See [`AnalysisError`].
pub fn analyse(mut trace: Trace, options: &AnalysisOptions) -> Result<Analysis, AnalysisError> {
    let mut devices: BTreeMap<u32, DeviceTrace> = BTreeMap::new();
    let mut latest: Option<(u32, DeviceTrace)> = None;
    let (mut start, mut end) = (None, Nanos(0));
    while let Some(record) = trace.next_record()? {
        let start = *start.get_or_insert(record.time);
        end = end.max(record.time);
        // Most often the device of the record before: kept out of the map.
        let number = record.device.0;
        if latest.as_ref().is_none_or(|(device, _)| *device != number) {
            if let Some((device, trace)) = latest.take() {
                devices.insert(device, trace);
            }
            if devices.len() > MOST_DEVICES {
                return Err(AnalysisError::TooManyDevices);
            }
            let own = devices
                .remove(&number)
                .unwrap_or_else(|| new_device(record.device, start, options));
            latest = Some((number, own));
        }
        let Some((_, own)) = &mut latest else {
            continue;
        };
        own.take(&record);
        // Where a partition is traced, its remaps carry the disk's number, and nothing else does.
        if let Some((from, _)) = record.remapped_from
            && !own.is_traced()
            && from != record.device
        {
            devices
                .entry(from.0)
                .or_insert_with(|| new_device(from, start, options))
                .take(&TraceRecord {
                    device: from,
                    ..record
                });
        }
    }
    devices.extend(latest);
    let trace = trace.end()?;
    let findings: Vec<DeviceFindings> = devices
        .into_values()
        .map(|device| device.finish(end))
        .collect();
    let read_dispatches = findings.iter().map(|device| device.read_dispatches).sum();
    let (device, others) = choose(findings, options)?;
    Ok(Analysis {
        device,
        other_devices: others,
        start: start.unwrap_or_default(),
        end,
        trace,
        read_dispatches,
    })
}

fn new_device(device: KernelDevice, start: Nanos, options: &AnalysisOptions) -> DeviceTrace {
    DeviceTrace::new(device, start, options.model.as_ref(), options.thread)
}

/// The device that is meant, and the others.
fn choose(
    findings: Vec<DeviceFindings>,
    options: &AnalysisOptions,
) -> Result<(DeviceFindings, Vec<DeviceFindings>), AnalysisError> {
    let listed = list(&findings);
    // Devices without requests have queued and completed reads only.
    let any_issued = findings.iter().any(|device| device.counts.reads > 0);
    let (mut candidates, others): (Vec<_>, Vec<_>) =
        findings
            .into_iter()
            .partition(|device| match options.device {
                Some(wanted) => device.device == wanted && device.read_records > 0,
                None if any_issued => device.counts.reads > 0,
                None => device.read_records > 0,
            });
    let mut others = others;
    if candidates.len() > 1 && options.model.is_some() {
        let (of_model, rest): (Vec<_>, Vec<_>) = candidates
            .into_iter()
            .partition(|device| device.model_reads > 0);
        candidates = of_model;
        others.extend(rest);
    }
    if candidates.len() > 1 {
        return Err(AnalysisError::SeveralDevices(listed));
    }
    let Some(device) = candidates.pop() else {
        return Err(match options.device {
            Some(device) => AnalysisError::NoReadsOfDevice {
                device: printed(device),
                others: listed,
            },
            None => AnalysisError::NoReads(listed),
        });
    };
    if let Some(model) = &options.model
        && device.model_reads == 0
        && device.counts.reads > 0
    {
        let (from, to) = device.range.unwrap_or_default();
        let (model_from, model_to) = model.sector_range().unwrap_or_default();
        return Err(AnalysisError::NothingOfModel {
            device: printed(device.device),
            reads: device.counts.reads,
            from,
            to,
            model_from,
            model_to,
        });
    }
    Ok((device, others))
}

/// A device as blkparse prints it and `--device` takes it.
#[must_use]
pub fn printed(device: KernelDevice) -> String {
    format!("{},{}", device.major(), device.minor())
}

/// ` (254,0: 66 reads, 3 writes; …)`.
fn list(findings: &[DeviceFindings]) -> String {
    let devices: Vec<String> = findings
        .iter()
        .filter(|device| device.read_records + device.counts.writes + device.counts.flushes > 0)
        .map(|device| {
            format!(
                "{}: {} reads, {} writes",
                printed(device.device),
                device.counts.reads,
                device.counts.writes
            )
        })
        .collect();
    if devices.is_empty() {
        String::new()
    } else {
        format!(" ({})", devices.join("; "))
    }
}

/// Where the partition begins from which the reads of a trace were remapped: the records `A` say so. None without
/// any.
///
/// # Errors
/// Several of them.
pub fn partition_start(mut trace: Trace) -> Result<Option<Sector>, AnalysisError> {
    let mut starts: BTreeMap<(u32, u64), u64> = BTreeMap::new();
    while let Some(record) = trace.next_record()? {
        if record.action == Action::Remap
            && record.is_read()
            && let Some((from, sector)) = record.remapped_from
            && let Some(start) = record.sector.checked_sub(sector)
        {
            *starts.entry((from.0, start)).or_default() += 1;
            if starts.len() > MOST_DEVICES {
                return Err(AnalysisError::TooManyDevices);
            }
        }
    }
    let mut found = starts.keys();
    match (found.next(), found.next()) {
        (None, _) => Ok(None),
        (Some((_, start)), None) => Ok(Some(Sector(*start))),
        _ => {
            let list: Vec<String> = starts
                .iter()
                .map(|((device, start), reads)| {
                    let device = printed(KernelDevice(*device));
                    format!("{device} by {start} sectors ({reads} times)")
                })
                .collect();
            Err(AnalysisError::SeveralPartitions(list.join(", ")))
        }
    }
}
