//! Records of reads → figures, what the reads were for, the list and the audit.

use tracer_common::record::{
    ANY_MODEL, CompleteRecord, IssueRecord, NO_PREVIOUS_END, RequeueRecord, StageRecord,
    UnseenRecord, complete_flag, issue_flag,
};

use crate::{
    place::Locator,
    stats::{
        FileRange, ModelAccumulator, Nanos, ReadCompleted, ReadIssued, ReadRequeued, RequestId,
        model::accumulator::Issued,
        phases::attribution::{AttributedRead, Attribution},
        reads::open_reads::{OpenReads, PartEvent, RequestKey, RequestPlace},
    },
};

use super::{
    counts::RecordCounts, live_audit::LiveAudit, undivided::UndividedReads,
    window_reads::WindowReads,
};

/// The reads of all models: those that are open, and who takes them in.
pub struct ReadStream {
    pub locator: Locator,
    pub open: OpenReads,
    pub takers: ReadTakers,
}

/// Who takes in the reads.
pub struct ReadTakers {
    /// By model: the figures.
    pub models: Vec<ModelAccumulator>,
    /// By model: what its reads are for; empty where that is not to be told.
    pub attributions: Vec<Attribution>,
    /// The list of reads, where one is asked for.
    pub list: Option<WindowReads>,
    /// The audit, where the run is to have one.
    pub audit: Option<LiveAudit>,
    pub undivided: UndividedReads,
}

impl ReadStream {
    pub fn issue(&mut self, record: &IssueRecord, counts: &mut RecordCounts) {
        let Self {
            locator,
            open,
            takers,
        } = self;
        let place = RequestPlace {
            sector: record.sector,
            bytes: record.bytes.into(),
        };
        let undivided = record.model == ANY_MODEL;
        let mut of_models = 0;
        open.issue(
            key(record.device, record.request),
            place,
            (!undivided).then_some(record.model.into()),
            || locator.parts(record.device, place.sector, place.bytes),
            |event| {
                of_models += event.part.map_or(0, |part| part.bytes);
                counts.issues += 1;
                if takers.issue(record, event).is_none() {
                    counts.misplaced += 1;
                }
            },
        );
        if undivided {
            takers.undivided.count(record, of_models);
        }
    }

    pub fn complete(&mut self, record: &CompleteRecord, counts: &mut RecordCounts) {
        counts.completions += 1;
        let Self {
            locator,
            open,
            takers,
        } = self;
        let place = RequestPlace {
            sector: record.sector,
            bytes: record.bytes.into(),
        };
        let last = record.flags & complete_flag::LAST != 0;
        open.complete(
            key(record.device, record.request),
            place,
            last,
            || locator.parts(record.device, place.sector, place.bytes),
            |event| takers.complete(record, event),
        );
    }

    pub fn requeue(&mut self, record: &RequeueRecord, counts: &mut RecordCounts) {
        counts.requeues += 1;
        let Self {
            locator,
            open,
            takers,
        } = self;
        let place = RequestPlace {
            sector: record.sector,
            bytes: record.bytes.into(),
        };
        open.requeue(
            key(record.device, record.request),
            place,
            || locator.parts(record.device, place.sector, place.bytes),
            |event| takers.requeue(record, event),
        );
    }

    pub fn end_unseen(&mut self, record: &UnseenRecord, counts: &mut RecordCounts) {
        counts.unseen += 1;
        let takers = &mut self.takers;
        let request = key(record.device, record.request);
        self.open.end_unseen(request, |model, read, ranges| {
            if let Some(figures) = takers.models.get_mut(usize::from(model)) {
                figures.end_unseen(Nanos(record.time_ns), &read);
            }
            takers.end_row(read.list_row, None);
            takers.arrived_unseen(model, read.begun(), ranges);
        });
    }

    /// An idle device must have finished this read: what it was for has arrived.
    pub fn arrived_unseen(&mut self, device: u8, request: u64) {
        let takers = &mut self.takers;
        let request = key(device, request);
        self.open.end_unseen(request, |model, read, ranges| {
            takers.arrived_unseen(model, read.begun(), ranges);
        });
    }

    pub fn stage(&mut self, record: &StageRecord, counts: &mut RecordCounts) {
        counts.stages += 1;
        if let Some(audit) = &mut self.takers.audit {
            audit.passed(record, &self.locator);
        }
    }
}

const fn key(device: u8, request: u64) -> RequestKey {
    RequestKey {
        device,
        request: RequestId(request),
    }
}

