//! Records of the ring buffer → events of models → accumulators.

pub mod live_audit;
pub mod undivided;
pub mod window_reads;

use std::collections::{BTreeMap, HashMap, VecDeque};

use tracer_common::{
    counters::EvictionAgent,
    page::WaitingThread,
    record::{
        IssueRecord, KindByte, MarkRecord, NO_PREVIOUS_END, PageRecord, Record, WaitRecord,
        complete_flag, issue_flag, page_event, wait_kind,
    },
    request::RequestSlot,
};

use crate::{
    place::{Locator, Owner},
    stats::{
        FileData, FileRange, ModelAccumulator, ModelFigures, Nanos, ReadCompleted, ReadIssued,
        ReadRequeued, RequestId,
        audit::accounting::AccountingFigures,
        model::accumulator::Issued,
        phases::{
            attribution::{AttributedRead, Attribution, AttributionFigures, Folio},
            phase::TimedMark,
        },
        waits::stall::{Wait, WaitKind},
    },
};

use super::{
    stream::{live_audit::LiveAudit, undivided::UndividedReads, window_reads::WindowReads},
    watch::{
        marks::{MarkedSymbols, SharedMarks},
        residency_samples::ResidencySamples,
    },
};

/// What the stream knows before its first record.
pub struct StreamSetup {
    /// From sectors to files.
    pub locator: Locator,
    /// The files of each model, in the order of the locator's slots.
    pub files: Vec<Vec<FileData>>,
    /// By model: what its reads are for; empty where that is not to be told.
    pub attributions: Vec<Attribution>,
    /// By file slot of the page-cache events: whose it is.
    pub owners: Vec<Owner>,
    /// The engine's functions.
    pub symbols: MarkedSymbols,
    /// What others see of the engine.
    pub shared: SharedMarks,
    /// The list of reads, where one is asked for.
    pub reads: Option<WindowReads>,
    /// The audit, where the run is to have one.
    pub audit: Option<LiveAudit>,
}

impl StreamSetup {
    fn read_ended(&mut self, request: u64, model: usize, latency_ns: Option<u64>) {
        if let (Some(reads), Ok(model)) = (&mut self.reads, u16::try_from(model)) {
            reads.ended(RequestId(request), model, latency_ns);
        }
    }
}

/// The stream of one window.
pub struct Stream {
    setup: StreamSetup,
    models: Vec<ModelAccumulator>,
    counts: RecordCounts,
    /// Lines of the log whose time no record has reached yet.
    log_marks: VecDeque<TimedMark>,
    /// Calls of the probed functions by number.
    calls: BTreeMap<u16, u64>,
    /// Waits for folios of the models by process, nanoseconds.
    waits_by_process: BTreeMap<u32, u64>,
    residency: ResidencySamples,
    last_probed: Option<Nanos>,
    undivided: UndividedReads,
    audit: Option<LiveAudit>,
    /// Reads that have begun and not been seen to end, by request and model: when they began, and where they lie.
    open: HashMap<(u64, usize), (Nanos, Vec<FileRange>)>,
}

/// Records by kind, and what was wrong with some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Issues and re-issues.
    pub issues: u64,
    /// Completions.
    pub completions: u64,
    /// Requeues.
    pub requeues: u64,
    /// Reads that ended unseen.
    pub unseen: u64,
    /// Page-cache events.
    pub pages: u64,
    /// Waits.
    pub waits: u64,
    /// Stages that reads passed, for the audit.
    pub stages: u64,
    /// Probed functions entered or left.
    pub marks: u64,
    /// Of them: in processes that are not the engine's, which count for nothing.
    pub foreign_marks: u64,
    /// Issues for a model in whose extents the user side finds no part of the request.
    pub misplaced: u64,
}

impl RecordCounts {
    /// All records.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.issues
            + self.completions
            + self.requeues
            + self.unseen
            + self.pages
            + self.waits
            + self.stages
            + self.marks
    }
}

