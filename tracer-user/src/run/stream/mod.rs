//! Records of the ring buffer → events of models → accumulators.

mod beside;
mod counts;
pub mod live_audit;
mod marks;
mod pages;
mod rare;
mod reads;
mod so_far;
mod step_down;
pub mod undivided;
mod waits;
pub mod window_reads;

use std::collections::{BTreeMap, HashMap, VecDeque};

use tracer_common::{
    page::WaitingThread,
    record::{KindByte, Record, WaitRecord},
    request::RequestSlot,
};

use crate::{
    place::{Locator, Owner},
    probe::Slice,
    recording::{EventRecorder, RecordedEvent, RecordingThread},
    stats::{
        FileData, ModelAccumulator, ModelFigures, Nanos,
        audit::accounting::AccountingFigures,
        phases::{
            attribution::{Attribution, AttributionFigures},
            counted::{CountedAttribution, CountedFigures, CountedPieces},
            phase::TimedMark,
        },
        reads::open_reads::OpenReads,
    },
};

pub use counts::RecordCounts;
pub use so_far::{ModelStreamSoFar, StreamReadsSoFar};

use beside::CountsBeside;
use rare::GoneBack;

use super::stream::{
    live_audit::LiveAudit,
    reads::{ReadStream, ReadTakers},
    undivided::UndividedReads,
    window_reads::WindowReads,
};
use super::watch::{
    marks::{MarkedSymbols, SharedMarks},
    residency_samples::ResidencySamples,
};

/// What the stream knows before its first record.
pub struct StreamSetup {
    /// From sectors to files.
    pub locator: Locator,
    /// The files of each model, in the order of the locator's slots.
    pub files: Vec<Vec<FileData>>,
    /// By model: what its reads are for; empty where that is not to be told by events.
    pub attributions: Vec<Attribution>,
    /// By model: the same where counts tell; else empty.
    pub counted: Vec<CountedAttribution>,
    /// By model: the same where counts are kept beside the events, which may end ([`Stream::step_down`]); else empty.
    pub beside: Vec<CountedAttribution>,
    /// By file slot of the page-cache events: whose it is.
    pub owners: Vec<Owner>,
    pub symbols: MarkedSymbols,
    /// What others see of the engine.
    pub shared: SharedMarks,
    /// The list of reads, where one is asked for.
    pub reads: Option<WindowReads>,
    /// The audit, where the run is to have one.
    pub audit: Option<LiveAudit>,
    /// Who keeps every event, where that is asked for.
    pub recorder: Option<EventRecorder>,
}

/// The stream of one window.
pub struct Stream {
    reads: ReadStream,
    /// By model, where counts tell what its reads are for.
    counted: Vec<CountedAttribution>,
    /// What takes its place when the events end; None where they do not.
    beside: Option<CountsBeside>,
    gone_back: GoneBack,
    /// Reads, and pages that came, went or were missed, by the slices of time.
    sliced_events: u64,
    /// By file slot of the page-cache events: whose it is.
    owners: Vec<Owner>,
    symbols: MarkedSymbols,
    shared: SharedMarks,
    counts: RecordCounts,
    /// Lines of the log whose time no record has reached yet.
    log_marks: VecDeque<TimedMark>,
    /// Calls of the probed functions by number.
    calls: BTreeMap<u16, u64>,
    /// Of several processes that share the work, the one whose calls count: the first.
    worker: Option<u32>,
    /// Waits for folios of the models by process, nanoseconds.
    waits_by_process: BTreeMap<u32, u64>,
    residency: ResidencySamples,
    /// When the latest slice began: of what is before, all is known.
    slices_until: Nanos,
    /// Of what is before, all records have been taken.
    taken_until: Nanos,
    last_probed: Option<Nanos>,
    recorder: Option<EventRecorder>,
}

/// A stream after its last record.
pub struct FinishedStream {
    pub models: Vec<ModelFigures>,
    /// By model slot: reads by the kernel side's latency buckets.
    pub latency_buckets: Vec<Vec<u64>>,
    /// By model slot: what the reads were for; empty where that was not to be told.
    pub attributions: Vec<AttributionFigures>,
    /// By model slot: the same where counts told; else empty.
    pub counted: Vec<CountedFigures>,
    pub counts: RecordCounts,
    /// By model: the reads under every accounting, where the run has an audit.
    pub accountings: Option<Vec<Vec<AccountingFigures>>>,
    /// What of reads that the kernel side did not divide was whose.
    pub undivided: UndividedReads,
    /// The locator, for requests that were left.
    pub locator: Locator,
    /// Names of the probed functions that were called, and how often.
    pub calls: Vec<(String, u64)>,
    /// Waits for folios of the models by process, nanoseconds.
    pub waits_by_process: BTreeMap<u32, u64>,
    /// Resident pages by model over time.
    pub residency: Vec<(Nanos, Vec<Option<u64>>)>,
    /// When the last of the engine's functions was probed.
    pub last_probed: Option<Nanos>,
}

