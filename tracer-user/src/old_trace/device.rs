//! The records of one device → its figures.

use smallvec::smallvec;
use tracer_common::{counters::Operation, gap::SECTOR_BYTES};

use crate::{
    place::Locator,
    schema::DeviceRecord,
    stats::{
        FileData, FileRange, ModelAccumulator, ModelFigures, Nanos, Part, Parts, ReadCompleted,
        ReadIssued, ReadRequeued, RequestId,
        audit::accounting::{self, AccountingAudit, AccountingFigures, ReadRecord},
        reads::{
            open_reads::{OpenReads, RequestKey, RequestPlace},
            unique::UniqueBytes,
        },
    },
    storage::KernelDevice,
};

use super::{
    model::ModelPlace,
    record::{Action, TraceRecord},
    requests::RequestFollower,
};

/// Slot of the one model.
const MODEL: u16 = 0;
/// No request: of completions whose issue was not seen.
const UNSEEN_REQUEST: RequestId = RequestId(0);
/// Issues after which figures that nobody takes are dropped.
const DROP_AFTER: u64 = 4096;

/// Where the model is on one device.
enum Where {
    /// Nobody said: all reads are of it, and a sector's offset is its place on the device.
    Anywhere,
    /// At these extents.
    At(Locator),
}

impl Where {
    /// What of a read belongs to the model.
    fn touched(&self, start_sector: u64, end_sector: u64) -> Option<Part> {
        let bytes = (end_sector - start_sector).saturating_mul(SECTOR_BYTES);
        match self {
            Self::Anywhere => Some(Part {
                model: MODEL,
                start_sector,
                end_sector,
                bytes,
                ranges: smallvec![FileRange {
                    file: 0,
                    offset_bytes: start_sector.saturating_mul(SECTOR_BYTES),
                    length_bytes: bytes,
                }],
            }),
            Self::At(locator) => locator.parts(0, start_sector, bytes).into_iter().next(),
        }
    }
}

const fn key(request: RequestId) -> RequestKey {
    RequestKey { device: 0, request }
}

const fn place(start_sector: u64, end_sector: u64) -> RequestPlace {
    RequestPlace {
        sector: start_sector,
        bytes: (end_sector - start_sector).saturating_mul(SECTOR_BYTES),
    }
}

fn parts(touched: Option<&Part>) -> Parts {
    touched.cloned().into_iter().collect()
}

/// Everything about one device.
pub struct DeviceTrace {
    device: KernelDevice,
    place: Where,
    reads: RequestFollower,
    writes: RequestFollower,
    model: ModelAccumulator,
    open: OpenReads,
    audit: AccountingAudit,
    previous_end: Option<u64>,
    /// Distinct bytes of the model that were issued, until the first completion: a trace without any completion says no
    /// more of what arrived.
    issued: Option<UniqueBytes>,
    /// Sectors of all reads that were issued: the first one, and the one after the last.
    range: Option<(u64, u64)>,
    counts: DeviceRecord,
    /// Records of reads, whatever they say.
    read_records: u64,
    /// Records that are no remaps.
    own_records: u64,
    /// Issues and re-issues of reads and flushes, which blkparse counts together.
    read_dispatches: u64,
    completions: u64,
    /// Issued reads that touch the model.
    model_reads: u64,
    writes_to_model: u64,
    write_bytes_to_model: u64,
}

/// The figures of one device.
#[derive(Debug)]
pub struct DeviceFindings {
    /// The device.
    pub device: KernelDevice,
    /// Its requests, the model's and others.
    pub counts: DeviceRecord,
    /// The model's figures; without a model, of all reads.
    pub figures: ModelFigures,
    /// The same under every accounting.
    pub accountings: Vec<AccountingFigures>,
    /// First sector of all issued reads, and the one after the last.
    pub range: Option<(u64, u64)>,
    /// Records of reads.
    pub read_records: u64,
    /// Issues and re-issues of reads and flushes.
    pub read_dispatches: u64,
    /// Completions of reads.
    pub completions: u64,
    /// Distinct bytes of the model in issued reads, where the trace has no completions.
    pub issued_unique_bytes: Option<u64>,
    /// Issued reads that touch the model.
    pub model_reads: u64,
    /// Writes that touch the model, and their bytes; None without a model.
    pub writes_to_model: Option<(u64, u64)>,
}

