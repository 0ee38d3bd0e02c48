//! The closed window → the record, member by member.

use std::collections::BTreeSet;

use tracer_common::program::Program;

use crate::{
    assemble::{identity, stream_members},
    place::{ModelPieces, Spans, Subject, SubjectModel},
    probe::{Aggregates, Detail, ModelAggregates, ProgramRun, in_first_pid_namespace},
    run::{
        checks::{self, ModelSides, attribution as attribution_checks},
        stream::FinishedStream,
        window::{Bracket, ClosedWindow},
    },
    schema::{Check, ModelRecord, RunRecord},
    stats::{
        ModelFigures, Nanos,
        formulas::{per_second, seconds},
        phases::counted::{CountedFigures, CountedPieces},
        reads::{
            bandwidth::BandwidthFigures,
            latency::{self, LatencyFigures},
        },
    },
};

use super::{
    attribution::{self, Surroundings, Told},
    budget::add_budget,
    device::device,
    losses::{losses, losses_of_reads, overhead},
    model::{ReadSides, cache, files_of, reads},
    residency::{ResidencyCourse, residency_course},
};

/// What was observed beside the window.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    pub subject: &'a Subject,
    /// What the models are made of, by slot.
    pub pieces: &'a [ModelPieces],
    /// How the files are cut for counts by place.
    pub spans: &'a Spans,
    /// Residency over the run.
    pub course: &'a ResidencyCourse,
    pub engine_process_ids: &'a BTreeSet<u32>,
}

/// Fills in everything of a record that comes from the window.
pub fn fill(record: &mut RunRecord, mut window: ClosedWindow, observed: Observed<'_>) {
    record.notes.append(&mut window.faults);
    let brackets = (
        std::mem::take(&mut window.opening),
        std::mem::take(&mut window.closing),
    );
    let tracer_cpu_s = window.tracer_cpu.as_secs_f64();
    let budget = window.budget.clone();
    let ended = Ended::of(window, observed);
    record.time.wall_s = seconds(ended.closed.since(ended.opened).unwrap_or(0));
    record.notes.extend(ended.notes());
    record.checks = ended.checks_of_the_whole();
    record.residency_course = residency_course(
        &ended.stream.residency,
        observed.course,
        ended.opened.0,
        procfs::page_size(),
    );
    let models: Vec<ModelRecord> = observed
        .subject
        .models
        .iter()
        .enumerate()
        .filter_map(|(slot, model)| ended.model(slot, model, record))
        .collect();
    for (slot, (opening, closing)) in brackets.0.iter().zip(&brackets.1).enumerate() {
        ended.add_device(slot, opening, closing, record);
    }
    record.notes.extend(shared_blocks(observed.subject));
    record.checks.push(same_extents(observed.subject));
    record.detail = Some(ended.detail.name().to_owned());
    record.loss = losses(&ended.aggregates, &ended.programs);
    record.overhead = overhead(&ended.programs, &ended.stream, tracer_cpu_s);
    add_budget(record, budget);
    record.complete = ended.lost_events == 0
        && record.loss.unseen_completions == 0
        && record.loss.late_issues == 0
        && record.violations().next().is_none();
    if ended.has_several_models() {
        record.models = models;
    } else {
        record.single = models.into_iter().next();
    }
}

/// The window after its end: both roads are whole.
struct Ended<'a> {
    observed: Observed<'a>,
    aggregates: Aggregates,
    stream: FinishedStream,
    programs: Vec<ProgramRun>,
    /// Whether the kernel side counted each model's reads: else the records are the only road.
    kernel_counts: bool,
    /// Whether waits in `read()` are told from others.
    reads_are_told: bool,
    /// What gave records.
    detail: Detail,
    opened: Nanos,
    closed: Nanos,
    /// Records of reads that found no room.
    lost_records: u64,
    /// Records of any kind that found no room.
    lost_events: u64,
    /// Slices of time that could not begin: steps, phases and moments cannot be told apart there.
    undivided_slices: u64,
}

