//! A recording → the figures of its run again, by the accumulators that took the events in while it went on.

use std::path::{Path, PathBuf};

use crate::{
    place::{Locator, ModelPieces, Owner},
    recording::{RecordedEvent, TimedEvent},
    run::{
        stream::{
            Stream, StreamSetup,
            window_reads::{READ_LIST, WindowReads},
        },
        watch::marks::{MarkedSymbols, SharedMarks},
    },
    schema::RunRecord,
    stats::{
        FileData, Nanos,
        phases::{
            attribution::AttributionFigures,
            phase::{Phase, TimedMark},
        },
    },
};

use super::{
    error::ReopenError,
    opened::OpenedRecording,
    refilled::Context,
    samples::Samples,
    selection::{Selection, TimeSpan},
    setup::RecordedSetup,
    tensors::TensorPart,
    validated::incomplete,
};

/// A run that was opened again.
#[derive(Debug)]
pub struct Reopened {
    /// Its record. Of the whole run what the recording has no events for is as it was; of a part it is null.
    pub record: RunRecord,
    /// Events that were taken in.
    pub events: u64,
    /// By model: the parts that its phases consist of, in the order of time.
    pub phase_parts: Vec<Vec<PhasePart>>,
}

/// A part of a phase, nanoseconds since the gate opened. A phase that is left and comes again has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhasePart {
    pub phase: Phase,
    pub from_ns: u64,
    pub to_ns: u64,
}

