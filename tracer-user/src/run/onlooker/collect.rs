//! Session and stream → the figures of this moment.

use std::{sync::Arc, time::Duration};

use tracer_common::program::Program;

use crate::{
    place::{ModelPieces, Spans, Subject},
    probe::{CountsSoFar, FileAggregates, ReadCounts, Session, in_first_pid_namespace},
    process::monotonic_nanos,
    run::{
        assemble::WaitsTold,
        stream::{ModelStreamSoFar, Stream, StreamReadsSoFar},
    },
    stats::{FileData, Nanos, formulas::seconds},
};

use super::{
    figures::{
        LossesSoFar, ModelBegun, ModelFiguresSoFar, PagesSoFar, PartsSoFar, ReadsSoFar, RunSoFar,
        WaitSeconds,
    },
    groups::PieceGroups,
};

/// What takes long to add up is added up again after so many times what it took: each then costs at most half a hundredth of
/// a core.
const PATIENCE: u64 = 200;

/// How often it is looked whether something was lost, nanoseconds.
const LOSSES_INTERVAL_NS: u64 = 1_000_000_000;

/// How often the histogram of latencies is read, nanoseconds: it is many small maps' worth.
const LATENCIES_INTERVAL_NS: u64 = 1_000_000_000;

/// Puts the figures of a run together as often as they are asked for.
pub struct Collector {
    started: Nanos,
    cpu_at_start: Duration,
    spans: Arc<Spans>,
    models: Vec<CollectedModel>,
    losses: LossesSoFar,
    losses_due: Due,
    latencies_due: Due,
    parts_due: Due,
}

/// When something is to be added up again.
#[derive(Clone, Copy, Debug, Default)]
struct Due(Nanos);

impl Due {
    fn is(self, now: Nanos) -> bool {
        now >= self.0
    }

    /// It was begun at a time, and is over now.
    fn done(&mut self, begun: Nanos) {
        let took = monotonic_nanos().saturating_sub(begun.0);
        self.0 = Nanos(begun.0.saturating_add(took.saturating_mul(PATIENCE)));
    }
}

struct CollectedModel {
    begun: ModelBegun,
    /// Slots of its files.
    files: Vec<usize>,
    groups: PieceGroups,
    pieces: usize,
    parts: Arc<PartsSoFar>,
    waits: Option<WaitSeconds>,
    latencies: Option<Arc<Vec<u64>>>,
}

impl Collector {
    /// Looks at what the models are made of, once.
    #[must_use]
    pub fn new(subject: &Subject, pieces: &[ModelPieces], spans: Arc<Spans>) -> Self {
        let models = subject.models.iter().zip(pieces);
        Self {
            started: Nanos(0),
            cpu_at_start: Duration::ZERO,
            spans,
            models: models
                .map(|(model, pieces)| {
                    let data = subject.files_of(model).map(|file| FileData {
                        size_bytes: file.extents.size_bytes,
                        hole_bytes: file.extents.holes_bytes,
                    });
                    CollectedModel {
                        begun: ModelBegun {
                            name: model.name.clone(),
                            size_bytes: FileData::sum(data).size_bytes,
                            page_bytes: pieces.table.page_bytes(),
                            has_sectors: subject.without_sectors(model).is_none(),
                        },
                        files: model.files.clone(),
                        groups: PieceGroups::of(pieces),
                        pieces: pieces.pieces.len(),
                        parts: Arc::default(),
                        waits: None,
                        latencies: None,
                    }
                })
                .collect(),
            losses: LossesSoFar::default(),
            losses_due: Due::default(),
            latencies_due: Due::default(),
            parts_due: Due::default(),
        }
    }

    /// The models, as they are shown.
    #[must_use]
    pub fn models(&self) -> Vec<ModelBegun> {
        self.models
            .iter()
            .map(|model| model.begun.clone())
            .collect()
    }

    /// The window was opened at a time, when the process had used so much CPU.
    pub const fn begin(&mut self, started: Nanos, cpu_at_start: Duration) {
        self.started = started;
        self.cpu_at_start = cpu_at_start;
    }

    /// The figures now; with `last`, when nothing comes any more, none of them is older.
    ///
    /// # Errors
    /// A map that cannot be read.
    pub fn collect(
        &mut self,
        session: &Session,
        stream: &mut Stream,
        cpu: Duration,
        last: bool,
    ) -> anyhow::Result<RunSoFar> {
        let now = Nanos(monotonic_nanos());
        let counts = session.counts_so_far()?;
        let took = Duration::from_nanos(monotonic_nanos().saturating_sub(now.0));
        if last || self.losses_due.is(now) {
            self.look_for_losses(session)?;
            self.losses_due = Due(Nanos(now.0.saturating_add(LOSSES_INTERVAL_NS)));
        }
        // Where the kernel side counts no models, it times no reads.
        if !counts.models.is_empty() && (last || self.latencies_due.is(now)) {
            for (model, latencies) in self.models.iter_mut().zip(session.latencies_so_far()?) {
                model.latencies = Some(Arc::new(latencies));
            }
            self.latencies_due = Due(Nanos(now.0.saturating_add(LATENCIES_INTERVAL_NS)));
        }
        if last || self.parts_due.is(now) {
            let begun = Nanos(monotonic_nanos());
            self.add_up(session, stream, now);
            self.parts_due.done(begun);
        }
        self.sum_waits(session, stream, &counts.files, now, last);
        let models = self
            .models
            .iter()
            .enumerate()
            .map(|(slot, model)| model.figures(slot, &counts, &stream.model_so_far(slot)))
            .collect();
        Ok(RunSoFar {
            at_s: self.seconds(now),
            models,
            tracer_cpu_s: Some(cpu.saturating_sub(self.cpu_at_start).as_secs_f64()),
            losses: Some(self.losses),
            took,
        })
    }

