//! The reads that have begun and not ended.
//!
//! One table for all that follows a read from its first issue to its end: the figures of each model, the list of reads
//! and the audit. An event of a request is handed here once; the table knows which models it concerns and where their
//! parts lie, and gives each of them its part and its read. Where the parts lie is looked up when a request is issued,
//! and again only for an event that is of other sectors than the issue: a partial completion, and what it leaves.

use std::collections::{HashMap, hash_map::Entry};

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::stats::event::{FileRange, Nanos, Part, Parts, RequestId};

/// Which request, on which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// Slot of the device.
    pub device: u8,
    /// The request.
    pub request: RequestId,
}

/// The sectors that an event of a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestPlace {
    /// First one.
    pub sector: u64,
    /// Bytes from there on.
    pub bytes: u64,
}

/// A model's read that has begun and not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRead {
    /// First issue; where that was not seen, the first event that was.
    pub(super) begun: Nanos,
    /// The first issue was seen.
    pub(super) first_issue_seen: bool,
    /// Bytes of the model that the driver holds.
    pub(super) outstanding_bytes: u64,
    /// First sector of the whole request at its latest issue.
    pub(super) request_start_sector: u64,
    /// Its first issue was marked as read-ahead.
    pub(super) readahead: bool,
    /// Back in the queue.
    pub(super) requeued: bool,
    /// A part has come back since the latest issue.
    pub(super) partly_completed: bool,
    /// When it was issued is not known.
    pub(super) untimed: bool,
    /// Number of its row in the list of reads, where it has one.
    pub list_row: Option<u64>,
}

impl OpenRead {
    /// First issue; where that was not seen, the first event that was.
    #[must_use]
    pub const fn begun(&self) -> Nanos {
        self.begun
    }

    /// First issue, where it was seen.
    #[must_use]
    pub fn first_issue(&self) -> Option<Nanos> {
        self.first_issue_seen.then_some(self.begun)
    }

    /// Its first issue was marked as read-ahead.
    #[must_use]
    pub const fn is_readahead(&self) -> bool {
        self.readahead
    }

    /// Its issue was noticed late: it has no latency.
    pub const fn set_untimed(&mut self) {
        self.untimed = true;
    }

    /// Issued, not requeued since, and not all of the model's bytes are back.
    #[must_use]
    pub const fn is_with_driver(&self) -> bool {
        !self.requeued && self.outstanding_bytes > 0
    }
}

type ModelReads = SmallVec<[(u16, Option<OpenRead>); 1]>;

/// A request of which at least one model's read is open.
#[derive(Clone, Debug)]
struct OpenRequest {
    /// Its sectors at the latest issue.
    place: RequestPlace,
    /// The models' parts of these.
    parts: Parts,
    /// By model. Those of a model that the latest issue does not touch any more are among them.
    reads: ModelReads,
}

fn read_of(reads: &mut ModelReads, model: u16) -> &mut Option<OpenRead> {
    let position = reads.iter().position(|(own, _)| *own == model);
    let position = position.unwrap_or_else(|| {
        reads.push((model, None));
        reads.len() - 1
    });
    &mut reads[position].1
}

/// An event of a model's part of a request: the model, its part, and its read, which the caller begins and ends there.
/// There is no part where only the end of the request concerns the model.
pub struct PartEvent<'a> {
    /// Slot of the model.
    pub model: u16,
    /// Its part of the sectors that the event names.
    pub part: Option<&'a Part>,
    /// Its read; None where no issue of it was seen.
    pub read: &'a mut Option<OpenRead>,
}