/// Computes the figures of a run again from its recording, of a part where one is named.
///
/// # Errors
/// There is no recording that this tracer can read. A segment that is damaged in the middle is none: the figures up to it
/// are given, and the record says that it is partial.
pub fn reopen(run: &Path, selection: &Selection) -> Result<Reopened, ReopenError> {
    let own = OpenedRecording::open(run)?;
    let base = own.record()?;
    let opened = own.opened();
    let why = |error| own.refused(&error);
    let OpenedRecording {
        recording,
        setup,
        pieces,
        ..
    } = &own;
    let time = selection.time;
    let start = Nanos(opened.0.saturating_add(time.map_or(0, |part| part.from_ns)));
    let tensors = if selection.tensors.is_empty() {
        None
    } else {
        Some(TensorPart::of(&selection.tensors, setup, pieces)?)
    };
    let mut replay = Replay {
        stream: stream(setup, pieces, start, tensors.as_ref(), None).map_err(why)?,
        time,
        tensors: match &tensors {
            Some(part) => Some((part, stream(setup, pieces, start, None, None).map_err(why)?)),
            None => None,
        },
        start,
        samples: Samples::new(opened, time),
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
    let incomplete = damaged
        .or_else(|| replay.samples.damage.take())
        .or_else(|| incomplete(recording, replay.latest_ns));
    let end_ns = time.map_or(closed_ns, |part| part.to_ns.min(closed_ns));
    let end = Nanos(opened.0.saturating_add(end_ns));
    let events = replay.events;
    let figures = replay.stream.finish(end, &[], &[], &[]);
    let of_all = replay
        .tensors
        .map(|(_, stream)| stream.finish(end, &[], &[], &[]));
    let samples = replay.samples;
    let context = Context {
        setup,
        pieces,
        figures: &figures,
        start,
        end,
        time,
        tensors: tensors.as_ref().zip(of_all.as_ref()),
        samples: &samples,
    };
    let mut record = context.record(base);
    if let Some(why) = incomplete {
        record.partial = true;
        record.complete = false;
        record.partial_reason = Some(why);
    }
    let phase_parts = figures.attributions.iter();
    Ok(Reopened {
        record,
        events,
        phase_parts: phase_parts.map(|own| phase_parts_of(own, opened)).collect(),
    })
}

/// Makes the list of reads of a run again from its recording, in another folder. Returns its path.
///
/// # Errors
/// There is no recording that this tracer can read; the list cannot be written. Reads behind a damage are not in the list:
/// [`reopen`] says so of the run.
pub fn reads_again(run: &Path, into: &Path) -> Result<PathBuf, ReopenError> {
    let own = OpenedRecording::open(run)?;
    let opened = own.opened();
    let list = WindowReads::begin(into, &own.setup.read_list_header(), opened);
    let mut stream = stream(&own.setup, &own.pieces, opened, None, Some(list))
        .map_err(|error| own.refused(&error))?;
    let _damaged = own
        .recording
        .for_each(opened, |event| stream.take_recorded(event.event));
    let path = into.join(READ_LIST);
    if let Some(list) = stream.take_reads() {
        list.write(&path, |_| Ok(()))?;
    }
    Ok(path)
}

fn phase_parts_of(figures: &AttributionFigures, opened: Nanos) -> Vec<PhasePart> {
    let mut parts: Vec<PhasePart> = Vec::new();
    for (class, segment) in figures.classes.iter().zip(&figures.segments) {
        let since = |time: Nanos| time.since(opened).unwrap_or(0);
        let part = PhasePart {
            phase: class.phase,
            from_ns: since(segment.start_ns),
            to_ns: since(segment.end_ns),
        };
        match parts.last_mut() {
            Some(last) if last.phase == part.phase && last.to_ns == part.from_ns => {
                last.to_ns = part.to_ns;
            }
            // Two marks at one moment have nothing between them.
            _ if part.from_ns == part.to_ns => {}
            _ => parts.push(part),
        }
    }
    parts
}

/// The accumulators of a recording, of a part of its tensors where one is named.
pub(super) fn stream(
    setup: &RecordedSetup,
    pieces: &[ModelPieces],
    start: Nanos,
    part: Option<&TensorPart>,
    reads: Option<WindowReads>,
) -> anyhow::Result<Stream> {
    let files = (0u16..).zip(&setup.models).map(|(model, own)| {
        let files = (0u16..).zip(&own.files);
        files
            .map(|(file, own)| match part {
                Some(part) => part.data(Owner { model, file }, own.data),
                None => own.data,
            })
            .collect::<Vec<FileData>>()
    });
    Ok(Stream::new(
        StreamSetup {
            locator: Locator {
                only: part.map(|part| part.selection().clone()),
                ..setup.locator.clone()
            },
            files: files.collect(),
            attributions: setup.attributions(pieces, start, part.map(TensorPart::selection))?,
            counted: Vec::new(),
            beside: Vec::new(),
            owners: setup.owners.clone(),
            symbols: MarkedSymbols::new(&[]),
            shared: SharedMarks::default(),
            reads,
            audit: None,
            recorder: None,
        },
        start,
    ))
}

/// Events on their way into the accumulators.
struct Replay<'a> {
    stream: Stream,
    time: Option<TimeSpan>,
    /// What is looked at of the tensors, and the accumulators of all of them: whether a page was used is told by events of
    /// pages around it.
    tensors: Option<(&'a TensorPart, Stream)>,
    start: Nanos,
    samples: Samples,
    latest_ns: u64,
    events: u64,
}

impl Replay<'_> {
    fn take(&mut self, event: TimedEvent) {
        if let RecordedEvent::Sample(sample) = &event.event {
            return self.samples.take(sample);
        }
        // Samples come past the events that wait to be written, and say nothing of how far these reach.
        self.latest_ns = self
            .latest_ns
            .max(u64::try_from(event.time_ns).unwrap_or(0));
        let Some(time) = &self.time else {
            return self.hand_on(event.event);
        };
        match event.event {
            // What the engine did at the beginning was said before.
            RecordedEvent::Mark(mark) if mark.time < self.start => {
                let mark = RecordedEvent::Mark(TimedMark {
                    time: self.start,
                    ..mark
                });
                if let Some((_, of_all)) = &mut self.tensors {
                    of_all.take_recorded(mark.clone());
                }
                self.stream.take_recorded(mark);
            }
            RecordedEvent::Settled | RecordedEvent::ArrivedAtEnd { .. } => {}
            other if time.holds(event.time_ns) => self.hand_on(other),
            _ => {}
        }
    }

    fn hand_on(&mut self, event: RecordedEvent) {
        self.events += 1;
        match &mut self.tensors {
            None => self.stream.take_recorded(event),
            Some((part, of_all)) => {
                of_all.take_recorded(event.clone());
                part.take(event, |event| self.stream.take_recorded(event));
            }
        }
    }
}

#[cfg(test)]
mod long_recording;
#[cfg(test)]
pub(super) mod tests;