    fn seconds(&self, time: Nanos) -> f64 {
        seconds(time.since(self.started).unwrap_or(0))
    }

    fn look_for_losses(&mut self, session: &Session) -> anyhow::Result<()> {
        let programs = session.program_runs()?;
        self.losses = LossesSoFar {
            records: session.lost_records()?.total(),
            undivided_slices: session.undivided_slices(),
            recursion_misses: programs.iter().map(|run| run.recursion_misses).sum(),
        };
        Ok(())
    }

    /// Adds up the parts of the run and of the models.
    fn add_up(&mut self, session: &Session, stream: &Stream, now: Nanos) {
        let by_place = session.span_counts();
        let started = self.started;
        for (slot, model) in self.models.iter_mut().enumerate() {
            let counted = by_place.as_ref().map(|(counts, _)| {
                self.spans
                    .by_piece(slot, model.pieces, &counts.reads, &counts.pages)
            });
            let reads = counted.as_ref().map_or(&[][..], |counted| &counted.reads);
            let Some(so_far) = stream.parts_so_far(slot, started, now, reads) else {
                continue;
            };
            model.parts = Arc::new(model.groups.parts(so_far));
        }
    }

    fn sum_waits(
        &mut self,
        session: &Session,
        stream: &mut Stream,
        files: &[FileAggregates],
        now: Nanos,
        last: bool,
    ) {
        let started = self.started;
        for (slot, model) in self.models.iter_mut().enumerate() {
            let told = WaitsTold {
                waits_observed: session.has_program(Program::Switch),
                faults_observed: session.has_program(Program::PageFault),
                engine_is_known: in_first_pid_namespace(),
                reads_by_call: model.lookups(files) != Some(0),
                reads_are_told: session.tells_waits_of_reads(),
            };
            let waits = stream.waits_so_far(slot, now, last);
            model.waits = waits.map(|waits| WaitSeconds::of(&waits, &told, started));
        }
    }
}

impl CollectedModel {
    fn figures(
        &self,
        slot: usize,
        counts: &CountsSoFar,
        stream: &ModelStreamSoFar,
    ) -> ModelFiguresSoFar {
        let size = self.begun.size_bytes;
        // Where the kernel side does not count models, the records are the only road.
        let reads = match counts.models.get(slot) {
            Some(counted) => Some(counted_reads(counted, stream)),
            None => stream.reads.map(recorded_reads),
        };
        let reads = reads.filter(|_| self.begun.has_sectors);
        let pages = self.pages(&counts.files);
        let resident_pages = if stream.is_counted {
            resident_now(stream.resident_pages, &pages)
        } else {
            stream.resident_pages
        };
        ModelFiguresSoFar {
            reads: reads.map(|reads| reads.with_ratios(size)),
            pages,
            resident_bytes: resident_pages
                .map(|pages| pages.saturating_mul(self.begun.page_bytes).min(size)),
            waits: self.waits,
            latencies: self.latencies.clone().filter(|_| self.begun.has_sectors),
            parts: Arc::clone(&self.parts),
        }
    }

    /// Sum over its files; None where one of them is not observed.
    fn sum(
        &self,
        files: &[FileAggregates],
        pick: fn(&FileAggregates) -> Option<u64>,
    ) -> Option<u64> {
        let own = self.files.iter();
        own.map(|file| files.get(*file).and_then(pick)).sum()
    }

    fn lookups(&self, files: &[FileAggregates]) -> Option<u64> {
        self.sum(files, |file| file.lookups.map(|lookups| lookups.lookups))
    }

    fn pages(&self, files: &[FileAggregates]) -> PagesSoFar {
        let sum = |pick| self.sum(files, pick);
        PagesSoFar {
            inserts: sum(|file| file.inserts.map(|inserts| inserts.pages)),
            evictions: sum(|file| file.evictions.map(|evictions| evictions.pages.iter().sum())),
            refaults: sum(|file| file.reinserted_pages),
            faults: sum(|file| file.faults.map(|faults| faults.faults)),
        }
    }
}

/// Pages at the start + inserts − evictions.
fn resident_now(at_start: Option<u64>, pages: &PagesSoFar) -> Option<u64> {
    let came = at_start?.saturating_add(pages.inserts?);
    Some(came.saturating_sub(pages.evictions?))
}

fn counted_reads(counted: &ReadCounts, stream: &ModelStreamSoFar) -> ReadsSoFar {
    let issued = counted.issues.issued_bytes;
    ReadsSoFar {
        count: counted.issues.reads,
        total_bytes: issued.saturating_sub(counted.requeues.requeued_bytes),
        completed_bytes: counted.completes.completed_bytes,
        unique_bytes: stream.reads.map(|reads| reads.unique_bytes),
        gaps: counted.issues.gaps,
        ..ReadsSoFar::default()
    }
}

/// Of records; the ratios are missing.
pub(in crate::run) fn recorded_reads(recorded: StreamReadsSoFar) -> ReadsSoFar {
    ReadsSoFar {
        count: recorded.requests.reads,
        total_bytes: recorded.requests.total_bytes(),
        completed_bytes: recorded.requests.completed_bytes,
        unique_bytes: Some(recorded.unique_bytes),
        gaps: recorded.gaps,
        ..ReadsSoFar::default()
    }
}
