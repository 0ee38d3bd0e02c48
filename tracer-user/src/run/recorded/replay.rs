//! A recording → the figures of its run again, by the accumulators that took the events in while it went on.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    assemble::stream_members,
    output::{KeptRecordError, load_run},
    place::ModelPieces,
    recording::{
        RECORDING, RECORDING_SCHEMA_VERSION, RecordedEvent, Recording, RecordingError, SETUP,
        TimedEvent,
    },
    run::{
        assemble::{Surroundings, Told, fill_attribution},
        stream::{FinishedStream, Stream, StreamSetup},
        watch::marks::{MarkedSymbols, SharedMarks},
    },
    schema::{ModelFileRecord, ModelIdentity, ModelRecord, RunRecord},
    stats::{
        FileData, ModelFigures, Nanos,
        formulas::seconds,
        phases::{attribution::AttributionFigures, phase::TimedMark},
    },
};

use super::{selection::Selection, setup::RecordedSetup};

/// Why a run cannot be opened again.
#[derive(Debug, Error)]
pub enum ReopenError {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error(transparent)]
    Record(#[from] KeptRecordError),
    /// What was known before the first event makes no sense.
    #[error("{path} makes no sense: {why}")]
    Setup { path: PathBuf, why: String },
}

/// A run that was opened again.
#[derive(Debug)]
pub struct Reopened {
    /// Its record. Of the whole run what the recording has no events for is as it was; of a part it is null.
    pub record: RunRecord,
    /// Events that were taken in.
    pub events: u64,
}

/// Computes the figures of a run again from its recording, of a part of its time where one is named.
///
/// # Errors
/// There is no recording that this tracer can read. A segment that is damaged in the middle is none: the figures up to it
/// are given, and the record says that it is partial.
pub fn reopen(run: &Path, selection: Option<Selection>) -> Result<Reopened, ReopenError> {
    let folder = if run.is_dir() {
        run.to_owned()
    } else {
        run.parent().unwrap_or(Path::new(".")).to_owned()
    };
    let recording = Recording::open(&folder.join(RECORDING))?;
    let setup = load_setup(recording.folder())?;
    let base = match load_run(&folder) {
        Ok(record) => Some(record),
        // The tracer was killed: there is a recording and no record.
        Err(KeptRecordError::Missing { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let why = |error: anyhow::Error| ReopenError::Setup {
        path: recording.folder().join(SETUP),
        why: format!("{error:#}"),
    };
    let pieces = setup.pieces().map_err(why)?;
    let opened = Nanos(setup.opened_ns);
    let start = Nanos(
        opened
            .0
            .saturating_add(selection.map_or(0, |part| part.from_ns)),
    );
    let mut replay = Replay {
        stream: stream(&setup, &pieces, start).map_err(why)?,
        selection,
        start,
        latest_ns: 0,
        events: 0,
    };
    let read = recording.for_each(opened, |event| replay.take(event));
    let damaged = read.err().map(|error| error.to_string());
    if replay.events == 0
        && let Some(why) = &damaged
        && recording.segment_count() > 0
    {
        return Err(ReopenError::Setup {
            path: recording.folder().to_owned(),
            why: why.clone(),
        });
    }
    let closed_ns = recording
        .end
        .as_ref()
        .map_or(replay.latest_ns, |end| end.closed_ns);
    let incomplete = damaged.or_else(|| incomplete(&recording, replay.latest_ns));
    let end_ns = selection.map_or(closed_ns, |part| part.to_ns.min(closed_ns));
    let end = Nanos(opened.0.saturating_add(end_ns));
    let events = replay.events;
    let figures = replay.stream.finish(end, &[], &[], &[]);
    let context = Context {
        setup: &setup,
        pieces: &pieces,
        figures: &figures,
        start,
        end,
        selection,
    };
    let mut record = context.record(base);
    if let Some(why) = incomplete {
        record.partial = true;
        record.complete = false;
        record.partial_reason = Some(why);
    }
    Ok(Reopened { record, events })
}

/// A recording that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    pub events: u64,
    pub segments: u64,
    /// Why events are missing at its end, where that is so.
    pub incomplete: Option<String>,
}

/// Reads all of a run's recording.
///
/// # Errors
/// What is wrong, with the place.
pub fn validate(run: &Path) -> Result<Validated, ReopenError> {
    let recording = Recording::open(&run.join(RECORDING))?;
    let setup = load_setup(recording.folder())?;
    setup.pieces().map_err(|error| ReopenError::Setup {
        path: recording.folder().join(SETUP),
        why: format!("{error:#}"),
    })?;
    let mut latest_ns = 0;
    let events = recording.for_each(Nanos(setup.opened_ns), |event| {
        latest_ns = latest_ns.max(u64::try_from(event.time_ns).unwrap_or(0));
    })?;
    Ok(Validated {
        events,
        segments: recording.segment_count() as u64,
        incomplete: incomplete(&recording, latest_ns),
    })
}

/// Why events are missing at the end of a recording, where that is so.
fn incomplete(recording: &Recording, latest_ns: u64) -> Option<String> {
    match &recording.end {
        None => Some(format!(
            "the recording has no end, so the tracer was killed; it reaches to {:.2} s",
            seconds(latest_ns)
        )),
        Some(end) => end.error.clone(),
    }
}

fn load_setup(folder: &Path) -> Result<RecordedSetup, ReopenError> {
    /// What every version begins with.
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let path = folder.join(SETUP);
    let text = fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            RecordingError::Missing(folder.parent().unwrap_or(folder).to_owned())
        }
        _ => RecordingError::Unreadable {
            path: path.clone(),
            source,
        },
    })?;
    let refused = |error: serde_json::Error| ReopenError::Setup {
        path: path.clone(),
        why: error.to_string(),
    };
    let version: Version = serde_json::from_slice(&text).map_err(refused)?;
    if version.schema_version > RECORDING_SCHEMA_VERSION {
        return Err(RecordingError::Newer {
            path,
            found: version.schema_version,
            known: RECORDING_SCHEMA_VERSION,
        }
        .into());
    }
    serde_json::from_slice(&text).map_err(refused)
}

