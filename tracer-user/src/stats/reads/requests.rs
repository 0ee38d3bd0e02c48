//! Counts what becomes of each read from its first issue to its end, so that every request counts exactly once.
//!
//! A read is one request, counted at its first issue. It may be issued again: after the driver refused it
//! (a requeue), or for the remainder after a partial completion; it may have been merged with neighbours
//! meanwhile and come back larger. None of that is another read. Its bytes are those issued minus those
//! requeued; the law over all of them: **bytes = completed + failed + in flight**.
//!
//! The kernel side counts by the same rules (its `IssueCounters`, `CompleteCounters`, `RequeueCounters`), and
//! without a loss every count here equals its counterpart there.

use serde::{Deserialize, Serialize};

use crate::stats::event::{Nanos, ReadCompleted, ReadIssued, ReadRequeued};

use super::open_reads::OpenRead;

/// What an issue turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issue {
    /// A read begins.
    First {
        /// The model's reads with the driver, this one included.
        queue_depth: u64,
    },
    /// The same read again after a requeue.
    Reissue,
    /// What is left of the same read after a partial completion.
    Remainder,
}

/// What a completion turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Of a read whose issue was seen.
    Matched {
        /// When the read began, where that is known.
        first_issue: Option<Nanos>,
        /// First issue to last completion, in nanoseconds, if this was the last one and both are known.
        latency_nanos: Option<u64>,
    },
    /// Its issue was not seen: counted, and otherwise left out of all figures.
    Unmatched,
}

/// Of the model's reads that are open now: how many are in which state, and how many bytes each lacks.
#[derive(Clone, Copy, Debug, Default)]
struct OpenCounts {
    with_driver: u64,
    with_driver_bytes: u64,
    requeued: u64,
    requeued_bytes: u64,
    /// All bytes of the model are back, and the end of the request was not seen.
    arrived: u64,
}

impl OpenCounts {
    fn add(&mut self, read: &OpenRead) {
        if read.requeued {
            self.requeued += 1;
            self.requeued_bytes = self.requeued_bytes.saturating_add(read.outstanding_bytes);
        } else if read.outstanding_bytes > 0 {
            self.with_driver += 1;
            self.with_driver_bytes = self
                .with_driver_bytes
                .saturating_add(read.outstanding_bytes);
        } else {
            self.arrived += 1;
        }
    }

    fn remove(&mut self, read: &OpenRead) {
        if read.requeued {
            self.requeued -= 1;
            self.requeued_bytes = self.requeued_bytes.saturating_sub(read.outstanding_bytes);
        } else if read.outstanding_bytes > 0 {
            self.with_driver -= 1;
            self.with_driver_bytes = self
                .with_driver_bytes
                .saturating_sub(read.outstanding_bytes);
        } else {
            self.arrived -= 1;
        }
    }
}

/// Counts what becomes of one model's reads. Which of them are open is kept elsewhere
/// ([`crate::stats::reads::open_reads`]): each event comes with the read that it is of, which is changed.
#[derive(Clone, Debug, Default)]
pub struct RequestTally {
    counts: RequestCounts,
    open: OpenCounts,
}

impl RequestTally {
    /// Takes in an issue.
    pub fn issue(&mut self, open: &mut Option<OpenRead>, read: &ReadIssued) -> Issue {
        self.counts.issued_bytes = self.counts.issued_bytes.saturating_add(read.bytes);
        let mut now = OpenRead {
            begun: read.time,
            first_issue_seen: !read.reissue,
            outstanding_bytes: read.bytes,
            request_start_sector: read.request_start_sector,
            readahead: read.readahead,
            requeued: false,
            partly_completed: false,
            untimed: false,
            list_row: None,
        };
        let before = *open;
        if let Some(before) = &before {
            self.open.remove(before);
        }
        let issue = if read.reissue {
            let issue = match before {
                None => {
                    self.counts.reissues_without_issue += 1;
                    Issue::Reissue
                }
                Some(before) => {
                    now.begun = before.begun;
                    now.first_issue_seen = before.first_issue_seen;
                    now.untimed = before.untimed;
                    now.readahead = before.readahead;
                    now.list_row = before.list_row;
                    if before.requeued {
                        // What a requeue left over came back unseen, and is still missing.
                        now.outstanding_bytes = now
                            .outstanding_bytes
                            .saturating_add(before.outstanding_bytes);
                    } else {
                        self.counts.implied_requeued_bytes = self
                            .counts
                            .implied_requeued_bytes
                            .saturating_add(before.outstanding_bytes);
                    }
                    if before.partly_completed
                        || read.request_start_sector > before.request_start_sector
                    {
                        Issue::Remainder
                    } else {
                        Issue::Reissue
                    }
                }
            };
            match issue {
                Issue::Remainder => self.counts.remainders += 1,
                _ => self.counts.reissues += 1,
            }
            issue
        } else {
            if let Some(before) = before {
                self.count_unseen_end(&before);
            }
            self.counts.reads += 1;
            self.counts.readahead_reads += u64::from(read.readahead);
            self.counts.metadata_reads += u64::from(read.metadata);
            self.counts.synchronous_reads += u64::from(read.synchronous);
            Issue::First { queue_depth: 0 }
        };
        self.open.add(&now);
        *open = Some(now);
        match issue {
            Issue::First { .. } => Issue::First {
                queue_depth: self.with_driver(),
            },
            again => again,
        }
    }

