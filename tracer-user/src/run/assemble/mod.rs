//! Observations → the record of a run. Counts come from the kernel's aggregates, which need no room in the
//! ring buffer; order, time and sizes come from the stream.

pub mod attribution;
pub mod model;

use std::collections::BTreeSet;

use tracer_common::{
    counters::{LostRecords, Operation},
    page::PAGE_BYTES,
    program::Program,
    record::Kind,
};

use self::{
    attribution::Surroundings,
    model::{cache, files_of, in_first_pid_namespace, reads},
};
use super::{
    checks::{self, attribution as attribution_checks},
    stream::FinishedStream,
    watch::residency_moments::ResidencyMoment,
    window::ClosedWindow,
};
use crate::{
    assemble::{identity, stream_members},
    place::{ModelPieces, Subject},
    probe::{Aggregates, ProgramRun},
    schema::{
        Check, DeviceRecord, LossRecord, ModelRecord, OverheadRecord, ProgramOverhead,
        ResidencyPointRecord, RunRecord,
    },
    stats::Nanos,
};

/// Residency of the models over the run.
#[derive(Clone, Debug, Default)]
pub struct ResidencyCourse {
    /// Before the start.
    pub before: ResidencyMoment,
    /// When loading ended, where that was noticed.
    pub load_end: Option<ResidencyMoment>,
    /// When the engine printed its timings, where that was noticed.
    pub last_token: Option<ResidencyMoment>,
    /// After the end.
    pub after: ResidencyMoment,
    /// At other moments.
    pub others: Vec<ResidencyMoment>,
}

