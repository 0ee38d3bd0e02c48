//! Records of the ring buffer → events of models → accumulators.

use tracer_common::record::{NO_PREVIOUS_END, complete_flag, issue_flag};

use crate::{
    kernel::Record,
    stats::{
        FileData, ModelAccumulator, ModelFigures, Nanos, ReadCompleted, ReadIssued, ReadRequeued,
        RequestId,
    },
};

use super::locate::Locator;

/// The stream of one window.
pub struct Stream {
    locator: Locator,
    models: Vec<ModelAccumulator>,
    counts: RecordCounts,
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
    /// Issues for a model in whose extents the user side finds no part of the request.
    pub misplaced: u64,
}

impl RecordCounts {
    /// All records.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.issues + self.completions + self.requeues + self.unseen
    }
}

/// A stream after its last record.
pub struct FinishedStream {
    /// By model slot.
    pub models: Vec<ModelFigures>,
    /// By model slot: reads by the kernel side's latency buckets.
    pub latency_buckets: Vec<Vec<u64>>,
    /// Records.
    pub counts: RecordCounts,
    /// The locator, for requests that were left.
    pub locator: Locator,
}

impl Stream {
    /// A stream from `start` on. `files` are the files of each model, in the order of the locator's slots.
    #[must_use]
    pub fn new(locator: Locator, files: Vec<Vec<FileData>>, start: Nanos) -> Self {
        Self {
            locator,
            models: files
                .into_iter()
                .map(|files| ModelAccumulator::new(start, files))
                .collect(),
            counts: RecordCounts::default(),
        }
    }

    /// Takes in one record.
    pub fn take(&mut self, record: Record) {
        match record {
            Record::Issue(issue) => {
                self.counts.issues += 1;
                let part = self
                    .locator
                    .parts(issue.device, issue.sector, u64::from(issue.bytes))
                    .into_iter()
                    .find(|part| part.model == u16::from(issue.model));
                let (Some(part), Some(model)) =
                    (part, self.models.get_mut(usize::from(issue.model)))
                else {
                    self.counts.misplaced += 1;
                    return;
                };
                let reissue = issue.flags & issue_flag::REISSUE != 0;
                let readahead = issue.flags & issue_flag::READAHEAD != 0;
                model.issue(&ReadIssued {
                    time: Nanos(issue.time_ns),
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
                });
            }
            Record::Complete(complete) => {
                self.counts.completions += 1;
                let parts =
                    self.locator
                        .parts(complete.device, complete.sector, u64::from(complete.bytes));
                for (slot, model) in self.models.iter_mut().enumerate() {
                    let part = parts.iter().find(|part| usize::from(part.model) == slot);
                    let last = complete.flags & complete_flag::LAST != 0;
                    // A completion ends the read of every model that had a part of it, also of one whose
                    // part came back earlier.
                    if part.is_some() || last {
                        model.complete(
                            &ReadCompleted {
                                time: Nanos(complete.time_ns),
                                request: RequestId(complete.request),
                                bytes: part.map_or(0, |part| part.bytes),
                                failed: complete.status != 0,
                                last,
                            },
                            part.map_or(&[], |part| part.ranges.as_slice()),
                        );
                    }
                }
            }
            Record::Page(_) | Record::Wait(_) | Record::Mark(_) => {}
            Record::Unseen(unseen) => {
                self.counts.unseen += 1;
                for model in &mut self.models {
                    model.end_unseen(Nanos(unseen.time_ns), RequestId(unseen.request));
                }
            }
            Record::Requeue(requeue) => {
                self.counts.requeues += 1;
                let parts =
                    self.locator
                        .parts(requeue.device, requeue.sector, u64::from(requeue.bytes));
                for part in parts {
                    if let Some(model) = self.models.get_mut(usize::from(part.model)) {
                        model.requeue(&ReadRequeued {
                            time: Nanos(requeue.time_ns),
                            request: RequestId(requeue.request),
                            bytes: part.bytes,
                        });
                    }
                }
            }
        }
    }

    /// The figures of a window that ends at `end`.
    #[must_use]
    pub fn finish(self, end: Nanos) -> FinishedStream {
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
            counts: self.counts,
            locator: self.locator,
        }
    }
}
