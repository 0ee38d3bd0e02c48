//! Follows each read from its first issue to its end, so that every request counts exactly once.
//!
//! A read is one request, counted at its first issue. It may be issued again: after the driver refused it
//! (a requeue), or for the remainder after a partial completion; it may have been merged with neighbours
//! meanwhile and come back larger. None of that is another read. Its bytes are those issued minus those
//! requeued; the law over all of them: **bytes = completed + failed + in flight**.
//!
//! The kernel side counts by the same rules (its `IssueCounters`, `CompleteCounters`, `RequeueCounters`), and
//! without a loss every count here equals its counterpart there.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::stats::event::{Nanos, ReadCompleted, ReadIssued, ReadRequeued, RequestId};

/// A read that has begun and not ended.
#[derive(Clone, Copy, Debug)]
struct OpenRead {
    /// `None` where the first issue was not seen.
    first_issue: Option<Nanos>,
    /// Bytes of the model that the driver holds.
    outstanding_bytes: u64,
    /// First sector of the whole request at its latest issue.
    request_start_sector: u64,
    /// Its first issue was marked as read-ahead.
    readahead: bool,
    /// Back in the queue.
    requeued: bool,
    /// A part has come back since the latest issue.
    partly_completed: bool,
    /// When it was issued is not known.
    untimed: bool,
}

impl OpenRead {
    const fn is_with_driver(&self) -> bool {
        !self.requeued && self.outstanding_bytes > 0
    }
}

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

/// Matches the events of requests.
#[derive(Clone, Debug, Default)]
pub struct RequestMatcher {
    open: HashMap<RequestId, OpenRead>,
    counts: RequestCounts,
    with_driver: u64,
}

impl RequestMatcher {
    /// Takes in an issue.
    pub fn issue(&mut self, read: &ReadIssued) -> Issue {
        self.counts.issued_bytes = self.counts.issued_bytes.saturating_add(read.bytes);
        let mut now = OpenRead {
            first_issue: (!read.reissue).then_some(read.time),
            outstanding_bytes: read.bytes,
            request_start_sector: read.request_start_sector,
            readahead: read.readahead,
            requeued: false,
            partly_completed: false,
            untimed: false,
        };
        let before = self.open.get(&read.request).copied();
        let was_with_driver = before.is_some_and(|before| before.is_with_driver());
        let issue = if read.reissue {
            let issue = match before {
                None => {
                    self.counts.reissues_without_issue += 1;
                    Issue::Reissue
                }
                Some(before) => {
                    now.first_issue = before.first_issue;
                    now.untimed = before.untimed;
                    now.readahead = before.readahead;
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
        self.open.insert(read.request, now);
        self.with_driver =
            self.with_driver + u64::from(now.is_with_driver()) - u64::from(was_with_driver);
        match issue {
            Issue::First { .. } => Issue::First {
                queue_depth: self.with_driver,
            },
            again => again,
        }
    }

    /// The time of a read's issue is that of its being noticed.
    pub fn untimed(&mut self, request: RequestId) {
        if let Some(read) = self.open.get_mut(&request) {
            read.untimed = true;
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

    /// Takes in that a read has ended without a completion of it; a request that is not open is not ours.
    pub fn end_unseen(&mut self, request: RequestId) {
        if let Some(read) = self.open.remove(&request) {
            self.with_driver -= u64::from(read.is_with_driver());
            self.count_unseen_end(&read);
        }
    }

    /// Takes in a completion.
    pub fn complete(&mut self, part: &ReadCompleted) -> Completion {
        let Some(read) = self.open.get_mut(&part.request) else {
            if part.bytes > 0 {
                self.counts.unmatched_completions += 1;
                self.counts.unmatched_bytes =
                    self.counts.unmatched_bytes.saturating_add(part.bytes);
            }
            return Completion::Unmatched;
        };
        let was_with_driver = read.is_with_driver();
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
        let mut is_with_driver = read.is_with_driver();
        if part.last {
            self.open.remove(&part.request);
            is_with_driver = false;
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
                    .first_issue
                    .filter(|_| !read.untimed)
                    .and_then(|first| part.time.since(first));
                self.counts.untimed_reads += u64::from(latency_nanos.is_none());
            }
        }
        self.with_driver =
            self.with_driver + u64::from(is_with_driver) - u64::from(was_with_driver);
        Completion::Matched {
            first_issue: read.first_issue,
            latency_nanos,
        }
    }

    /// Takes in a requeue. One without bytes of the model changes nothing.
    pub fn requeue(&mut self, part: &ReadRequeued) {
        if part.bytes == 0 {
            return;
        }
        let Some(read) = self.open.get_mut(&part.request) else {
            self.counts.unmatched_requeues += 1;
            return;
        };
        let was_with_driver = read.is_with_driver();
        let excess = part.bytes.saturating_sub(read.outstanding_bytes);
        read.outstanding_bytes = read.outstanding_bytes.saturating_sub(part.bytes);
        read.requeued = true;
        self.counts.excess_bytes = self.counts.excess_bytes.saturating_add(excess);
        self.counts.requeues += 1;
        self.counts.requeued_bytes = self.counts.requeued_bytes.saturating_add(part.bytes);
        self.with_driver -= u64::from(was_with_driver);
    }

    /// When a read that has not ended began, and whether it was marked as read-ahead then. None where its first issue
    /// was not seen.
    #[must_use]
    pub fn beginning_of(&self, request: RequestId) -> Option<(Nanos, bool)> {
        let read = self.open.get(&request)?;
        Some((read.first_issue?, read.readahead))
    }

    /// The model's reads with the driver now.
    #[must_use]
    pub const fn with_driver(&self) -> u64 {
        self.with_driver
    }

    /// Bytes issued − requeued so far, without a look at what is open.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.counts.total_bytes()
    }

    /// The counts, with what is open now as in flight.
    #[must_use]
    pub fn counts(&self) -> RequestCounts {
        let mut counts = self.counts;
        for read in self.open.values() {
            if read.requeued {
                counts.requeued_waiting_reads += 1;
                counts.missing_bytes = counts.missing_bytes.saturating_add(read.outstanding_bytes);
            } else if read.outstanding_bytes > 0 {
                counts.in_flight_reads += 1;
                counts.in_flight_bytes = counts
                    .in_flight_bytes
                    .saturating_add(read.outstanding_bytes);
            } else {
                counts.ended_outside_reads += 1;
            }
        }
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
