//! One model's figures → its record.

use std::collections::BTreeSet;

use tracer_common::counters::EvictionAgent;

use crate::{
    place::{Subject, SubjectModel},
    probe::{Aggregates, FileAggregates, ModelAggregates, in_first_pid_namespace},
    run::{checks::Unfinished, watch::residency_moments::ResidencyMoment},
    schema::{CacheRecord, EvictionsByAgent, ProcessShare, ReadFigures, ReadsRecord},
    stats::{
        FileData, ModelFigures,
        pages::first_touch::first_touch_hits,
        reads::sizes::{classes_of_sizes, size_classes},
    },
};

use super::residency::ResidencyCourse;

/// What the kernel side counted for the files of a model.
pub(super) fn files_of(model: &SubjectModel, aggregates: &Aggregates) -> Vec<FileAggregates> {
    model
        .files
        .iter()
        .filter_map(|file| aggregates.files.get(*file).copied())
        .collect()
}

/// Both roads of one model's reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadSides<'a> {
    pub subject: &'a Subject,
    pub model: &'a SubjectModel,
    pub kernel: &'a ModelAggregates,
    /// Whether the kernel side counted the model's reads and writes itself.
    pub kernel_counts: bool,
    /// None where nothing was recorded.
    pub figures: Option<&'a ModelFigures>,
    pub unfinished: Unfinished,
    pub engine_process_ids: &'a BTreeSet<u32>,
}

impl ReadSides<'_> {
    /// What there is to read.
    pub fn size(&self) -> FileData {
        let files = self.subject.files_of(self.model);
        FileData::sum(files.map(|file| FileData {
            size_bytes: file.extents.size_bytes,
            hole_bytes: file.extents.holes_bytes,
        }))
    }

    fn process_share(&self) -> Option<ProcessShare> {
        // The programs see the process ids of the first namespace, the tracer those of its own.
        let figures = self.figures.filter(|_| in_first_pid_namespace())?;
        Some(figures.processes.of(self.engine_process_ids))
    }
}

pub(super) fn reads(sides: &ReadSides<'_>) -> ReadsRecord {
    let (kernel, unfinished) = (sides.kernel, sides.unfinished);
    let issued_bytes = kernel.issues.issued_bytes;
    let amount = ReadFigures {
        count: kernel.issues.reads,
        total_bytes: issued_bytes.saturating_sub(kernel.requeues.requeued_bytes),
        unique_bytes: kernel.unique_bytes,
        ..ReadFigures::default()
    };
    ReadsRecord {
        amount: amount.of_model(sides.size()),
        completed_bytes: kernel.completes.completed_bytes,
        failed: kernel.completes.failed_reads,
        failed_bytes: kernel.completes.failed_bytes,
        unseen: unfinished.unseen,
        unseen_bytes: unfinished.unseen_bytes,
        in_flight: unfinished.in_flight,
        in_flight_bytes: unfinished.in_flight_bytes,
        requeues: kernel.requeues.requeues,
        reissues: kernel.issues.reissues,
        readahead: if sides.kernel_counts {
            Some(kernel.issues.readahead_reads)
        } else {
            sides
                .figures
                .map(|figures| figures.requests.readahead_reads)
        },
        writes: sides.kernel_counts.then_some(kernel.issues.writes),
        write_bytes: sides.kernel_counts.then_some(kernel.issues.write_bytes),
        sizes: sides.figures.map(|figures| figures.request_sizes.clone()),
        size_classes: if sides.kernel_counts {
            Some(size_classes(kernel.issues.sizes))
        } else {
            sides
                .figures
                .map(|figures| classes_of_sizes(&figures.request_sizes))
        },
        process_share: sides.process_share(),
    }
}

/// Sum of one figure over a model's files; None where one of them was not observed.
fn observed_sum(
    model: &SubjectModel,
    aggregates: &Aggregates,
    pick: impl Fn(&FileAggregates) -> Option<u64>,
) -> Option<u64> {
    model
        .files
        .iter()
        .map(|file| aggregates.files.get(*file).and_then(&pick))
        .sum()
}

pub(super) fn cache(
    model: &SubjectModel,
    aggregates: &Aggregates,
    course: &ResidencyCourse,
    slot: usize,
) -> CacheRecord {
    let resident = |moment: &ResidencyMoment| moment.bytes.get(slot).copied().flatten();
    let (before, after) = (resident(&course.before), resident(&course.after));
    let agent = |agent: EvictionAgent| {
        observed_sum(model, aggregates, |file| {
            file.evictions
                .map(|evictions| evictions.pages[agent as usize])
        })
    };
    let by_agent = || {
        Some(EvictionsByAgent {
            kswapd: agent(EvictionAgent::Kswapd)?,
            direct_reclaim: agent(EvictionAgent::DirectReclaim)?,
            kernel_thread: agent(EvictionAgent::KernelThread)?,
            invalidation: agent(EvictionAgent::Invalidation)?,
        })
    };
    CacheRecord {
        delta_bytes: before
            .zip(after)
            .map(|(before, after)| after.cast_signed() - before.cast_signed()),
        before_bytes: before,
        load_end_bytes: course.load_end.as_ref().and_then(resident),
        last_token_bytes: course.last_token.as_ref().and_then(resident),
        after_bytes: after,
        // Known once all of the engine's log has been read (`dead_pages`).
        load_end_dead_bytes: None,
        after_dead_bytes: None,
        residency_method: course.after.methods.get(slot).cloned().unwrap_or_default(),
        inserts: observed_sum(model, aggregates, |file| {
            file.inserts.map(|inserts| inserts.pages)
        }),
        evictions: observed_sum(model, aggregates, |file| {
            file.evictions.map(|evictions| evictions.pages.iter().sum())
        }),
        evictions_by_agent: by_agent(),
        refaults: observed_sum(model, aggregates, |file| file.reinserted_pages),
        faults: observed_sum(model, aggregates, |file| {
            file.faults.map(|faults| faults.faults)
        }),
        lookups: observed_sum(model, aggregates, |file| {
            file.lookups.map(|lookups| lookups.lookups)
        }),
        first_touch_hits: observed_sum(model, aggregates, |file| {
            let (map_pages, faults) = (file.map_pages?, file.faults?);
            first_touch_hits(map_pages.tentative_hits, faults.retracted_hits)
        }),
    }
}