/// Fills in everything of a record that comes from the window.
pub fn fill(
    record: &mut RunRecord,
    subject: &Subject,
    window: ClosedWindow,
    course: &ResidencyCourse,
    engine_process_ids: &BTreeSet<u32>,
    pieces: &[ModelPieces],
) {
    let ClosedWindow {
        stream,
        mut aggregates,
        kernel_counts,
        programs,
        opened_nanos,
        closed_nanos,
        opening,
        closing,
        tracer_cpu,
        faults,
    } = window;
    record.notes.extend(faults);
    let stream = stream.finish(
        Nanos(closed_nanos),
        &aggregates.waiting,
        &aggregates.unseen_at_end,
    );
    if !kernel_counts {
        stream
            .undivided
            .complete(&mut aggregates, &stream.models, &stream.latency_buckets);
        record.notes.push(
            "this kernel's eBPF cannot count a model's reads in the kernel (Linux 5.17 can): figures come from the records alone, without a second road to compare them with"
                .to_owned(),
        );
    }
    let lost = aggregates.lost_records;
    let lost_records = losses_of_reads(&lost);
    let lost_events = lost.total();
    record.time.wall_s = closed_nanos.saturating_sub(opened_nanos) as f64 / 1e9;
    if kernel_counts {
        record.checks = checks::of_stream(&aggregates, &stream);
    }
    record.checks.push(checks::of_programs(&programs));
    let absorbed = aggregates
        .devices
        .iter()
        .map(|(issues, _)| issues.absorbed_after_requeue)
        .sum();
    record.residency_course = residency_course(&stream.residency, course, opened_nanos);
    let foreign: u64 = stream
        .waits_by_process
        .iter()
        .filter(|(process, _)| !engine_process_ids.contains(process))
        .map(|(_, nanos)| nanos)
        .sum();
    if foreign > 0 && in_first_pid_namespace() {
        record.notes.push(format!(
            "processes that are not the engine's waited {:.3} s for pages of the models; these waits are in the stalls",
            foreign as f64 / 1e9
        ));
    }
    let several = subject.models.len() > 1;
    let mut models = Vec::with_capacity(subject.models.len());
    for (slot, model) in subject.models.iter().enumerate() {
        let (Some(kernel), Some(figures), Some(buckets), Ok(number)) = (
            aggregates.models.get(slot),
            stream.models.get(slot),
            stream.latency_buckets.get(slot),
            u16::try_from(slot),
        ) else {
            continue;
        };
        let unfinished = checks::unfinished(&aggregates, &stream.locator, number);
        let prefix = if several {
            format!("{}: ", model.name)
        } else {
            String::new()
        };
        let mut own = ModelRecord {
            model: identity(subject, model, pieces.get(slot)),
            cache: cache(model, &aggregates, course, slot),
            accountings: stream
                .accountings
                .as_ref()
                .and_then(|accountings| accountings.get(slot))
                .map(|figures| stream_members::accountings(figures)),
            ..ModelRecord::default()
        };
        if let (Some(attribution), Some(pieces)) = (stream.attributions.get(slot), pieces.get(slot))
        {
            record.notes.extend(pieces.notes.iter().cloned());
            let around = Surroundings {
                pieces,
                opened: Nanos(opened_nanos),
                has_sectors: own.model.without_sectors.is_none(),
                waits_observed: programs.iter().any(|run| run.program == Program::Switch),
                faults_observed: programs.iter().any(|run| run.program == Program::PageFault),
                lookups_observed: programs
                    .iter()
                    .any(|run| run.program == Program::PageLookup),
                data_bytes: own.model.data_bytes,
                calls: &stream.calls,
                last_probed: stream.last_probed,
            };
            attribution::fill(&mut own, attribution, &around);
            if !kernel_counts {
                own.cache.refaults = Some(attribution.pages.refaulted_pages);
            }
            record.checks.extend(attribution_checks::of_model(
                &prefix,
                kernel,
                &files_of(model, &aggregates),
                attribution,
                lost_events,
            ));
        }
        if let Some(reason) = &own.model.without_sectors {
            record.notes.push(format!(
                "{}: no figures of reads, those of the page cache only: {reason}",
                model.name
            ));
            models.push(own);
            continue;
        }
        record.checks.extend(if kernel_counts {
            checks::of_model(
                &prefix,
                kernel,
                figures,
                buckets,
                unfinished,
                absorbed,
                lost_records,
            )
        } else {
            checks::of_records(&prefix, figures, unfinished)
        });
        // A read that ended unseen and was noticed after the window kept the device busy in the stream.
        let busy_is_known = unfinished.unseen == kernel.issues.unseen_completions;
        models.push(ModelRecord {
            reads: Some(reads(
                subject,
                model,
                (kernel, kernel_counts),
                figures,
                unfinished,
                engine_process_ids,
            )),
            gaps: Some(stream_members::gaps(kernel.issues.gaps, figures)),
            bandwidth: Some(stream_members::bandwidth(figures, busy_is_known)),
            latency_us: Some(stream_members::latency(
                figures,
                (!several).then(|| {
                    aggregates
                        .devices
                        .iter()
                        .map(|(_, completes)| completes.unmatched)
                        .sum()
                }),
            )),
            ..own
        });
    }
    for (slot, disk) in subject.disks.iter().enumerate() {
        if let (Some(opening), Some(closing)) = (opening.get(slot), closing.get(slot)) {
            record.checks.extend(checks::of_device(
                &disk.name,
                slot,
                &aggregates,
                opening,
                closing,
                disk.counts(),
            ));
            let statistics = checks::statistics_window(opening, closing);
            let device = device(subject, slot, &aggregates, statistics);
            if let Some((issues, _)) = aggregates.devices.get(slot) {
                let share =
                    attribution::device_share(&disk.name, issues, device.statistics_sectors_read);
                let short = if kernel_counts { 0 } else { lost_records };
                record
                    .checks
                    .push(attribution_checks::of_share(&share, short));
                record.device_share.push(share);
            }
            record.devices.push(device);
        }
    }
    for file in &subject.files {
        if file.extents.extents.iter().any(|extent| extent.shared) {
            record.notes.push(format!(
                "{} shares blocks with another file (reflink): reads of those count as the model's, whoever wanted them",
                file.path.display()
            ));
        }
    }
    let moved = subject.moved_files();
    record.checks.push(Check {
        name: "the models' extents are the same after the run".to_owned(),
        holds: Some(moved.is_empty()),
        left: "extents before".to_owned(),
        right: if moved.is_empty() {
            "the same after".to_owned()
        } else {
            format!("moved or rewritten during the run: {moved:?}")
        },
    });
    record.loss = losses(&aggregates, &programs);
    record.overhead = overhead(&programs, &stream, tracer_cpu.as_secs_f64());
    record.complete = lost_events == 0
        && record.loss.unseen_completions == 0
        && record.loss.late_issues == 0
        && record.violations().next().is_none();
    if several {
        record.models = models;
    } else {
        record.single = models.into_iter().next();
    }
}