impl Stream {
    /// A stream from `start` on.
    #[must_use]
    pub fn new(setup: StreamSetup, start: Nanos) -> Self {
        let beside = CountsBeside::new(setup.beside, &setup.files, start);
        let models = setup
            .files
            .into_iter()
            .map(|files| ModelAccumulator::new(start, files))
            .collect();
        Self {
            reads: ReadStream {
                locator: setup.locator,
                open: OpenReads::default(),
                takers: ReadTakers {
                    models,
                    attributions: setup.attributions,
                    list: setup.reads,
                    audit: setup.audit,
                    undivided: UndividedReads::default(),
                },
            },
            counted: setup.counted,
            beside,
            gone_back: HashMap::new(),
            sliced_events: 0,
            owners: setup.owners,
            symbols: setup.symbols,
            shared: setup.shared,
            counts: RecordCounts::default(),
            log_marks: VecDeque::new(),
            calls: BTreeMap::new(),
            worker: None,
            waits_by_process: BTreeMap::new(),
            residency: ResidencySamples::default(),
            slices_until: start,
            taken_until: start,
            last_probed: None,
            recorder: setup.recorder,
        }
    }

    /// A function of the engine is probed from now on.
    pub const fn probed(&mut self, now: Nanos) {
        self.last_probed = Some(now);
    }

    /// More records will come: what the log has said by now goes between them by its time.
    pub fn begin_batch(&mut self) {
        self.log_marks.extend(self.shared.take_log());
    }

    /// Takes in one record.
    pub fn take(&mut self, record: Record) {
        // Marks of the log that come before it go before it into the recording too.
        match record {
            // Where reads are counted, the slices of time are what reaches the marks.
            Record::Issue(_) if !self.counted.is_empty() => {}
            Record::Issue(_) | Record::Page(_) | Record::Mark(_) => {
                self.reach(Nanos(record.time_ns()));
            }
            _ => {}
        }
        self.keep(&RecordedEvent::Kernel(record));
        if !self.counted.is_empty() {
            self.take_beside_counts(&record);
            return;
        }
        if let Some(beside) = &mut self.beside {
            beside.take(&record, &self.reads.locator, &mut self.gone_back);
        }
        let counts = &mut self.counts;
        match record {
            Record::Issue(issue) => self.reads.issue(&issue, counts),
            Record::Complete(complete) => self.reads.complete(&complete, counts),
            Record::Unseen(unseen) => self.reads.end_unseen(&unseen, counts),
            Record::Requeue(requeue) => self.reads.requeue(&requeue, counts),
            Record::Stage(stage) => self.reads.stage(&stage, counts),
            Record::Page(page) => self.page(&page),
            Record::Wait(wait) => self.wait(&wait),
            Record::Mark(mark) => self.mark(&mark),
        }
    }

    /// Takes in an event of a recording.
    pub fn take_recorded(&mut self, event: RecordedEvent) {
        match event {
            RecordedEvent::Kernel(record) => self.take(record),
            RecordedEvent::Mark(mark) => self.mark_all(mark),
            RecordedEvent::ArrivedAtEnd { device, request } => {
                self.reads.arrived_unseen(device, request);
            }
            RecordedEvent::Settled => self.settle(),
            RecordedEvent::ResidencyPoint(now) => self.note_residency(now),
            // No accumulator of the stream asks for them.
            RecordedEvent::Sample(_) => {}
        }
    }