fn stream(setup: &RecordedSetup, pieces: &[ModelPieces], start: Nanos) -> anyhow::Result<Stream> {
    let files = setup.models.iter().map(|model| {
        let files = model.files.iter();
        files.map(|file| file.data).collect::<Vec<FileData>>()
    });
    Ok(Stream::new(
        StreamSetup {
            locator: setup.locator.clone(),
            files: files.collect(),
            attributions: setup.attributions(pieces, start)?,
            counted: Vec::new(),
            owners: setup.owners.clone(),
            symbols: MarkedSymbols::new(&[]),
            shared: SharedMarks::default(),
            reads: None,
            audit: None,
            recorder: None,
        },
        start,
    ))
}

/// Events on their way into the accumulators.
struct Replay {
    stream: Stream,
    selection: Option<Selection>,
    start: Nanos,
    latest_ns: u64,
    events: u64,
}

impl Replay {
    fn take(&mut self, event: TimedEvent) {
        self.latest_ns = self
            .latest_ns
            .max(u64::try_from(event.time_ns).unwrap_or(0));
        let Some(selection) = &self.selection else {
            self.events += 1;
            self.stream.take_recorded(event.event);
            return;
        };
        match event.event {
            // What the engine did at the beginning was said before.
            RecordedEvent::Mark(mark) if mark.time < self.start => {
                self.stream.take_recorded(RecordedEvent::Mark(TimedMark {
                    time: self.start,
                    ..mark
                }));
            }
            RecordedEvent::Settled | RecordedEvent::ArrivedAtEnd { .. } => {}
            other if selection.holds(event.time_ns) => {
                self.events += 1;
                self.stream.take_recorded(other);
            }
            _ => {}
        }
    }
}

/// What the record is made of.
struct Context<'a> {
    setup: &'a RecordedSetup,
    pieces: &'a [ModelPieces],
    figures: &'a FinishedStream,
    start: Nanos,
    end: Nanos,
    selection: Option<Selection>,
}

impl Context<'_> {
    fn record(&self, base: Option<RunRecord>) -> RunRecord {
        let whole = base.unwrap_or_else(|| self.bare());
        let lost = whole.loss.ring_buffer_records > 0;
        let mut record = match self.selection {
            None => whole,
            Some(selection) => self.part_of(&whole, selection),
        };
        for (slot, model) in record
            .single
            .iter_mut()
            .chain(&mut record.models)
            .enumerate()
        {
            self.model(slot, model, lost);
        }
        record
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
    fn part_of(&self, record: &RunRecord, selection: Selection) -> RunRecord {
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
            partial_reason: Some(format!(
                "only {:.3} s to {:.3} s of it are looked at",
                seconds(selection.from_ns),
                seconds(selection.from_ns + self.end.since(self.start).unwrap_or(0))
            )),
            ..bare
        }
    }

    fn model(&self, slot: usize, record: &mut ModelRecord, lost: bool) {
        if let Some(figures) = self.figures.models.get(slot)
            && record.model.without_sectors.is_none()
        {
            self.reads(figures, record, lost);
        }
        if let (Some(figures), Some(pieces)) =
            (self.figures.attributions.get(slot), self.pieces.get(slot))
        {
            self.attribute(figures, pieces, record);
        }
    }

    /// What the kernel side counts in a run is counted here from the events: the run's self-checks compare the two. Where
    /// records were lost (`lost`) the kernel side has counted more, and of the whole run its counts stay.
    fn reads(&self, figures: &ModelFigures, record: &mut ModelRecord, lost: bool) {
        let requests = &figures.requests;
        // What no event tells is of the whole run.
        let mut reads = record.reads.take().unwrap_or_default();
        let mut counts = figures.gaps.map(|gap| gap.count).in_slots();
        if let Some(gaps) = record
            .gaps
            .take()
            .filter(|_| lost && self.selection.is_none())
        {
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
        if self.selection.is_some() {
            reads.in_flight = requests.in_flight_reads;
            reads.in_flight_bytes = requests.in_flight_bytes;
        }
        record.reads = Some(reads);
        record.gaps = Some(stream_members::gaps(counts, Some(figures)));
        record.bandwidth = Some(figures.bandwidth);
        let untimed = record.latency_us.take().and_then(|latency| latency.untimed);
        record.latency_us = Some(crate::stats::reads::latency::LatencyFigures {
            untimed,
            ..figures.latency_us
        });
    }

    fn attribute(
        &self,
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
        if self.selection.is_some() || inserts.is_none() {
            // Whether pages are observed is told by the whole run; of a part the events say it.
            record.cache.inserts = Some(0);
        }
        fill_attribution(record, figures, &around);
        record.cache.inserts = inserts;
        record.marks = marks;
        if self.selection.is_some()
            && let Some(tokens) = &mut record.tokens
        {
            // Steps that were over before are marks at the beginning.
            tokens.retain(|token| token.duration_s != Some(0.0));
        }
    }
}

#[cfg(test)]
mod tests;
