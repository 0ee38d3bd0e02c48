//! Stream of a recording → the figures of a moment, as they were shown while the run went on.

use std::{sync::Arc, time::Duration};

use tracer_common::record::{Record, page_event};

use crate::{
    place::{ModelPieces, Owner},
    pressure::{MemoryCourse, MemoryReading},
    process::monotonic_nanos,
    recording::{RecordedEvent, Sample, SampleKind},
    run::{
        assemble::WaitsTold,
        onlooker::{
            EngineNow, LossesSoFar, ModelBegun, ModelFiguresSoFar, PagesSoFar, PartsSoFar,
            PieceGroups, RunSoFar, WaitSeconds, recorded_reads,
        },
        recorded::setup::{Facts, RecordedSetup},
        stream::Stream,
        watch::engine::COURSE_INTERVAL_SECONDS,
    },
    schema::RunRecord,
    stats::{FileData, Nanos, formulas::seconds},
};

/// What takes long to add up is added up again after so many times what it took.
const PATIENCE: u64 = 20;

/// A moment of a run that is over.
#[derive(Clone, Debug)]
pub struct PlayedMoment {
    pub run: RunSoFar,
    pub engine: EngineNow,
}

/// What the moments of a recording are made of, beside its stream.
pub struct Moments {
    opened: Nanos,
    facts: Facts,
    owners: Vec<Owner>,
    models: Vec<PlayedModel>,
    memory: MemoryCourse,
    engine: EngineNow,
    losses: Option<LossesSoFar>,
    /// `CLOCK_MONOTONIC` when parts are added up next.
    parts_due_ns: u64,
}

struct PlayedModel {
    begun: ModelBegun,
    groups: PieceGroups,
    parts: Arc<PartsSoFar>,
    faults: u64,
    /// Whether it was read by `read()` or the like.
    read_by_call: bool,
    waits: Option<WaitSeconds>,
}

impl Moments {
    /// Before the first event. `record`: what the run's record says that no event does; None where there is none.
    pub fn new(setup: &RecordedSetup, pieces: &[ModelPieces], record: Option<&RunRecord>) -> Self {
        let models = setup.models.iter().zip(pieces).enumerate();
        let models = models.map(|(slot, (model, pieces))| PlayedModel {
            begun: ModelBegun {
                name: model.name.clone(),
                size_bytes: FileData::sum(model.files.iter().map(|file| file.data)).size_bytes,
                page_bytes: setup.page_bytes,
                has_sectors: model.without_sectors.is_none(),
            },
            groups: PieceGroups::of(pieces),
            parts: Arc::default(),
            faults: 0,
            read_by_call: record
                .and_then(|record| record.all_models().nth(slot))
                .is_none_or(|model| model.cache.lookups != Some(0)),
            waits: None,
        });
        Self {
            opened: Nanos(setup.opened_ns),
            facts: setup.facts,
            owners: setup.owners.clone(),
            models: models.collect(),
            memory: MemoryCourse::new(COURSE_INTERVAL_SECONDS),
            engine: EngineNow {
                process_id: record.map_or(0, |record| record.process.pid),
                ..EngineNow::default()
            },
            losses: record.map(|record| LossesSoFar {
                records: record.loss.ring_buffer_records,
                undivided_slices: 0,
                recursion_misses: record.loss.recursion_misses,
            }),
            parts_due_ns: 0,
        }
    }

    /// The models, as they are shown.
    pub fn models(&self) -> Vec<ModelBegun> {
        let models = self.models.iter();
        models.map(|model| model.begun.clone()).collect()
    }

    /// Looks at an event before the stream takes it. False for what is none of the stream's.
    pub fn look(&mut self, event: &RecordedEvent) -> bool {
        match event {
            RecordedEvent::Kernel(Record::Page(page)) if page.event == page_event::FAULT => {
                let owner = self.owners.get(usize::from(page.file));
                let model = owner.and_then(|owner| self.models.get_mut(usize::from(owner.model)));
                if let Some(model) = model {
                    model.faults += 1;
                }
                true
            }
            RecordedEvent::Sample(sample) => {
                self.sample(sample);
                false
            }
            _ => true,
        }
    }

