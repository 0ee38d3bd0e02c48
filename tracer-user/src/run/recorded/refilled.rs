//! Figures that were computed again → the record.

use crate::{
    assemble::stream_members,
    place::ModelPieces,
    run::{
        assemble::{Surroundings, Told, fill_attribution},
        stream::FinishedStream,
    },
    schema::{ModelFileRecord, ModelIdentity, ModelRecord, RunRecord},
    stats::{ModelFigures, Nanos, formulas::seconds, phases::attribution::AttributionFigures},
};

use super::{samples::Samples, selection::TimeSpan, setup::RecordedSetup, tensors::TensorPart};

/// What the record is made of.
pub(super) struct Context<'a> {
    pub setup: &'a RecordedSetup,
    pub pieces: &'a [ModelPieces],
    pub figures: &'a FinishedStream,
    pub start: Nanos,
    pub end: Nanos,
    pub time: Option<TimeSpan>,
    /// What is looked at of the tensors, and the figures of all of them.
    pub tensors: Option<(&'a TensorPart, &'a FinishedStream)>,
    pub samples: &'a Samples,
}

impl Context<'_> {
    pub fn record(&self, base: Option<RunRecord>) -> RunRecord {
        let killed = base.is_none();
        let whole = base.unwrap_or_else(|| self.bare());
        let lost = whole.loss.ring_buffer_records > 0;
        let mut record = if self.is_part() {
            self.part_of(&whole)
        } else {
            whole
        };
        for (slot, model) in record
            .single
            .iter_mut()
            .chain(&mut record.models)
            .enumerate()
        {
            if killed && !self.is_part() {
                self.samples.fill_cache(slot, model);
            }
            self.model(slot, model, lost);
        }
        // What the machine did is no tensor's.
        if self.tensors.is_none() {
            let by_events = &self.figures.residency;
            self.samples
                .fill(&mut record, by_events, self.setup.page_bytes);
        }
        record
    }

    const fn is_part(&self) -> bool {
        self.time.is_some() || self.tensors.is_some()
    }

    /// What is looked at, where it is not all.
    fn part_in_words(&self) -> String {
        let time = self.time.map(|time| {
            format!(
                "only {:.3} s to {:.3} s of it are looked at",
                seconds(time.from_ns),
                seconds(time.from_ns + self.end.since(self.start).unwrap_or(0))
            )
        });
        let tensors = self.tensors.map(|(part, _)| part.words());
        let words: Vec<String> = time.into_iter().chain(tensors).collect();
        words.join(", and ")
    }

    /// What is known of a run without its record.
    fn bare(&self) -> RunRecord {
        let mut models: Vec<ModelRecord> = self
            .setup
            .models
            .iter()
            .map(|model| ModelRecord {
                model: ModelIdentity {
                    path: model.name.clone(),
                    size_bytes: model.files.iter().map(|file| file.data.size_bytes).sum(),
                    data_bytes: model
                        .without_sectors
                        .is_none()
                        .then(|| model.files.iter().map(|file| file.data.data_bytes()).sum()),
                    without_sectors: model.without_sectors.clone(),
                    files: model
                        .files
                        .iter()
                        .map(|file| ModelFileRecord {
                            path: file.path.clone(),
                            size_bytes: file.data.size_bytes,
                            ..ModelFileRecord::default()
                        })
                        .collect(),
                    ..ModelIdentity::default()
                },
                ..ModelRecord::default()
            })
            .collect();
        let mut record = RunRecord {
            schema_version: crate::schema::SCHEMA_VERSION,
            tracer_version: self.setup.tracer_version.clone(),
            kernel: self.setup.kernel.clone(),
            detail: Some("events".to_owned()),
            ..RunRecord::default()
        };
        record.time.wall_s = seconds(self.end.since(self.start).unwrap_or(0));
        if models.len() == 1 {
            record.single = models.pop();
        } else {
            record.models = models;
        }
        record
    }

    /// Of a part of a run only what it is stays, and nothing that was counted over all of it.
    fn part_of(&self, record: &RunRecord) -> RunRecord {
        let of_model = |model: &ModelRecord| ModelRecord {
            model: model.model.clone(),
            ..ModelRecord::default()
        };
        let bare = self.bare();
        RunRecord {
            command: record.command.clone(),
            mode: record.mode.clone(),
            started_at: record.started_at.clone(),
            machine: record.machine.clone(),
            single: record.single.as_ref().map(of_model),
            models: record.models.iter().map(of_model).collect(),
            partial: true,
            partial_reason: Some(self.part_in_words()),
            ..bare
        }
    }

    fn model(&self, slot: usize, record: &mut ModelRecord, lost: bool) {
        if let Some((part, _)) = self.tensors {
            part.identify(slot, record);
        }
        if let Some(figures) = self.figures.models.get(slot)
            && record.model.without_sectors.is_none()
        {
            self.reads(figures, record, lost);
        }
        if let (Some(figures), Some(pieces)) =
            (self.figures.attributions.get(slot), self.pieces.get(slot))
        {
            self.attribute(slot, figures, pieces, record);
        }
        if let Some((part, _)) = self.tensors {
            part.prune(record);
        }
    }

    /// What the kernel side counts in a run is counted here from the events: the run's self-checks compare the two. Where
    /// records were lost (`lost`) the kernel side has counted more, and of the whole run its counts stay.
    fn reads(&self, figures: &ModelFigures, record: &mut ModelRecord, lost: bool) {
        let requests = &figures.requests;
        // What no event tells is of the whole run.
        let mut reads = record.reads.take().unwrap_or_default();
        let mut counts = figures.gaps.map(|gap| gap.count).in_slots();
        if let Some(gaps) = record.gaps.take().filter(|_| lost && !self.is_part()) {
            counts = gaps.classes.map(|gap| gap.count).in_slots();
        } else {
            reads.amount = figures.reads;
            reads.completed_bytes = requests.completed_bytes;
            reads.failed = requests.failed_reads;
            reads.failed_bytes = requests.failed_bytes;
            reads.requeues = requests.requeues;
            reads.reissues = requests.reissues;
            reads.readahead = Some(requests.readahead_reads);
        }
        reads.sizes = Some(figures.request_sizes.clone());
        if self.is_part() {
            reads.in_flight = requests.in_flight_reads;
            reads.in_flight_bytes = requests.in_flight_bytes;
        }
        record.reads = Some(reads);
        record.gaps = Some(stream_members::gaps(counts, Some(figures)));
        record.bandwidth = Some(figures.bandwidth);
        record.arrivals = Some(figures.arrivals.clone());
        let untimed = record.latency_us.take().and_then(|latency| latency.untimed);
        record.latency_us = Some(crate::stats::reads::latency::LatencyFigures {
            untimed,
            ..figures.latency_us
        });
    }

    fn attribute(
        &self,
        slot: usize,
        figures: &AttributionFigures,
        pieces: &ModelPieces,
        record: &mut ModelRecord,
    ) {
        let facts = self.setup.facts;
        let around = Surroundings {
            pieces,
            opened: Nanos(self.setup.opened_ns),
            has_sectors: record.model.without_sectors.is_none(),
            waits_observed: facts.waits_observed,
            faults_observed: facts.faults_observed,
            engine_is_known: facts.engine_is_known,
            reads_by_call: record.cache.lookups != Some(0),
            reads_are_told: facts.reads_are_told,
            data_bytes: record.model.data_bytes,
            calls: &[],
            last_probed: None,
            told: Told {
                events: true,
                parts_of_the_run: true,
                kinds: true,
            },
        };
        // How the marks came to be is not among the events.
        let marks = record.marks.take();
        let inserts = record.cache.inserts;
        if self.is_part() || inserts.is_none() {
            // Whether pages are observed is told by the whole run; of a part the events say it.
            record.cache.inserts = Some(0);
        }
        fill_attribution(record, figures, &around);
        if let Some(all) = self.tensors.and_then(|(_, all)| all.attributions.get(slot)) {
            let mut whole = ModelRecord::default();
            fill_attribution(&mut whole, all, &around);
            record.tensors = whole.tensors;
        }
        record.cache.inserts = inserts;
        record.marks = marks;
        if self.is_part()
            && let Some(tokens) = &mut record.tokens
        {
            // Steps that were over before are marks at the beginning.
            tokens.retain(|token| token.duration_s != Some(0.0));
        }
    }
}
