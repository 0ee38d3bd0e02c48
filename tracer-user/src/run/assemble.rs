//! Observations → the record of a run. Counts come from the kernel's aggregates, which need no room in the
//! ring buffer; order, time and sizes come from the stream.

use std::collections::BTreeSet;

use tracer_common::{
    counters::{EvictionAgent, LostRecords, Operation},
    page::PAGE_BYTES,
};

use crate::{
    kernel::{Aggregates, FileAggregates, ModelAggregates, ProgramRun},
    model::ModelFormat,
    record::{
        BandwidthRecord, CacheRecord, Check, DeviceRecord, DistanceBucket, EvictionsByAgent,
        ExpertsRecord, GapClassRecord, GapsRecord, LatencyRecord, LossRecord, ModelFileRecord,
        ModelIdentity, ModelRecord, OrderRecord, OverheadRecord, ProcessShareRecord,
        ProgramOverhead, ReadsRecord, ResidencyPointRecord, RunRecord, SizeCount,
    },
    stats::{ModelFigures, Nanos, page_cache::first_touch_hits},
    storage::FileExtents,
};

use super::{
    attribution::{self, Surroundings},
    attribution_checks,
    checks::{self, Unfinished},
    moments::ResidencyMoment,
    pieces::ModelPieces,
    stream::FinishedStream,
    subject::{Subject, SubjectModel},
    window::ClosedWindow,
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
        aggregates,
        programs,
        opened_nanos,
        closed_nanos,
        opening,
        closing,
        tracer_cpu,
        faults,
    } = window;
    record.notes.extend(faults);
    let stream = stream.finish(Nanos(closed_nanos), &aggregates.waiting);
    let lost = aggregates.lost_records;
    let lost_records = lost.issues + lost.completions + lost.requeues;
    let lost_events = lost_records + losses_of_events(&lost);
    record.time.wall_s = closed_nanos.saturating_sub(opened_nanos) as f64 / 1e9;
    record.checks = checks::of_stream(&aggregates, &stream);
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
            ..ModelRecord::default()
        };
        if let (Some(attribution), Some(pieces)) = (stream.attributions.get(slot), pieces.get(slot))
        {
            record.notes.extend(pieces.notes.iter().cloned());
            let around = Surroundings {
                pieces,
                opened: Nanos(opened_nanos),
                has_sectors: own.model.without_sectors.is_none(),
                waits_observed: programs.iter().any(|run| run.program == "sched_switch"),
                faults_observed: programs.iter().any(|run| run.program == "filemap_fault"),
                data_bytes: own.model.data_bytes,
                calls: &stream.calls,
                last_probed: stream.last_probed,
            };
            attribution::fill(&mut own, attribution, &around);
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
        record.checks.extend(checks::of_model(
            &prefix,
            kernel,
            figures,
            buckets,
            unfinished,
            absorbed,
            lost_records,
        ));
        // A read that ended unseen and was noticed after the window kept the device busy in the stream.
        let busy_is_known = unfinished.unseen == kernel.issues.unseen_completions;
        models.push(ModelRecord {
            reads: Some(reads(
                subject,
                model,
                kernel,
                figures,
                unfinished,
                engine_process_ids,
            )),
            gaps: Some(gaps(kernel, figures)),
            bandwidth: Some(BandwidthRecord {
                average_bytes_per_s: figures.bandwidth.average_bytes_per_s,
                busy_bytes_per_s: figures.bandwidth.busy_bytes_per_s.filter(|_| busy_is_known),
                peak_bytes_per_s: figures.bandwidth.peak_bytes_per_s,
                busy_s: Some(figures.bandwidth.busy_s).filter(|_| busy_is_known),
            }),
            latency_us: Some(LatencyRecord {
                p50: figures.latency_us.p50,
                p90: figures.latency_us.p90,
                p99: figures.latency_us.p99,
                max: figures.latency_us.max,
                count: figures.latency_us.count,
                untimed: (!several).then(|| {
                    aggregates
                        .devices
                        .iter()
                        .map(|(_, completes)| completes.unmatched)
                        .sum()
                }),
            }),
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
                record.checks.push(attribution_checks::of_share(&share));
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

/// What the kernel side counted for the files of a model.
fn files_of(model: &SubjectModel, aggregates: &Aggregates) -> Vec<FileAggregates> {
    model
        .files
        .iter()
        .filter_map(|file| aggregates.files.get(*file).copied())
        .collect()
}

fn identity(
    subject: &Subject,
    model: &SubjectModel,
    pieces: Option<&ModelPieces>,
) -> ModelIdentity {
    let outline = pieces.and_then(|pieces| pieces.outline.as_ref());
    let without_sectors = subject.without_sectors(model);
    let known = |figure: u64| Some(figure).filter(|_| without_sectors.is_none());
    let sum = |pick: fn(&FileExtents) -> u64| {
        known(
            subject
                .files_of(model)
                .map(|file| pick(&file.extents))
                .sum(),
        )
    };
    let mut identity = ModelIdentity {
        path: model.name.clone(),
        data_bytes: sum(|extents| extents.size_bytes - extents.holes_bytes),
        extents: sum(|extents| extents.physical_extent_count),
        format: outline.map(|outline| {
            match outline.format {
                ModelFormat::Gguf => "gguf",
                ModelFormat::Safetensors => "safetensors",
            }
            .to_owned()
        }),
        architecture: outline.and_then(|outline| outline.architecture.clone()),
        layers: outline.and_then(|outline| outline.layer_count.map(u64::from)),
        experts: outline.and_then(|outline| {
            Some(ExpertsRecord {
                count: outline.expert_count?.into(),
                used: outline.expert_used_count?.into(),
            })
        }),
        ..ModelIdentity::default()
    };
    for file in subject.files_of(model) {
        identity.size_bytes += file.extents.size_bytes;
        identity.filesystem.clone_from(&file.filesystem);
        identity.files.push(ModelFileRecord {
            path: file.path.display().to_string(),
            size_bytes: file.extents.size_bytes,
            inode: file.key.inode,
            extents: known(file.extents.physical_extent_count),
        });
    }
    identity.without_sectors = without_sectors;
    identity
}

/// Whether process ids here are those that the kernel side sees (`PROC_PID_INIT_INO` in
/// include/linux/proc_ns.h).
fn in_first_pid_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() == "pid:[4026531836]")
}

fn ratio(numerator: u64, denominator: u64) -> Option<f64> {
    (denominator > 0).then(|| numerator as f64 / denominator as f64)
}

fn reads(
    subject: &Subject,
    model: &SubjectModel,
    kernel: &ModelAggregates,
    figures: &ModelFigures,
    unfinished: Unfinished,
    engine_process_ids: &BTreeSet<u32>,
) -> ReadsRecord {
    let total_bytes = kernel
        .issues
        .issued_bytes
        .saturating_sub(kernel.requeues.requeued_bytes);
    let (mut size_bytes, mut data_bytes) = (0, 0);
    for file in subject.files_of(model) {
        size_bytes += file.extents.size_bytes;
        data_bytes += file.extents.size_bytes - file.extents.holes_bytes;
    }
    let own = figures
        .processes
        .iter()
        .filter(|process| engine_process_ids.contains(&process.process_id));
    let mut share = ProcessShareRecord::default();
    for process in own {
        share.count += process.reads;
        share.bytes += process.bytes;
    }
    if !in_first_pid_namespace() {
        // The programs see the process ids of the first namespace, the tracer those of its own.
        share = ProcessShareRecord::default();
    }
    let streamed: u64 = figures.processes.iter().map(|process| process.bytes).sum();
    share.share = ratio(share.bytes, streamed).filter(|_| in_first_pid_namespace());
    ReadsRecord {
        count: kernel.issues.reads,
        total_bytes,
        unique_bytes: kernel.unique_bytes,
        coverage: ratio(kernel.unique_bytes, data_bytes),
        amplification: ratio(total_bytes, kernel.unique_bytes),
        reread_factor: ratio(total_bytes, size_bytes),
        completed_bytes: kernel.completes.completed_bytes,
        failed: kernel.completes.failed_reads,
        failed_bytes: kernel.completes.failed_bytes,
        unseen: unfinished.unseen,
        unseen_bytes: unfinished.unseen_bytes,
        in_flight: unfinished.in_flight,
        in_flight_bytes: unfinished.in_flight_bytes,
        requeues: kernel.requeues.requeues,
        reissues: kernel.issues.reissues,
        readahead: figures.requests.readahead_reads,
        writes: kernel.issues.writes,
        write_bytes: kernel.issues.write_bytes,
        sizes: figures
            .request_sizes
            .iter()
            .map(|size| SizeCount {
                bytes: u64::from(size.request_bytes),
                count: size.reads,
            })
            .collect(),
        process_share: share,
    }
}

fn gaps(kernel: &ModelAggregates, figures: &ModelFigures) -> GapsRecord {
    let count: u64 = kernel.issues.gaps.iter().sum();
    let classes = figures.gaps.classes();
    let [sequential, small, medium, large, backward] = std::array::from_fn(|slot| {
        let gaps = kernel.issues.gaps[slot];
        GapClassRecord {
            count: gaps,
            share: ratio(gaps, count),
            share_of_bytes: classes[slot].1.bytes_share,
        }
    });
    let order = &figures.gaps_file_order;
    GapsRecord {
        sequential,
        small,
        medium,
        large,
        backward,
        count,
        backward_overlapping: figures.backward_overlap.overlapping,
        file_order: OrderRecord {
            sequential: order.sequential.count,
            small: order.small.count,
            medium: order.medium.count,
            large: order.large.count,
            backward: order.backward.count,
        },
        stream_sequential_share: figures.gaps_stream_aware.sequential.share,
        distances: figures
            .distances
            .iter()
            .map(|point| DistanceBucket {
                from_bytes: point.from_sectors.saturating_mul(512),
                to_bytes: point.to_sectors.saturating_mul(512),
                count: point.count,
                cumulative_share: point.cumulative_share,
                mean_queue_depth: point.mean_queue_depth,
            })
            .collect(),
        mean_queue_depth: figures.queue_depth.mean,
        largest_queue_depth: figures.queue_depth.max,
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

fn cache(
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
        residency_method: course.after.methods.get(slot).cloned().unwrap_or_default(),
        inserts: observed_sum(model, aggregates, |file| {
            file.inserts.map(|inserts| inserts.pages)
        }),
        evictions: observed_sum(model, aggregates, |file| {
            file.evictions.map(|evictions| evictions.pages.iter().sum())
        }),
        evictions_by_agent: by_agent(),
        refaults: observed_sum(model, aggregates, |file| {
            file.inserts.map(|inserts| inserts.reinserted_pages)
        }),
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

/// Lost records of page-cache events.
const fn losses_of_pages(lost: &LostRecords) -> u64 {
    lost.inserts + lost.evictions + lost.faults + lost.map_windows + lost.lookups
}

/// Lost records of everything but reads.
const fn losses_of_events(lost: &LostRecords) -> u64 {
    losses_of_pages(lost) + lost.waits + lost.reclaims + lost.mark_entries + lost.mark_returns
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
        ring_buffer_records: lost.issues
            + lost.completions
            + lost.requeues
            + losses_of_events(lost),
        ring_buffer_issues: lost.issues,
        ring_buffer_completions: lost.completions,
        ring_buffer_requeues: lost.requeues,
        ring_buffer_pages: losses_of_pages(lost),
        ring_buffer_waits: lost.waits + lost.reclaims,
        ring_buffer_marks: lost.mark_entries + lost.mark_returns,
        recursion_misses: programs.iter().map(|run| run.recursion_misses).sum(),
        unseen_completions: over_devices(|issues| issues.unseen_completions)
            + aggregates.unseen_at_end.len() as u64,
        unseen_at_end: aggregates.unseen_at_end.len() as u64,
        untimed_reads: over_devices(|issues| issues.untimed_reads),
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
                    program: run.program.to_owned(),
                    calls: run_time.calls,
                    total_ns: u64::try_from(run_time.time.as_nanos()).unwrap_or(u64::MAX),
                })
            })
            .collect(),
    }
}