/// A stream after its last record.
pub struct FinishedStream {
    /// By model slot.
    pub models: Vec<ModelFigures>,
    /// By model slot: reads by the kernel side's latency buckets.
    pub latency_buckets: Vec<Vec<u64>>,
    /// By model slot: what the reads were for; empty where that was not to be told.
    pub attributions: Vec<AttributionFigures>,
    /// Records.
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
    pub fn new(mut setup: StreamSetup, start: Nanos) -> Self {
        let files = std::mem::take(&mut setup.files);
        let audit = setup.audit.take();
        Self {
            setup,
            models: files
                .into_iter()
                .map(|files| ModelAccumulator::new(start, files))
                .collect(),
            counts: RecordCounts::default(),
            log_marks: VecDeque::new(),
            calls: BTreeMap::new(),
            waits_by_process: BTreeMap::new(),
            residency: ResidencySamples::default(),
            last_probed: None,
            undivided: UndividedReads::default(),
            audit,
            open: HashMap::new(),
        }
    }

    /// A function of the engine is probed from now on.
    pub const fn probed(&mut self, now: Nanos) {
        self.last_probed = Some(now);
    }

    /// More records will come: what the log has said by now goes between them by its time.
    pub fn begin_batch(&mut self) {
        self.log_marks.extend(self.setup.shared.take_log());
    }

