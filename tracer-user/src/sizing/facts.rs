//! What the record of a run holds.

use crate::{
    schema::{DeviceTestRecord, MeasuredSize, ModelRecord, RunRecord, TokenRecord},
    stats::formulas::quotient,
    units,
};

use super::not_known::{FEWEST_STEPS, NotKnown};

/// Less than this share of the weights that is copied changes nothing that matters.
const MOST_COPIED: f64 = 0.02;
/// Waits below this share of the time say nothing of how fast the device is.
const LEAST_WAIT_SHARE: f64 = 0.02;

/// What the record of a run holds for its size.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    pub run: &'a RunRecord,
    pub model: &'a ModelRecord,
    /// Generation steps of one token each.
    pub steps: Vec<&'a TokenRecord>,
    /// Bytes that each of them needs.
    pub need_bytes: u64,
    /// Memory beside the weights in the page cache.
    pub beside_bytes: u64,
    /// Whether that is what the cgroup counts, not the process alone.
    pub beside_of_cgroup: bool,
    /// The limit of the run, and what it read.
    pub measured: Option<MeasuredSize>,
    pub read_ahead_bytes: u64,
    pub computing_s: Option<f64>,
    /// Bytes for each second of waits, and where that comes from.
    pub rate: Option<(f64, &'static str)>,
}

impl<'a> Facts<'a> {
    /// # Errors
    /// The run says nothing of other sizes.
    pub fn of(run: &'a RunRecord, device: Option<&DeviceTestRecord>) -> Result<Self, NotKnown> {
        let model = match (&run.single, run.models.len()) {
            (Some(model), _) => model,
            (None, 0) => return Err(NotKnown::NoModel),
            (None, count) => return Err(NotKnown::SeveralModels(count)),
        };
        if !run.complete && run.loss.ring_buffer_records > 0 {
            return Err(NotKnown::Incomplete);
        }
        mapped(run, model)?;
        let no_steps = || NotKnown::NoSteps(run.detail.clone().unwrap_or_else(|| "events".into()));
        let tokens = model.tokens.as_deref().ok_or_else(no_steps)?;
        if model.tensors.as_ref().is_none_or(Vec::is_empty) {
            return Err(no_steps());
        }
        let steps: Vec<&TokenRecord> = tokens
            .iter()
            .filter(|token| token.phase == "generation" && token.duration_s.is_some())
            .collect();
        if steps
            .iter()
            .any(|step| step.tokens.is_some_and(|tokens| tokens != 1))
        {
            return Err(NotKnown::SeveralTokens);
        }
        if steps.len() < FEWEST_STEPS {
            return Err(NotKnown::TooFewSteps(steps.len()));
        }
        let need_bytes = steps
            .iter()
            .map(|step| step.need_bytes)
            .collect::<Option<Vec<u64>>>()
            .and_then(|needs| needs.into_iter().max())
            .filter(|need| *need > 0)
            .ok_or(NotKnown::NoNeed)?;
        let (beside_bytes, beside_of_cgroup) = beside(run, &steps).ok_or(NotKnown::NoMemory)?;
        let settled = &steps[steps.len() / 2..];
        let limit = run
            .pressure
            .cgroup
            .as_ref()
            .map(|cgroup| cgroup.limit_bytes);
        let read = mean(settled, |step| step.read_bytes.map(|bytes| bytes as f64));
        Ok(Self {
            run,
            model,
            need_bytes,
            beside_bytes,
            beside_of_cgroup,
            measured: limit
                .zip(read)
                .map(|(memory_bytes, read_bytes)| MeasuredSize {
                    memory_bytes,
                    read_bytes,
                    tokens_per_s: run.engine.tokens_per_s,
                }),
            read_ahead_bytes: read_ahead(run),
            computing_s: mean(settled, |step| {
                let waits = step.waits.stall_s? + step.waits.reclaim_s.unwrap_or(0.0);
                Some((step.duration_s? - waits).max(0.0))
            }),
            rate: rate(run, model, settled, device),
            steps,
        })
    }

    /// Whether the tokens of the second half read something.
    #[must_use]
    pub fn reads(&self) -> bool {
        let settled = &self.steps[self.steps.len() / 2..];
        settled
            .iter()
            .any(|step| step.read_bytes.is_some_and(|bytes| bytes > 0))
    }
}

/// Whether the page cache is where the engine takes its weights from.
fn mapped(run: &RunRecord, model: &ModelRecord) -> Result<(), NotKnown> {
    let size = model.model.size_bytes as f64;
    if let Some(copied) = run.engine.copied_weights_bytes
        && copied as f64 > MOST_COPIED * size
    {
        return Err(NotKnown::Copied(units::bytes(copied)));
    }
    let own = run.process.peak.and_then(|peak| peak.anonymous_bytes);
    let reads_it = matches!((model.cache.lookups, model.cache.faults),
        (Some(lookups), Some(faults)) if lookups > 8 * faults);
    match own {
        Some(own) if reads_it && own as f64 > size / 2.0 => Err(NotKnown::NotMapped {
            own: units::bytes(own),
            model: units::bytes(model.model.size_bytes),
        }),
        _ => Ok(()),
    }
}