impl<'a> Ended<'a> {
    fn of(window: ClosedWindow, observed: Observed<'a>) -> Self {
        let mut aggregates = window.aggregates;
        let closed = Nanos(window.closed_nanos);
        let (by_place, undivided_slices) = window.by_place.unwrap_or_default();
        let by_place: Vec<CountedPieces> = observed
            .pieces
            .iter()
            .enumerate()
            .map(|(model, pieces)| {
                let count = pieces.pieces.len();
                observed
                    .spans
                    .by_piece(model, count, &by_place.reads, &by_place.pages)
            })
            .collect();
        let stream = window.stream.finish(
            closed,
            &aggregates.waiting,
            &aggregates.unseen_at_end,
            &by_place,
        );
        if !window.kernel_counts {
            stream
                .undivided
                .complete(&mut aggregates, &stream.models, &stream.latency_buckets);
        }
        let lost = aggregates.lost_records;
        let lost_records = losses_of_reads(&lost);
        Self {
            observed,
            lost_records,
            lost_events: lost.total(),
            undivided_slices,
            aggregates,
            stream,
            programs: window.programs,
            kernel_counts: window.kernel_counts,
            reads_are_told: window.reads_are_told,
            detail: window.detail,
            opened: Nanos(window.opened_nanos),
            closed,
        }
    }

    fn has_several_models(&self) -> bool {
        self.observed.subject.models.len() > 1
    }

    fn has_records(&self) -> bool {
        self.detail >= Detail::Events
    }

    fn has_program(&self, name: Program) -> bool {
        self.programs.iter().any(|run| run.program == name)
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.has_records() {
            notes.push(
                "level `counts`: single events were not recorded, so there are no figures of waits and stalls, streams, distances, queue depth, and of what a phase read more than once; `--detail events` shows them"
                    .to_owned(),
            );
        }
        if self.undivided_slices > 0 {
            notes.push(format!(
                "{} times what was counted ran together with what came before, since marks came too fast or the tracer had no processor to take it out: so there are no figures of steps, phases and bandwidth over time; `--detail events` has them",
                self.undivided_slices
            ));
        }
        if !self.kernel_counts {
            notes.push(
                "this kernel's eBPF cannot count a model's reads in the kernel (Linux 5.17 can): figures come from the records alone, without a second road to compare them with"
                    .to_owned(),
            );
        }
        let foreign_ns: u64 = self
            .stream
            .waits_by_process
            .iter()
            .filter(|(process, _)| !self.observed.engine_process_ids.contains(process))
            .map(|(_, nanos)| nanos)
            .sum();
        if !in_first_pid_namespace() && self.has_program(Program::Switch) {
            notes.push(
                "the tracer runs in a pid namespace of its own, where it does not know by which ids the kernel calls the engine's processes: waits in `read()`, in reclaim and for other I/O are not observed. Run it in the machine's own (docker run --pid=host)"
                    .to_owned(),
            );
        } else if foreign_ns > 0 {
            notes.push(format!(
                "processes that are not the engine's waited {:.3} s for pages of the models; these waits are in the stalls",
                seconds(foreign_ns)
            ));
        }
        notes
    }

    fn checks_of_the_whole(&self) -> Vec<Check> {
        let mut checks = if self.kernel_counts && self.has_records() {
            checks::of_stream(&self.aggregates, &self.stream)
        } else {
            Vec::new()
        };
        checks.push(checks::of_programs(&self.programs));
        checks
    }