    /// Takes in one record.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Issue(issue) => {
                self.reach(Nanos(issue.time_ns));
                for issue in self.undivided.divide(issue, &self.setup.locator) {
                    self.issue(&issue);
                }
            }
            Record::Complete(complete) => {
                self.counts.completions += 1;
                if let Some(audit) = &mut self.audit {
                    audit.completed(&complete, &self.setup.locator);
                }
                let parts = self.setup.locator.parts(
                    complete.device,
                    complete.sector,
                    u64::from(complete.bytes),
                );
                for (slot, model) in self.models.iter_mut().enumerate() {
                    let part = parts.iter().find(|part| usize::from(part.model) == slot);
                    let last = complete.flags & complete_flag::LAST != 0;
                    // A completion ends the read of every model that had a part of it, also of one whose
                    // part came back earlier.
                    if part.is_none() && !last {
                        continue;
                    }
                    let ranges = part.map_or(&[][..], |part| part.ranges.as_slice());
                    let failed = complete.status != 0;
                    let arrival = model.complete(
                        &ReadCompleted {
                            time: Nanos(complete.time_ns),
                            request: RequestId(complete.request),
                            bytes: part.map_or(0, |part| part.bytes),
                            failed,
                            last,
                        },
                        ranges,
                    );
                    if last {
                        self.open.remove(&(complete.request, slot));
                        let latency = arrival.and_then(|arrival| arrival.latency_nanos);
                        self.setup.read_ended(complete.request, slot, latency);
                    }
                    if let (Some(arrival), Some(attribution)) =
                        (arrival, self.setup.attributions.get_mut(slot))
                    {
                        attribution.complete(arrival, ranges, failed);
                    }
                }
            }
            Record::Unseen(unseen) => {
                self.counts.unseen += 1;
                for (slot, model) in self.models.iter_mut().enumerate() {
                    model.end_unseen(Nanos(unseen.time_ns), RequestId(unseen.request));
                    self.setup.read_ended(unseen.request, slot, None);
                }
                self.arrived_unseen(unseen.request);
            }
            Record::Requeue(requeue) => {
                self.counts.requeues += 1;
                let parts = self.setup.locator.parts(
                    requeue.device,
                    requeue.sector,
                    u64::from(requeue.bytes),
                );
                for part in parts {
                    let slot = usize::from(part.model);
                    let Some(model) = self.models.get_mut(slot) else {
                        continue;
                    };
                    let change = model.requeue(&ReadRequeued {
                        time: Nanos(requeue.time_ns),
                        request: RequestId(requeue.request),
                        bytes: part.bytes,
                    });
                    if let (Some(change), Some(attribution)) =
                        (change, self.setup.attributions.get_mut(slot))
                    {
                        attribution.requeue(change, &part.ranges);
                    }
                }
            }
            Record::Page(page) => {
                self.reach(Nanos(page.time_ns));
                self.page(&page);
            }
            Record::Wait(wait) => self.wait(&wait),
            Record::Stage(stage) => {
                self.counts.stages += 1;
                if let Some(audit) = &mut self.audit {
                    audit.passed(&stage, &self.setup.locator);
                }
            }
            Record::Mark(mark) => {
                self.reach(Nanos(mark.time_ns));
                self.mark(&mark);
            }
        }
    }

    /// Time has come to `now`: marks of the log before that count first.
    fn reach(&mut self, now: Nanos) {
        while self.log_marks.front().is_some_and(|mark| mark.time <= now) {
            if let Some(mark) = self.log_marks.pop_front() {
                self.mark_all(mark);
            }
        }
    }

    fn mark_all(&mut self, mark: TimedMark) {
        for attribution in &mut self.setup.attributions {
            attribution.mark(mark);
        }
    }

    /// A read has ended unseen: what it was for has arrived, or the device would not have used its tag again.
    fn arrived_unseen(&mut self, request: u64) {
        for (slot, model) in self.models.iter_mut().enumerate() {
            if let Some((first_issue, ranges)) = self.open.remove(&(request, slot)) {
                model.arrived_unseen(&ranges);
                if let Some(attribution) = self.setup.attributions.get_mut(slot) {
                    attribution.arrived_unseen(first_issue, &ranges);
                }
            }
        }
    }

    fn issue(&mut self, issue: &IssueRecord) {
        self.counts.issues += 1;
        let slot = usize::from(issue.model);
        let part = self
            .setup
            .locator
            .parts(issue.device, issue.sector, u64::from(issue.bytes))
            .into_iter()
            .find(|part| usize::from(part.model) == slot);
        let (Some(part), Some(model)) = (part, self.models.get_mut(slot)) else {
            self.counts.misplaced += 1;
            return;
        };
        if let Some(audit) = &mut self.audit {
            audit.issued(issue, &part);
        }
        let time = Nanos(issue.time_ns);
        let reissue = issue.flags & issue_flag::REISSUE != 0;
        let readahead = issue.flags & issue_flag::READAHEAD != 0;
        let read = ReadIssued {
            time,
            request: RequestId(issue.request),
            device: issue.device,
            start_sector: part.start_sector,
            end_sector: part.end_sector,
            request_start_sector: issue.sector,
            request_bytes: issue.bytes,
            bytes: part.bytes,
            previous_end: (!reissue && issue.previous_end != NO_PREVIOUS_END)
                .then_some(issue.previous_end),
            file_position: part.file_position(),
            process_id: issue.process_id,
            thread_id: issue.thread_id,
            reissue,
            readahead,
            metadata: issue.flags & issue_flag::METADATA != 0,
            synchronous: issue.flags & issue_flag::SYNCHRONOUS != 0,
        };
        let issued = model.issue(&read);
        if issue.flags & issue_flag::LATE != 0 {
            model.untimed(read.request);
        }
        if let (Issued::First { .. }, Some(reads)) = (issued, &mut self.setup.reads) {
            reads.issued(part.model, &read, &part.ranges);
        }
        let stream_gaps = model.take_stream_gaps();
        let begun = self
            .open
            .remove(&(issue.request, slot))
            .filter(|_| reissue)
            .map_or(time, |(begun, _)| begun);
        self.open
            .insert((issue.request, slot), (begun, part.ranges.clone()));
        if let Some(attribution) = self.setup.attributions.get_mut(slot) {
            attribution.stream_gaps(stream_gaps);
            attribution.issue(
                time,
                issued,
                &AttributedRead {
                    ranges: &part.ranges,
                    bytes: part.bytes,
                    readahead,
                },
            );
        }
    }

    fn page(&mut self, page: &PageRecord) {
        self.counts.pages += 1;
        let Some(owner) = self.setup.owners.get(usize::from(page.file)) else {
            return;
        };
        let Some(attribution) = self.setup.attributions.get_mut(usize::from(owner.model)) else {
            return;
        };
        let time = Nanos(page.time_ns);
        let folio = Folio {
            file: owner.file,
            first_page: u64::from(page.first_page),
            pages: u64::from(page.pages),
        };
        match page.event {
            page_event::INSERT => attribution.insert(time, folio, false),
            page_event::INSERT_BY_FAULT => attribution.insert(time, folio, true),
            page_event::FAULT => attribution.fault(time, folio.file, folio.first_page),
            page_event::MAP_WINDOW => attribution.map_window(folio),
            page_event::LOOKUP => attribution.look_up(folio),
            eviction => {
                let agent = match eviction.wrapping_sub(page_event::EVICTION) {
                    0 => EvictionAgent::Kswapd,
                    1 => EvictionAgent::DirectReclaim,
                    2 => EvictionAgent::KernelThread,
                    _ => EvictionAgent::Invalidation,
                };
                attribution.evict(time, folio, agent);
            }
        }
    }

    fn wait(&mut self, record: &WaitRecord) {
        self.counts.waits += 1;
        let kind = match record.wait {
            wait_kind::MODEL_FOLIO => WaitKind::ModelFolio,
            wait_kind::RECLAIM => WaitKind::Reclaim,
            wait_kind::LOCK => WaitKind::Lock,
            _ => WaitKind::OtherIo,
        };
        let wait = Wait {
            thread: record.thread_id,
            start: Nanos(record.start_ns),
            end: Nanos(record.end_ns),
            kind,
        };
        let model = match kind {
            WaitKind::ModelFolio | WaitKind::Lock => self
                .setup
                .owners
                .get(usize::from(record.file))
                .map(|owner| usize::from(owner.model)),
            // The engine's, whatever the model.
            WaitKind::OtherIo | WaitKind::Reclaim => None,
        };
        if kind == WaitKind::ModelFolio {
            let nanos = record.end_ns.saturating_sub(record.start_ns);
            *self.waits_by_process.entry(record.process_id).or_default() += nanos;
        }
        for (slot, attribution) in self.setup.attributions.iter_mut().enumerate() {
            if model.is_none_or(|model| model == slot) {
                attribution.wait(wait);
            }
        }
    }

    fn mark(&mut self, record: &MarkRecord) {
        self.counts.marks += 1;
        if !self.setup.shared.is_engine(record.process_id) {
            self.counts.foreign_marks += 1;
            return;
        }
        if record.returns == 0 || self.setup.symbols.only_returns(record.symbol) {
            *self.calls.entry(record.symbol).or_default() += 1;
        }
        if let Some(mark) = self.setup.symbols.meaning(record) {
            self.mark_all(mark);
        }
    }

    /// All records that were there at `now` have been taken.
    pub fn end_batch(&mut self, now: Nanos) {
        if self.residency.is_due(now) {
            self.residency.take(now, self.resident_pages());
        }
    }

    /// The list of reads, to be finished by whoever knows the run's folder.
    pub const fn take_reads(&mut self) -> Option<WindowReads> {
        self.setup.reads.take()
    }

    /// Pages resident now by the events, by model; None where that is not known.
    fn resident_pages(&self) -> Vec<Option<u64>> {
        self.setup
            .attributions
            .iter()
            .map(Attribution::resident_pages)
            .collect()
    }

    /// The figures of a window that ends at `end`. `waiting`: threads that had not said what became of their wait;
    /// `unseen_at_end`: reads that an idle device must have finished.
    #[must_use]
    pub fn finish(
        mut self,
        end: Nanos,
        waiting: &[(u32, WaitingThread)],
        unseen_at_end: &[RequestSlot],
    ) -> FinishedStream {
        for slot in unseen_at_end {
            self.arrived_unseen(slot.request);
        }
        for (thread_id, waiting) in waiting {
            let end_ns = if waiting.end_ns == 0 {
                end.0
            } else {
                waiting.end_ns
            };
            self.wait(&WaitRecord {
                kind: KindByte::NEW,
                wait: waiting.kind as u8,
                file: waiting.file as u16,
                thread_id: *thread_id,
                start_ns: waiting.start_ns,
                end_ns,
                process_id: waiting.process_id,
                page: waiting.page,
            });
        }
        for attribution in &mut self.setup.attributions {
            attribution.idle();
        }
        self.begin_batch();
        self.reach(end);
        let mut residency = self.residency.finish();
        residency.push((end, self.resident_pages()));
        for (model, attribution) in self.models.iter_mut().zip(&mut self.setup.attributions) {
            model.settle_order();
            attribution.stream_gaps(model.take_stream_gaps());
        }
        FinishedStream {
            latency_buckets: self
                .models
                .iter()
                .map(|model| model.latency_buckets().to_vec())
                .collect(),
            models: self
                .models
                .into_iter()
                .map(|model| model.finish(end))
                .collect(),
            attributions: self
                .setup
                .attributions
                .into_iter()
                .map(|attribution| attribution.finish(end))
                .collect(),
            counts: self.counts,
            accountings: self.audit.as_ref().map(LiveAudit::figures),
            undivided: self.undivided,
            locator: self.setup.locator,
            calls: self
                .calls
                .iter()
                .filter_map(|(symbol, calls)| {
                    Some((self.setup.symbols.name(*symbol)?.to_owned(), *calls))
                })
                .collect(),
            waits_by_process: self.waits_by_process,
            residency,
            last_probed: self.last_probed,
        }
    }
}