    fn sample(&mut self, sample: &Sample) {
        if sample.kind != SampleKind::Memory {
            return;
        }
        // One that makes no sense is left out; `validate` and `open` say so.
        if let Ok(reading) = serde_json::from_str::<MemoryReading>(&sample.text) {
            let since_ns = sample.time.since(self.opened).unwrap_or(0);
            self.memory.sample(since_ns as f64 / 1e9, &reading);
            self.engine.memory = self.memory.latest();
        }
    }

    /// The figures at a moment, up to which all events have been taken; with `last` none of them is older.
    pub fn moment(&mut self, stream: &mut Stream, now: Nanos, last: bool) -> PlayedMoment {
        let begun_ns = monotonic_nanos();
        stream.recorded_until(now);
        if last || begun_ns >= self.parts_due_ns {
            self.add_up(stream, now);
            let took_ns = monotonic_nanos().saturating_sub(begun_ns);
            self.parts_due_ns = begun_ns.saturating_add(took_ns.saturating_mul(PATIENCE));
        }
        let (facts, opened) = (self.facts, self.opened);
        for (slot, model) in self.models.iter_mut().enumerate() {
            model.waits = model.waits(facts, opened, slot, stream, now, last);
        }
        let models = self.models.iter().enumerate();
        let models = models.map(|(slot, model)| model.figures(facts, slot, stream));
        PlayedMoment {
            run: RunSoFar {
                at_s: seconds(now.since(opened).unwrap_or(0)),
                models: models.collect(),
                tracer_cpu_s: None,
                losses: self.losses,
                took: Duration::from_nanos(monotonic_nanos().saturating_sub(begun_ns)),
            },
            engine: self.engine.clone(),
        }
    }

    fn add_up(&mut self, stream: &Stream, now: Nanos) {
        for (slot, model) in self.models.iter_mut().enumerate() {
            if let Some(so_far) = stream.parts_so_far(slot, self.opened, now, &[]) {
                model.parts = Arc::new(model.groups.parts(so_far));
            }
        }
    }
}

impl PlayedModel {
    fn waits(
        &self,
        facts: Facts,
        opened: Nanos,
        slot: usize,
        stream: &mut Stream,
        now: Nanos,
        last: bool,
    ) -> Option<WaitSeconds> {
        let told = WaitsTold {
            waits_observed: facts.waits_observed,
            faults_observed: facts.faults_observed,
            engine_is_known: facts.engine_is_known,
            reads_by_call: self.read_by_call,
            reads_are_told: facts.reads_are_told,
        };
        let waits = stream.waits_so_far(slot, now, last)?;
        Some(WaitSeconds::of(&waits, &told, opened))
    }

    fn figures(&self, facts: Facts, slot: usize, stream: &Stream) -> ModelFiguresSoFar {
        let so_far = stream.model_so_far(slot);
        let reads = so_far.reads.filter(|_| self.begun.has_sectors);
        ModelFiguresSoFar {
            reads: reads.map(|reads| recorded_reads(reads).with_ratios(self.begun.size_bytes)),
            pages: PagesSoFar {
                inserts: so_far.pages.map(|pages| pages.inserted),
                evictions: so_far.pages.map(|pages| pages.evicted),
                refaults: so_far.pages.map(|pages| pages.refaulted),
                faults: facts.faults_observed.then_some(self.faults),
            },
            resident_bytes: so_far.resident_pages.map(|pages| {
                pages
                    .saturating_mul(self.begun.page_bytes)
                    .min(self.begun.size_bytes)
            }),
            waits: self.waits,
            latencies: None,
            parts: Arc::clone(&self.parts),
        }
    }
}