    /// One model; its notes and checks go into the record of the run. None where a side does not know it.
    fn model(
        &self,
        slot: usize,
        model: &SubjectModel,
        record: &mut RunRecord,
    ) -> Option<ModelRecord> {
        let kernel = self.aggregates.models.get(slot)?;
        let figures = self.stream.models.get(slot)?;
        let buckets = self.stream.latency_buckets.get(slot)?;
        let number = u16::try_from(slot).ok()?;
        let unfinished = checks::unfinished(&self.aggregates, &self.stream.locator, number);
        let prefix = if self.has_several_models() {
            format!("{}: ", model.name)
        } else {
            String::new()
        };
        let mut own = ModelRecord {
            model: identity(self.observed.subject, model, self.observed.pieces.get(slot)),
            cache: cache(model, &self.aggregates, self.observed.course, slot),
            accountings: self
                .stream
                .accountings
                .as_ref()
                .and_then(|accountings| accountings.get(slot))
                .cloned(),
            ..ModelRecord::default()
        };
        self.attribute(slot, model, &prefix, &mut own, record);
        if let Some(reason) = &own.model.without_sectors {
            record.notes.push(format!(
                "{}: no figures of reads, those of the page cache only: {reason}",
                model.name
            ));
            return Some(own);
        }
        let sides = ReadSides {
            subject: self.observed.subject,
            model,
            kernel,
            kernel_counts: self.kernel_counts,
            figures: self.has_records().then_some(figures),
            unfinished,
            engine_process_ids: self.observed.engine_process_ids,
        };
        let compared = ModelSides {
            name: &prefix,
            kernel,
            stream: figures,
            stream_latency: buckets,
            unfinished,
            merged_after_requeue: self.merged_after_requeue(),
            lost_records: self.lost_records,
            data_bytes: sides.size().data_bytes(),
        };
        record
            .checks
            .extend(match (self.kernel_counts, self.has_records()) {
                (true, true) => compared.checks(),
                (true, false) => compared.laws_of_the_kernel_side(),
                (false, _) => checks::of_records(&prefix, figures, unfinished),
            });
        own.reads = Some(reads(&sides));
        if self.has_records() {
            self.add_order_and_speed(kernel, figures, unfinished.unseen, &mut own);
        } else {
            self.add_counted_order_and_speed(kernel, self.stream.counted.get(slot), &mut own);
        }
        Some(own)
    }

    /// What the kernel's counts alone say.
    fn add_counted_order_and_speed(
        &self,
        kernel: &ModelAggregates,
        counted: Option<&CountedFigures>,
        own: &mut ModelRecord,
    ) {
        let by_bytes = counted.map(|counted| counted.gaps.figures());
        own.gaps = Some(stream_members::counted_gaps(
            kernel.issues.gaps,
            by_bytes.unwrap_or_default(),
        ));
        own.bandwidth = Some(BandwidthFigures {
            average_bytes_per_s: per_second(
                kernel.completes.completed_bytes,
                self.closed.0.saturating_sub(self.opened.0),
            ),
            ..counted
                .filter(|_| self.undivided_slices == 0)
                .map(|counted| counted.bandwidth)
                .unwrap_or_default()
        });
        own.arrivals = counted
            .filter(|_| self.undivided_slices == 0)
            .map(|counted| counted.arrivals.clone());
        own.latency_us = Some(LatencyFigures {
            untimed: self.untimed_reads(),
            ..latency::of_buckets(&kernel.latency_buckets)
        });
    }

    /// Completions without an issue that was seen; None where they cannot be told by model.
    fn untimed_reads(&self) -> Option<u64> {
        let devices = self.aggregates.devices.iter();
        (!self.has_several_models())
            .then(|| devices.map(|(_, completes)| completes.unmatched).sum())
    }

    fn add_order_and_speed(
        &self,
        kernel: &ModelAggregates,
        figures: &ModelFigures,
        unseen: u64,
        own: &mut ModelRecord,
    ) {
        // A read that ended unseen and was noticed after the window kept the device busy in the stream.
        let busy_is_known = unseen == kernel.issues.unseen_completions;
        own.gaps = Some(stream_members::gaps(kernel.issues.gaps, Some(figures)));
        own.bandwidth = Some(if busy_is_known {
            figures.bandwidth
        } else {
            figures.bandwidth.without_busy_time()
        });
        own.arrivals = Some(figures.arrivals.clone());
        own.latency_us = Some(LatencyFigures {
            untimed: self.untimed_reads(),
            ..figures.latency_us
        });
    }