impl DeviceTrace {
    /// A device in a trace that begins at `start`.
    pub fn new(
        device: KernelDevice,
        start: Nanos,
        place: Option<&ModelPlace>,
        main_thread: Option<u32>,
    ) -> Self {
        let files = place.map_or_else(Vec::new, ModelPlace::file_data);
        Self {
            device,
            reads: RequestFollower::default(),
            writes: RequestFollower::default(),
            model: ModelAccumulator::new(start, files),
            open: OpenReads::default(),
            audit: AccountingAudit::new(main_thread, place.and_then(ModelPlace::sector_range)),
            place: place.map_or(Where::Anywhere, |place| Where::At(place.locator.clone())),
            previous_end: None,
            issued: Some(UniqueBytes::default()),
            range: None,
            counts: DeviceRecord {
                name: device.to_string(),
                number: device.to_string(),
                ..DeviceRecord::default()
            },
            read_records: 0,
            own_records: 0,
            read_dispatches: 0,
            completions: 0,
            model_reads: 0,
            writes_to_model: 0,
            write_bytes_to_model: 0,
        }
    }

    /// Whether it has records of its own, not only remaps to it.
    pub const fn is_traced(&self) -> bool {
        self.own_records > 0
    }

    /// Takes in a record, by time.
    pub fn take(&mut self, record: &TraceRecord) {
        self.own_records += u64::from(record.action != Action::Remap);
        self.read_dispatches += u64::from(
            record.action == Action::Issue
                && matches!(record.operation, Operation::Read | Operation::Flush),
        );
        if record.is_read() {
            self.read(record);
            return;
        }
        let (start, end) = (record.sector, record.end_sector());
        if record.operation == Operation::Write && record.sectors > 0 {
            match record.action {
                Action::Issue => {
                    let again = self.writes.issue(start, end).again;
                    if !again {
                        self.write(start, end);
                    }
                }
                Action::Complete => {
                    self.writes.complete(start, end);
                }
                Action::Requeue => {
                    self.writes.requeue(start, end);
                }
                Action::BackMerge | Action::FrontMerge => {
                    let at_front = record.action == Action::FrontMerge;
                    self.writes.merge(start, end, at_front);
                }
                _ => {}
            }
        } else if record.action == Action::Issue {
            match record.operation {
                Operation::Flush => self.counts.flushes += 1,
                Operation::Discard => self.counts.discards += 1,
                _ => self.counts.other_requests += 1,
            }
        }
    }

    fn write(&mut self, start: u64, end: u64) {
        self.counts.writes += 1;
        self.counts.write_bytes += (end - start).saturating_mul(SECTOR_BYTES);
        if let Where::At(_) = self.place
            && let Some(touched) = self.place.touched(start, end)
        {
            self.writes_to_model += 1;
            self.write_bytes_to_model += touched.bytes;
        }
    }

    fn read(&mut self, record: &TraceRecord) {
        self.read_records += 1;
        let (start, end) = (record.sector, record.end_sector());
        if start >= end {
            // At the end of 64 bits: of no disk.
            return;
        }
        let touched = self.place.touched(start, end);
        let mut again = false;
        match record.action {
            Action::Issue => again = self.issue(record, touched.as_ref()),
            Action::Complete => self.complete(record, touched.as_ref()),
            Action::Requeue => {
                if let (Some(request), Some(touched)) = (self.reads.requeue(start, end), &touched) {
                    let requeued = ReadRequeued {
                        time: record.time,
                        request,
                        bytes: touched.bytes,
                    };
                    let parts = || parts(Some(touched));
                    self.open
                        .requeue(key(request), place(start, end), parts, |event| {
                            self.model.requeue(event.read, &requeued);
                        });
                }
            }
            Action::BackMerge | Action::FrontMerge => {
                let at_front = record.action == Action::FrontMerge;
                if let Some(absorbed) = self.reads.merge(start, end, at_front) {
                    self.open.end_unseen(key(absorbed), |_, read, _| {
                        self.model.end_unseen(record.time, &read);
                    });
                }
            }
            _ => {}
        }
        if record.action == Action::Issue {
            self.audit.take_issue_anywhere(start, end);
        }
        if let (Some(action), Some(touched)) = (record.action.counted(), touched) {
            self.audit.take(&ReadRecord {
                action,
                start_sector: touched.start_sector,
                end_sector: touched.end_sector,
                thread_id: record.thread_id,
                again: again && action == accounting::Action::Issue,
            });
        }
    }