    /// A read whose request begins anew ended without our seeing it.
    fn count_unseen_end(&mut self, read: &OpenRead) {
        if read.outstanding_bytes > 0 {
            self.counts.missed_completions += 1;
            self.counts.missing_bytes = self
                .counts
                .missing_bytes
                .saturating_add(read.outstanding_bytes);
        } else if read.requeued {
            self.counts.absorbed_reads += 1;
        } else {
            self.counts.ended_outside_reads += 1;
        }
    }

    /// Takes in that a read has ended without a completion of it.
    pub fn end_unseen(&mut self, read: &OpenRead) {
        self.open.remove(read);
        self.count_unseen_end(read);
    }

    /// Takes in a completion. The last one ends the read.
    pub fn complete(&mut self, open: &mut Option<OpenRead>, part: &ReadCompleted) -> Completion {
        let Some(read) = open else {
            if part.bytes > 0 {
                self.counts.unmatched_completions += 1;
                self.counts.unmatched_bytes =
                    self.counts.unmatched_bytes.saturating_add(part.bytes);
            }
            return Completion::Unmatched;
        };
        self.open.remove(read);
        let excess = part.bytes.saturating_sub(read.outstanding_bytes);
        read.outstanding_bytes = read.outstanding_bytes.saturating_sub(part.bytes);
        read.partly_completed |= part.bytes > 0;
        let read = *read;
        self.counts.excess_bytes = self.counts.excess_bytes.saturating_add(excess);
        let bytes = if part.failed {
            &mut self.counts.failed_bytes
        } else {
            &mut self.counts.completed_bytes
        };
        *bytes = bytes.saturating_add(part.bytes);

        let mut latency_nanos = None;
        if part.last {
            *open = None;
            self.counts.missing_bytes = self
                .counts
                .missing_bytes
                .saturating_add(read.outstanding_bytes);
            if part.bytes == 0 {
                self.counts.ended_outside_reads += 1;
            } else {
                if part.failed {
                    self.counts.failed_reads += 1;
                } else {
                    self.counts.completed_reads += 1;
                }
                latency_nanos = read
                    .first_issue()
                    .filter(|_| !read.untimed)
                    .and_then(|first| part.time.since(first));
                self.counts.untimed_reads += u64::from(latency_nanos.is_none());
            }
        } else {
            self.open.add(&read);
        }
        Completion::Matched {
            first_issue: read.first_issue(),
            latency_nanos,
        }
    }

    /// Takes in a requeue. One without bytes of the model changes nothing.
    pub fn requeue(&mut self, open: &mut Option<OpenRead>, part: &ReadRequeued) {
        if part.bytes == 0 {
            return;
        }
        let Some(read) = open else {
            self.counts.unmatched_requeues += 1;
            return;
        };
        self.open.remove(read);
        let excess = part.bytes.saturating_sub(read.outstanding_bytes);
        read.outstanding_bytes = read.outstanding_bytes.saturating_sub(part.bytes);
        read.requeued = true;
        self.open.add(read);
        self.counts.excess_bytes = self.counts.excess_bytes.saturating_add(excess);
        self.counts.requeues += 1;
        self.counts.requeued_bytes = self.counts.requeued_bytes.saturating_add(part.bytes);
    }

    /// The model's reads with the driver now.
    #[must_use]
    pub const fn with_driver(&self) -> u64 {
        self.open.with_driver
    }