    /// Requeued requests of all devices that never came back.
    fn merged_after_requeue(&self) -> u64 {
        let devices = self.aggregates.devices.iter();
        devices
            .map(|(issues, _)| issues.absorbed_after_requeue)
            .sum()
    }

    /// What the model's reads were for, where that was looked at.
    fn attribute(
        &self,
        slot: usize,
        model: &SubjectModel,
        prefix: &str,
        own: &mut ModelRecord,
        record: &mut RunRecord,
    ) {
        let counted = self.stream.counted.get(slot);
        let (Some(figures), Some(pieces), Some(kernel)) = (
            counted
                .map(|counted| &counted.attribution)
                .or_else(|| self.stream.attributions.get(slot)),
            self.observed.pieces.get(slot),
            self.aggregates.models.get(slot),
        ) else {
            return;
        };
        record.notes.extend(pieces.notes.iter().cloned());
        let around = Surroundings {
            pieces,
            opened: self.opened,
            has_sectors: own.model.without_sectors.is_none(),
            waits_observed: self.has_program(Program::Switch),
            faults_observed: self.has_program(Program::PageFault),
            engine_is_known: in_first_pid_namespace(),
            reads_by_call: own.cache.lookups != Some(0),
            reads_are_told: self.reads_are_told,
            data_bytes: own.model.data_bytes,
            calls: &self.stream.calls,
            last_probed: self.stream.last_probed,
            told: Told {
                events: counted.is_none(),
                parts_of_the_run: self.undivided_slices == 0,
                kinds: counted.is_none_or(|counted| counted.classes_are_told),
            },
        };
        attribution::fill(own, figures, &around);
        if !self.kernel_counts {
            own.cache.refaults = Some(figures.pages.refaulted_pages);
        }
        record.checks.extend(attribution_checks::of_model(
            prefix,
            kernel,
            &files_of(model, &self.aggregates),
            figures,
            if counted.is_some() {
                "counts by place and time"
            } else {
                "records"
            },
            self.lost_events,
        ));
    }

    /// One device: its checks, what it did, and whose reads it served.
    fn add_device(
        &self,
        slot: usize,
        opening: &Bracket,
        closing: &Bracket,
        record: &mut RunRecord,
    ) {
        let Some(disk) = self.observed.subject.disks.get(slot) else {
            return;
        };
        record.checks.extend(checks::of_device(
            &disk.name,
            slot,
            &self.aggregates,
            opening,
            closing,
            disk.counts(),
        ));
        let statistics = checks::statistics_window(opening, closing);
        let device = device(self.observed.subject, slot, &self.aggregates, statistics);
        if let Some((issues, _)) = self.aggregates.devices.get(slot) {
            let share =
                attribution::device_share(&disk.name, issues, device.statistics_sectors_read);
            let short = if self.kernel_counts {
                0
            } else {
                self.lost_records
            };
            record
                .checks
                .push(attribution_checks::of_share(&share, short));
            record.device_share.push(share);
        }
        record.devices.push(device);
    }
}

/// Files whose reads cannot be told from those of another file.
fn shared_blocks(subject: &Subject) -> impl Iterator<Item = String> {
    subject
        .files
        .iter()
        .filter(|file| file.extents.extents.iter().any(|extent| extent.shared))
        .map(|file| {
            format!(
                "{} shares blocks with another file (reflink): reads of those count as the model's, whoever wanted them",
                file.path.display()
            )
        })
}

fn same_extents(subject: &Subject) -> Check {
    let moved = subject.moved_files();
    Check {
        name: "the models' extents are the same after the run".to_owned(),
        holds: Some(moved.is_empty()),
        left: "extents before".to_owned(),
        right: if moved.is_empty() {
            "the same after".to_owned()
        } else {
            format!("moved or rewritten during the run: {moved:?}")
        },
    }
}