    /// An issue; whether it is one of a read that was issued before.
    fn issue(&mut self, record: &TraceRecord, touched: Option<&Part>) -> bool {
        let (start, end) = (record.sector, record.end_sector());
        let bytes = (end - start).saturating_mul(SECTOR_BYTES);
        let issued = self.reads.issue(start, end);
        let (first, last) = self.range.unwrap_or((start, end));
        self.range = Some((first.min(start), last.max(end)));
        if !issued.again {
            self.counts.reads += 1;
            self.counts.read_bytes = self.counts.read_bytes.saturating_add(bytes);
            self.counts.metadata_reads += u64::from(record.metadata);
            let others = bytes.saturating_sub(touched.map_or(0, |touched| touched.bytes));
            self.counts.other_reads += u64::from(touched.is_none());
            self.counts.other_read_bytes = self.counts.other_read_bytes.saturating_add(others);
        }
        let Some(touched) = touched else {
            return issued.again;
        };
        if let Some(unique) = &mut self.issued {
            for range in &touched.ranges {
                unique.insert(range.file, range.offset_bytes, range.length_bytes);
            }
        }
        let previous_end = if issued.again {
            None
        } else {
            self.model_reads += 1;
            self.previous_end.replace(touched.end_sector)
        };
        let read = ReadIssued {
            time: record.time,
            request: issued.request,
            device: 0,
            start_sector: touched.start_sector,
            end_sector: touched.end_sector,
            request_start_sector: start,
            request_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            bytes: touched.bytes,
            previous_end,
            file_position: touched.file_position(),
            // blktrace's pid is that of the thread.
            process_id: record.thread_id,
            thread_id: record.thread_id,
            reissue: issued.again,
            readahead: record.readahead,
            metadata: record.metadata,
            synchronous: record.synchronous,
        };
        let parts = || parts(Some(touched));
        let request = key(issued.request);
        self.open
            .issue(request, place(start, end), Some(MODEL), parts, |event| {
                self.model.issue(event.read, &read);
            });
        if self.model_reads.is_multiple_of(DROP_AFTER) {
            self.model.drain_stream_gaps(drop);
        }
        issued.again
    }

    fn complete(&mut self, record: &TraceRecord, touched: Option<&Part>) {
        self.completions += 1;
        self.issued = None;
        let completed = self.reads.complete(record.sector, record.end_sector());
        let request = completed.map_or(UNSEEN_REQUEST, |completed| completed.request);
        let last = completed.is_none_or(|completed| completed.last);
        let place = place(record.sector, record.end_sector());
        self.open.complete(
            key(request),
            place,
            last,
            || parts(touched),
            |event| {
                let ranges = event.part.map_or(&[][..], |part| &part.ranges);
                let completed = ReadCompleted {
                    time: record.time,
                    request,
                    bytes: event.part.map_or(0, |part| part.bytes),
                    failed: record.failed,
                    last,
                };
                self.model.complete(event.read, &completed, ranges);
            },
        );
    }

    /// The figures of a trace that ends at `end`.
    #[must_use]
    pub fn finish(mut self, end: Nanos) -> DeviceFindings {
        let writes_to_model = match &self.place {
            Where::At(_) => Some((self.writes_to_model, self.write_bytes_to_model)),
            Where::Anywhere => {
                // The range of all reads is the model.
                let (first, last) = self.range.unwrap_or_default();
                self.model.set_files(vec![FileData {
                    size_bytes: (last - first).saturating_mul(SECTOR_BYTES),
                    hole_bytes: 0,
                }]);
                None
            }
        };
        DeviceFindings {
            device: self.device,
            figures: self.model.finish(end),
            accountings: self.audit.figures(),
            counts: self.counts,
            range: self.range,
            read_records: self.read_records,
            read_dispatches: self.read_dispatches,
            completions: self.completions,
            issued_unique_bytes: self.issued.map(|unique| unique.bytes()),
            model_reads: self.model_reads,
            writes_to_model,
        }
    }
}