impl ReadTakers {
    /// None where the user side finds no part of the model in the request.
    fn issue(&mut self, record: &IssueRecord, event: PartEvent<'_>) -> Option<()> {
        let PartEvent { model, part, read } = event;
        let part = part?;
        let slot = usize::from(model);
        let figures = self.models.get_mut(slot)?;
        if let Some(audit) = &mut self.audit {
            audit.issued(record, part);
        }
        let reissue = record.flags & issue_flag::REISSUE != 0;
        let previous_end = if record.model == ANY_MODEL {
            self.undivided.previous_end(record, part)
        } else {
            (!reissue && record.previous_end != NO_PREVIOUS_END).then_some(record.previous_end)
        };
        let issue = ReadIssued {
            time: Nanos(record.time_ns),
            request: RequestId(record.request),
            device: record.device,
            start_sector: part.start_sector,
            end_sector: part.end_sector,
            request_start_sector: record.sector,
            request_bytes: record.bytes,
            bytes: part.bytes,
            previous_end,
            file_position: part.file_position(),
            process_id: record.process_id,
            thread_id: record.thread_id,
            reissue,
            readahead: record.flags & issue_flag::READAHEAD != 0,
            metadata: record.flags & issue_flag::METADATA != 0,
            synchronous: record.flags & issue_flag::SYNCHRONOUS != 0,
        };
        let row_before = read.and_then(|read| read.list_row);
        let issued = figures.issue(read, &issue);
        let list = &mut self.list;
        if let Some(read) = read {
            if record.flags & issue_flag::LATE != 0 {
                read.set_untimed();
            }
            if let (Issued::First { .. }, Some(list)) = (issued, list) {
                // The end of a read before it with this request was not seen.
                if let Some(row) = row_before {
                    list.ended(row, None);
                }
                read.list_row = list.issued(part, &issue);
            }
        }
        if let Some(attribution) = self.attributions.get_mut(slot) {
            figures.drain_stream_gaps(|gap| attribution.stream_gap(gap));
            attribution.issue(
                issue.time,
                issued,
                &AttributedRead {
                    ranges: &part.ranges,
                    bytes: part.bytes,
                    readahead: issue.readahead,
                },
            );
        } else {
            figures.drain_stream_gaps(drop);
        }
        Some(())
    }

    fn complete(&mut self, record: &CompleteRecord, event: PartEvent<'_>) {
        let PartEvent { model, part, read } = event;
        if let (Some(audit), Some(part)) = (&mut self.audit, part) {
            audit.completed(part);
        }
        let slot = usize::from(model);
        let Some(figures) = self.models.get_mut(slot) else {
            return;
        };
        let ranges = part.map_or(&[][..], |part| part.ranges.as_slice());
        let (failed, last) = (record.status != 0, record.flags & complete_flag::LAST != 0);
        let row = read.and_then(|read| read.list_row);
        let completed = ReadCompleted {
            time: Nanos(record.time_ns),
            request: RequestId(record.request),
            bytes: part.map_or(0, |part| part.bytes),
            failed,
            last,
        };
        let arrival = figures.complete(read, &completed, ranges);
        if let (Some(arrival), Some(attribution)) = (arrival, self.attributions.get_mut(slot)) {
            attribution.complete(arrival, ranges, failed);
        }
        if last {
            self.end_row(row, arrival.and_then(|arrival| arrival.latency_nanos));
        }
    }

    fn requeue(&mut self, record: &RequeueRecord, event: PartEvent<'_>) {
        let PartEvent { model, part, read } = event;
        let slot = usize::from(model);
        let (Some(part), Some(figures)) = (part, self.models.get_mut(slot)) else {
            return;
        };
        let requeued = ReadRequeued {
            time: Nanos(record.time_ns),
            request: RequestId(record.request),
            bytes: part.bytes,
        };
        let change = figures.requeue(read, &requeued);
        if let (Some(change), Some(attribution)) = (change, self.attributions.get_mut(slot)) {
            attribution.requeue(change, &part.ranges);
        }
    }

    /// A read has ended unseen: what it was for has arrived, or the device would not have used its tag again.
    fn arrived_unseen(&mut self, model: u16, begun: Nanos, ranges: &[FileRange]) {
        let slot = usize::from(model);
        if let Some(figures) = self.models.get_mut(slot) {
            figures.arrived_unseen(ranges);
        }
        if let Some(attribution) = self.attributions.get_mut(slot) {
            attribution.arrived_unseen(begun, ranges);
        }
    }

    fn end_row(&mut self, row: Option<u64>, latency_ns: Option<u64>) {
        if let (Some(list), Some(row)) = (&mut self.list, row) {
            list.ended(row, latency_ns);
        }
    }
}