    /// Bytes issued − requeued so far, without a look at what is open.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.counts.total_bytes()
    }

    /// The counts, with what is open now as in flight.
    #[must_use]
    pub fn counts(&self) -> RequestCounts {
        let (mut counts, open) = (self.counts, &self.open);
        counts.in_flight_reads += open.with_driver;
        counts.in_flight_bytes = counts
            .in_flight_bytes
            .saturating_add(open.with_driver_bytes);
        counts.requeued_waiting_reads += open.requeued;
        counts.missing_bytes = counts.missing_bytes.saturating_add(open.requeued_bytes);
        counts.ended_outside_reads += open.arrived;
        counts
    }
}

/// What became of the model's requests. Bytes are bytes of the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// Reads, each counted at its first issue.
    pub reads: u64,
    /// Issues of the same read again after a requeue.
    pub reissues: u64,
    /// Issues of what was left of a read after a partial completion.
    pub remainders: u64,
    /// Bytes in all issues, those of the two lines above included.
    pub issued_bytes: u64,
    /// Issued reads that went back to the queue.
    pub requeues: u64,
    /// Bytes in them.
    pub requeued_bytes: u64,
    /// Bytes that a read had outstanding when it was issued again without a requeue that we saw.
    pub implied_requeued_bytes: u64,
    /// Reads that ended without error in their last part.
    pub completed_reads: u64,
    /// Bytes that arrived.
    pub completed_bytes: u64,
    /// Reads whose last part failed.
    pub failed_reads: u64,
    /// Bytes that came back with an error.
    pub failed_bytes: u64,
    /// Reads with the driver at the end of the window.
    pub in_flight_reads: u64,
    /// Bytes of them that had not come back.
    pub in_flight_bytes: u64,
    /// Reads that were back in the queue at the end of the window.
    pub requeued_waiting_reads: u64,
    /// Requeued reads whose request was used for another read: they were merged into a neighbour.
    pub absorbed_reads: u64,
    /// Reads whose last part lay outside the model: all of the model's bytes came back, and the end of the
    /// request was not timed.
    pub ended_outside_reads: u64,
    /// Reads that ended without a latency: their first issue was not seen.
    pub untimed_reads: u64,
    /// First issues of a request whose previous read still had bytes outstanding.
    pub missed_completions: u64,
    /// Bytes that never came back, although their request ended.
    pub missing_bytes: u64,
    /// Bytes that came back beyond those outstanding.
    pub excess_bytes: u64,
    /// Completions whose issue was not seen.
    pub unmatched_completions: u64,
    /// Bytes of those; in no other figure.
    pub unmatched_bytes: u64,
    /// Requeues whose issue was not seen.
    pub unmatched_requeues: u64,
    /// Re-issues whose first issue was not seen.
    pub reissues_without_issue: u64,
    /// Reads issued as read-ahead.
    pub readahead_reads: u64,
    /// Reads with the file system's metadata flag.
    pub metadata_reads: u64,
    /// Reads whose submitter waits.
    pub synchronous_reads: u64,
}

impl RequestCounts {
    /// Bytes read: issued − requeued, so that each byte of a request counts once.
    #[must_use]
    pub const fn total_bytes(&self) -> u64 {
        self.issued_bytes
            .saturating_sub(self.requeued_bytes)
            .saturating_sub(self.implied_requeued_bytes)
    }

    /// The other side of the law for [`Self::total_bytes`]: completed + failed + in flight.
    #[must_use]
    pub const fn accounted_bytes(&self) -> u64 {
        self.completed_bytes
            .saturating_add(self.failed_bytes)
            .saturating_add(self.in_flight_bytes)
    }

    /// The other side of the law for `reads`: every read ended in one of these ways, or is open.
    #[must_use]
    pub const fn accounted_reads(&self) -> u64 {
        self.completed_reads
            .saturating_add(self.failed_reads)
            .saturating_add(self.in_flight_reads)
            .saturating_add(self.requeued_waiting_reads)
            .saturating_add(self.absorbed_reads)
            .saturating_add(self.ended_outside_reads)
    }

    /// Signs that events were missed; 0 in a run without loss, but for completions of requests that were
    /// issued before the window ([`Self::unmatched_completions`], not in here).
    #[must_use]
    pub const fn missed_events(&self) -> u64 {
        self.missed_completions
            .saturating_add(self.unmatched_requeues)
            .saturating_add(self.reissues_without_issue)
            .saturating_add(self.missing_bytes)
            .saturating_add(self.excess_bytes)
    }
}

#[cfg(test)]
mod tests;