    fn keep(&mut self, event: &RecordedEvent) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(event);
        }
    }

    /// The devices have nothing to do any more.
    fn settle(&mut self) {
        for attribution in &mut self.reads.takers.attributions {
            attribution.idle();
        }
    }

    #[cfg(test)]
    pub fn set_recorder(&mut self, recorder: EventRecorder) {
        self.recorder = Some(recorder);
    }

    /// The thread that writes the recording, to be waited for when the stream is finished.
    pub fn take_recording(&mut self) -> Option<RecordingThread> {
        self.recorder.as_mut()?.take_thread()
    }

    /// A slice of time is over. The marks before its end have been taken.
    pub fn slice(&mut self, slice: &Slice) {
        let time = Nanos(slice.start_ns);
        self.reach(time);
        self.slices_until = time;
        // Slices are taken out some time after they were: what was resident when this one began is known now.
        if self.beside.is_none() && self.residency.is_due(time) {
            self.residency.take(time, self.resident_pages());
        }
        let beside = self.beside.iter_mut().flat_map(CountsBeside::models);
        for (model, counts) in self.counted.iter_mut().chain(beside).zip(&slice.models) {
            model.slice(time, counts);
            self.sliced_events += counts.reads + counts.faults;
            self.sliced_events += counts.inserted_pages + counts.evicted_pages;
        }
    }

    /// All records that were there at `now` have been taken.
    pub fn end_batch(&mut self, now: Nanos) {
        self.taken_until = now;
        if self.counted.is_empty() && self.residency.is_due(now) {
            self.keep(&RecordedEvent::ResidencyPoint(now));
            self.note_residency(now);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.pause();
        }
    }

    /// As [`Stream::end_batch`], of a recording: what was noted at the ends of batches is among its events.
    pub const fn recorded_until(&mut self, now: Nanos) {
        self.taken_until = now;
    }

    fn note_residency(&mut self, now: Nanos) {
        self.residency.take(now, self.resident_pages());
    }

    /// The list of reads, to be finished by whoever knows the run's folder.
    pub const fn take_reads(&mut self) -> Option<WindowReads> {
        self.reads.takers.list.take()
    }

    /// Pages resident now by the events, by model; None where that is not known.
    fn resident_pages(&self) -> Vec<Option<u64>> {
        let by_counts = self.counted.iter().map(CountedAttribution::resident_pages);
        let by_events = self.reads.takers.attributions.iter();
        by_counts
            .chain(by_events.map(Attribution::resident_pages))
            .collect()
    }

    /// The figures of a window that ends at `end`. `waiting`: threads that had not said what became of their wait;
    /// `unseen_at_end`: reads that an idle device must have finished; `by_place`: by model, what was counted by place.
    #[must_use]
    pub fn finish(
        mut self,
        end: Nanos,
        waiting: &[(u32, WaitingThread)],
        unseen_at_end: &[RequestSlot],
        by_place: &[CountedPieces],
    ) -> FinishedStream {
        for slot in unseen_at_end {
            let device = u8::try_from(slot.device).unwrap_or(u8::MAX);
            let request = slot.request;
            self.keep(&RecordedEvent::ArrivedAtEnd { device, request });
            self.reads.arrived_unseen(device, request);
        }
        for (thread_id, waiting) in waiting {
            let end_ns = if waiting.end_ns == 0 {
                end.0
            } else {
                waiting.end_ns
            };
            let wait = WaitRecord {
                kind: KindByte::NEW,
                wait: waiting.kind as u8,
                file: waiting.file as u16,
                thread_id: *thread_id,
                start_ns: waiting.start_ns,
                end_ns,
                process_id: waiting.process_id,
                page: waiting.page,
            };
            self.keep(&RecordedEvent::Kernel(Record::Wait(wait)));
            self.wait(&wait);
        }
        self.keep(&RecordedEvent::Settled);
        self.settle();
        self.begin_batch();
        self.reach(end);
        let mut residency = self.residency.finish();
        residency.push((end, self.resident_pages()));
        // The recording's last events go to its thread.
        drop(self.recorder.take());
        let ReadStream {
            locator, takers, ..
        } = self.reads;
        let (mut models, mut attributions) = (takers.models, takers.attributions);
        for (model, attribution) in models.iter_mut().zip(&mut attributions) {
            model.settle_order();
            model.drain_stream_gaps(|gap| attribution.stream_gap(gap));
        }
        let counted: Vec<CountedFigures> = self
            .counted
            .into_iter()
            .zip(by_place)
            .map(|(model, pieces)| model.finish(end, pieces))
            .collect();
        FinishedStream {
            latency_buckets: models
                .iter()
                .map(|model| model.latency_buckets().to_vec())
                .collect(),
            models: models.into_iter().map(|model| model.finish(end)).collect(),
            attributions: attributions
                .into_iter()
                .map(|attribution| attribution.finish(end))
                .collect(),
            counted,
            counts: self.counts,
            accountings: takers.audit.as_ref().map(LiveAudit::figures),
            undivided: takers.undivided,
            locator,
            calls: self
                .calls
                .iter()
                .filter_map(|(symbol, calls)| {
                    Some((self.symbols.name(*symbol)?.to_owned(), *calls))
                })
                .collect(),
            waits_by_process: self.waits_by_process,
            residency,
            last_probed: self.last_probed,
        }
    }
}

#[cfg(test)]
mod tests;
