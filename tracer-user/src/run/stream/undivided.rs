//! Reads that the kernel side saw and did not divide among the models, on kernels whose eBPF can do no more
//! ([`crate::probe::Session::counts_models`]): the records are the only road to a figure.
//!
//! Each record has the time at which its program began, and they come in the order of these times: each read's predecessor
//! is the one before it there. With several CPUs that may be another order than that of the exchange on newer kernels, by
//! the nanoseconds between two programs' begins.

use std::collections::BTreeMap;

use tracer_common::{
    origin::{READ_ORIGINS, ReadOrigin},
    record::{IssueRecord, issue_flag},
};

use crate::{
    probe::{Aggregates, ModelAggregates},
    stats::{ModelFigures, Part},
};

/// What of undivided reads was whose.
#[derive(Clone, Debug, Default)]
pub struct UndividedReads {
    /// End of the last read, by device and model.
    last_ends: BTreeMap<(u8, u16), u64>,
    devices: BTreeMap<u8, DeviceBytes>,
}

#[derive(Clone, Copy, Debug, Default)]
struct DeviceBytes {
    of_models: [u64; READ_ORIGINS],
    of_others: [u64; READ_ORIGINS],
}

impl UndividedReads {
    /// What the kernel's exchange would have returned for a model's part of an undivided record.
    pub fn previous_end(&mut self, record: &IssueRecord, part: &Part) -> Option<u64> {
        if record.flags & issue_flag::REISSUE != 0 {
            return None;
        }
        self.last_ends
            .insert((record.device, part.model), part.end_sector)
    }

    /// An undivided record with so many bytes of models.
    pub fn count(&mut self, record: &IssueRecord, of_models: u64) {
        let reissue = record.flags & issue_flag::REISSUE != 0;
        let origin =
            usize::from((record.flags & issue_flag::ORIGIN_MASK) >> issue_flag::ORIGIN_SHIFT);
        if !reissue && ReadOrigin::of_number(origin).is_some() {
            let device = self.devices.entry(record.device).or_default();
            device.of_models[origin] += of_models;
            device.of_others[origin] += u64::from(record.bytes).saturating_sub(of_models);
        }
    }

    /// Fills in what the kernel side would have counted.
    pub fn complete(
        &self,
        aggregates: &mut Aggregates,
        models: &[ModelFigures],
        latency_buckets: &[Vec<u64>],
    ) {
        for (device, bytes) in &self.devices {
            let Some((issues, _)) = aggregates.devices.get_mut(usize::from(*device)) else {
                continue;
            };
            issues.model_bytes = bytes.of_models.iter().sum();
            issues.model_bytes_by_origin = bytes.of_models;
            for (sum, own) in issues
                .other_bytes_by_origin
                .iter_mut()
                .zip(&bytes.of_others)
            {
                *sum += own;
            }
        }
        aggregates.models = models
            .iter()
            .zip(latency_buckets)
            .map(|(figures, buckets)| of_figures(figures, buckets.clone()))
            .collect();
    }
}

fn of_figures(figures: &ModelFigures, latency_buckets: Vec<u64>) -> ModelAggregates {
    let requests = &figures.requests;
    let mut aggregates = ModelAggregates {
        unique_bytes: figures.reads.unique_bytes,
        latency_buckets,
        ..ModelAggregates::default()
    };
    let issues = &mut aggregates.issues;
    issues.reads = requests.reads;
    issues.reissues = requests.reissues + requests.remainders;
    issues.issued_bytes = requests.issued_bytes;
    issues.gaps = figures.gaps.map(|class| class.count).in_slots();
    issues.first_reads = requests.reads - issues.gaps.iter().sum::<u64>().min(requests.reads);
    issues.unseen_completions = requests.missed_completions;
    issues.unseen_bytes = requests.missing_bytes;
    aggregates.completes.reads = requests.completed_reads;
    aggregates.completes.completed_bytes = requests.completed_bytes;
    aggregates.completes.failed_reads = requests.failed_reads;
    aggregates.completes.failed_bytes = requests.failed_bytes;
    aggregates.requeues.requeues = requests.requeues;
    aggregates.requeues.requeued_bytes = requests.requeued_bytes;
    aggregates
}