/// Most memory beside the model's pages while tokens were generated, and whether the cgroup counted it.
fn beside(run: &RunRecord, steps: &[&TokenRecord]) -> Option<(u64, bool)> {
    let from = steps.first().map_or(0.0, |step| step.start_s);
    let points = || run.memory_course.iter().filter(|point| point.at_s >= from);
    // Short runs have few samples: the last one before generation says as much.
    let points: Vec<_> = if points().next().is_some() {
        points().collect()
    } else {
        run.memory_course.last().into_iter().collect()
    };
    let of_process = points.iter().filter_map(|point| {
        let process = point.process?;
        Some(
            process.anonymous_bytes?
                + process.shared_memory_bytes.unwrap_or(0)
                + process.page_table_bytes.unwrap_or(0),
        )
    });
    let of_cgroup = points.iter().filter_map(|point| {
        let cgroup = point.cgroup?;
        cgroup.usage_bytes?.checked_sub(cgroup.file_bytes?)
    });
    // Only a group made for the run holds nobody else.
    let of_cgroup = run.pressure.cgroup.as_ref().and_then(|_| of_cgroup.max());
    of_cgroup
        .map(|bytes| (bytes + other_files(run, from), true))
        .or_else(|| of_process.max().map(|bytes| (bytes, false)))
}

/// Page cache of the run's group that is not the model's (libraries, the engine's program), at least: what was in it at every
/// sample since `from`.
fn other_files(run: &RunRecord, from: f64) -> u64 {
    let model_at = |at_s: f64| {
        let before = run
            .residency_course
            .iter()
            .rev()
            .find(|point| point.at_s <= at_s)?;
        *before.by_events_bytes.first()?
    };
    let of_points = run
        .memory_course
        .iter()
        .filter(|point| point.at_s >= from)
        .filter_map(|point| {
            Some(
                point
                    .cgroup?
                    .file_bytes?
                    .saturating_sub(model_at(point.at_s)?),
            )
        });
    of_points.min().unwrap_or(0)
}

/// What the kernel reads ahead at most with this setting of a device. Engines that say they read in order
/// (POSIX_FADV_SEQUENTIAL, as llama.cpp does) get twice as much.
pub const fn advised_read_ahead(setting_bytes: u64) -> u64 {
    2 * setting_bytes
}

fn read_ahead(run: &RunRecord) -> u64 {
    let most = run.devices.iter().max_by_key(|device| device.read_bytes);
    let kilobytes = most.and_then(|device| device.read_ahead_kb).unwrap_or(128);
    advised_read_ahead(kilobytes * 1024)
}

fn mean(steps: &[&TokenRecord], of: impl Fn(&TokenRecord) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<f64>> = steps.iter().map(|step| of(step)).collect();
    let values = values?;
    quotient(values.iter().sum(), values.len() as f64)
}

/// How many bytes a second of waiting brings.
fn rate(
    run: &RunRecord,
    model: &ModelRecord,
    settled: &[&TokenRecord],
    device: Option<&DeviceTestRecord>,
) -> Option<(f64, &'static str)> {
    let sum = |of: &dyn Fn(&TokenRecord) -> Option<f64>| -> Option<f64> {
        settled.iter().map(|step| of(step)).sum()
    };
    let read = sum(&|step| step.read_bytes.map(|bytes| bytes as f64));
    let waits = sum(&|step| Some(step.waits.stall_s? + step.waits.reclaim_s.unwrap_or(0.0)));
    let time = sum(&|step| step.duration_s);
    if let (Some(read), Some(waits), Some(time)) = (read, waits, time)
        && read > 0.0
        && waits > LEAST_WAIT_SHARE * time
    {
        return Some((
            read / waits,
            "bytes read for each second of waits and reclaim in this run",
        ));
    }
    if let Some(device) = device {
        let best = device
            .patterns
            .iter()
            .filter_map(|pattern| Some(pattern.bytes_per_s?.median));
        let best = best.fold(0.0, f64::max);
        if best > 0.0 {
            return Some((
                best,
                "the best rate of the device test: a token waits at least so long",
            ));
        }
    }
    let _ = run;
    let busy = model.bandwidth.as_ref()?.busy_bytes_per_s?;
    (busy > 0.0).then_some((
        busy,
        "the rate while reads were in flight in this run, its load among them",
    ))
}