/// Residency over time: by the events, and by the kernel's own count where it was asked.
fn residency_course(
    by_events: &[(Nanos, Vec<Option<u64>>)],
    course: &ResidencyCourse,
    opened_nanos: u64,
) -> Vec<ResidencyPointRecord> {
    let at_s = |nanos: u64| nanos.saturating_sub(opened_nanos) as f64 / 1e9;
    let mut points: Vec<ResidencyPointRecord> = by_events
        .iter()
        .map(|(time, pages)| ResidencyPointRecord {
            at_s: at_s(time.0),
            by_events_bytes: pages
                .iter()
                .map(|pages| pages.map(|pages| pages * PAGE_BYTES))
                .collect(),
            ..ResidencyPointRecord::default()
        })
        .collect();
    let moments = std::iter::once(&course.before)
        .chain(&course.load_end)
        .chain(&course.last_token)
        .chain(&course.others)
        .chain(std::iter::once(&course.after));
    points.extend(moments.map(|moment| ResidencyPointRecord {
        at_s: at_s(moment.at_nanos),
        by_events_bytes: Vec::new(),
        by_cachestat_bytes: Some(moment.bytes.clone()),
        dirty_bytes: Some(moment.dirty_bytes.clone()),
        recently_evicted_bytes: Some(moment.recently_evicted_bytes.clone()),
    }));
    points.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    points
}

fn device(
    subject: &Subject,
    slot: usize,
    aggregates: &Aggregates,
    statistics: Option<(u64, u64)>,
) -> DeviceRecord {
    let Some(disk) = subject.disks.get(slot) else {
        return DeviceRecord::default();
    };
    let (issues, _) = aggregates.devices.get(slot).copied().unwrap_or_default();
    let of = |operation: Operation| {
        (
            issues.requests[operation as usize],
            issues.bytes[operation as usize],
        )
    };
    let (reads, read_bytes) = of(Operation::Read);
    let (writes, write_bytes) = of(Operation::Write);
    DeviceRecord {
        name: disk.name.clone(),
        number: disk.device.to_string(),
        device_model: disk.model.clone(),
        scheduler: disk.queue.scheduler.clone(),
        read_ahead_kb: disk.queue.read_ahead_kib,
        max_sectors_kb: disk.queue.max_sectors_kib,
        rotational: disk.queue.rotational,
        reads,
        read_bytes,
        other_reads: reads.saturating_sub(issues.model_reads),
        other_read_bytes: read_bytes.saturating_sub(issues.model_bytes),
        metadata_reads: issues.metadata_reads,
        writes,
        write_bytes,
        flushes: of(Operation::Flush).0,
        discards: of(Operation::Discard).0,
        other_requests: of(Operation::Other).0,
        statistics_sectors_read: statistics
            .filter(|(low, high)| low == high)
            .map(|(low, _)| low),
    }
}

/// Lost records of reads' issues, and of reads that ended unseen.
const fn losses_of_issues(lost: &LostRecords) -> u64 {
    lost.of(Kind::Issue) + lost.of(Kind::Unseen)
}

/// Lost records of reads.
const fn losses_of_reads(lost: &LostRecords) -> u64 {
    losses_of_issues(lost) + lost.of(Kind::Complete) + lost.of(Kind::Requeue)
}

fn losses(aggregates: &Aggregates, programs: &[ProgramRun]) -> LossRecord {
    let lost = &aggregates.lost_records;
    let over_devices = |pick: fn(&tracer_common::counters::DeviceIssueCounters) -> u64| {
        aggregates
            .devices
            .iter()
            .map(|(issues, _)| pick(issues))
            .sum()
    };
    LossRecord {
        ring_buffer_records: lost.total(),
        ring_buffer_issues: losses_of_issues(lost),
        ring_buffer_completions: lost.of(Kind::Complete),
        ring_buffer_requeues: lost.of(Kind::Requeue),
        ring_buffer_pages: lost.of(Kind::Page),
        ring_buffer_waits: lost.of(Kind::Wait),
        ring_buffer_marks: lost.of(Kind::Mark),
        ring_buffer_stages: lost.of(Kind::Stage),
        recursion_misses: programs.iter().map(|run| run.recursion_misses).sum(),
        unseen_completions: over_devices(|issues| issues.unseen_completions)
            + aggregates.unseen_at_end.len() as u64,
        unseen_at_end: aggregates.unseen_at_end.len() as u64,
        untimed_reads: over_devices(|issues| issues.untimed_reads),
        late_issues: aggregates.late_issues,
    }
}

fn overhead(programs: &[ProgramRun], stream: &FinishedStream, tracer_cpu_s: f64) -> OverheadRecord {
    OverheadRecord {
        tracer_cpu_s,
        ring_buffer_records: stream.counts.total(),
        programs: programs
            .iter()
            .filter_map(|run| {
                let run_time = run.run_time?;
                Some(ProgramOverhead {
                    program: run.program.name().to_owned(),
                    calls: run_time.calls,
                    total_ns: u64::try_from(run_time.time.as_nanos()).unwrap_or(u64::MAX),
                })
            })
            .collect(),
    }
}