impl OpenRequest {
    fn event(
        &mut self,
        place: RequestPlace,
        last: bool,
        locate: impl FnOnce() -> Parts,
        mut each: impl FnMut(PartEvent<'_>),
    ) {
        let located;
        let parts = if self.place == place {
            &self.parts
        } else {
            located = locate();
            &located
        };
        for part in parts {
            each(PartEvent {
                model: part.model,
                part: Some(part),
                read: read_of(&mut self.reads, part.model),
            });
        }
        if !last {
            return;
        }
        for (model, read) in &mut self.reads {
            if read.is_some() && parts.iter().all(|part| part.model != *model) {
                each(PartEvent {
                    model: *model,
                    part: None,
                    read,
                });
            }
        }
    }
}

/// Parts of a request that nothing is known of.
fn unknown(parts: &Parts, mut each: impl FnMut(PartEvent<'_>)) {
    for part in parts {
        each(PartEvent {
            model: part.model,
            part: Some(part),
            read: &mut None,
        });
    }
}

/// The table.
#[derive(Clone, Debug, Default)]
pub struct OpenReads {
    requests: HashMap<RequestKey, OpenRequest, RandomState>,
}

impl OpenReads {
    /// A request was issued, for the first time or again: for one model, or for every model that it touches.
    pub fn issue(
        &mut self,
        key: RequestKey,
        place: RequestPlace,
        model: Option<u16>,
        locate: impl FnOnce() -> Parts,
        mut each: impl FnMut(PartEvent<'_>),
    ) {
        let request = match self.requests.entry(key) {
            Entry::Occupied(open) => {
                let open = open.into_mut();
                if open.place != place {
                    open.place = place;
                    open.parts = locate();
                }
                open
            }
            Entry::Vacant(free) => free.insert(OpenRequest {
                place,
                parts: locate(),
                reads: ModelReads::new(),
            }),
        };
        let OpenRequest { parts, reads, .. } = request;
        match model {
            Some(model) => each(PartEvent {
                model,
                part: parts.iter().find(|part| part.model == model),
                read: read_of(reads, model),
            }),
            None => {
                for part in &*parts {
                    each(PartEvent {
                        model: part.model,
                        part: Some(part),
                        read: read_of(reads, part.model),
                    });
                }
            }
        }
        if reads.iter().all(|(_, read)| read.is_none()) {
            self.requests.remove(&key);
        }
    }

    /// A part of a request came back; `last`: nothing of it is left, which ends the reads of all its models.
    pub fn complete(
        &mut self,
        key: RequestKey,
        place: RequestPlace,
        last: bool,
        locate: impl FnOnce() -> Parts,
        each: impl FnMut(PartEvent<'_>),
    ) {
        if !last {
            return self.event(key, place, locate, each);
        }
        match self.requests.remove(&key) {
            Some(mut request) => request.event(place, last, locate, each),
            None => unknown(&locate(), each),
        }
    }

    /// A request went back to the queue.
    pub fn requeue(
        &mut self,
        key: RequestKey,
        place: RequestPlace,
        locate: impl FnOnce() -> Parts,
        each: impl FnMut(PartEvent<'_>),
    ) {
        self.event(key, place, locate, each);
    }

    fn event(
        &mut self,
        key: RequestKey,
        place: RequestPlace,
        locate: impl FnOnce() -> Parts,
        each: impl FnMut(PartEvent<'_>),
    ) {
        match self.requests.get_mut(&key) {
            Some(request) => request.event(place, false, locate, each),
            None => unknown(&locate(), each),
        }
    }

    /// A request has ended without a completion of it: gives its reads, with the pieces of files in each.
    pub fn end_unseen(
        &mut self,
        key: RequestKey,
        mut each: impl FnMut(u16, OpenRead, &[FileRange]),
    ) {
        let Some(request) = self.requests.remove(&key) else {
            return;
        };
        for (model, read) in &request.reads {
            let part = request.parts.iter().find(|part| part.model == *model);
            if let Some(read) = read {
                each(*model, *read, part.map_or(&[], |part| &part.ranges));
            }
        }
    }

    /// The reads in the table, with their models.
    pub fn reads(&self) -> impl Iterator<Item = (u16, &OpenRead)> {
        self.requests
            .values()
            .flat_map(|request| &request.reads)
            .filter_map(|(model, read)| Some((*model, read.as_ref()?)))
    }
}

#[cfg(test)]
mod tests;
