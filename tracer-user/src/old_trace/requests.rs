//! Which records are of one and the same request.
//!
//! blktrace's records carry no address of a request. It is known by what happened to it: a record `R` sends it back to
//! the queue, merges make it grow there, and it is issued again with exactly the sectors that it has then. A completion
//! of its first part leaves a remainder, which may be issued again. That another issue names the same sector says
//! nothing: two processes may read it at the same time.

use std::collections::HashMap;

use crate::stats::RequestId;

/// Requests that wait in the queue at most; beyond it the oldest is given up. Queues are shorter by far.
const MOST_REQUEUED: usize = 4096;

/// What an issue turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// Which request.
    pub request: RequestId,
    /// It had been issued before.
    pub again: bool,
}

/// What a completion turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completed {
    /// Which request.
    pub request: RequestId,
    /// Nothing of it is left.
    pub last: bool,
}

/// A request between its first issue and its end.
#[derive(Clone, Copy, Debug)]
struct Open {
    request: RequestId,
    /// Sector after its last one.
    end: u64,
    /// Its first part has completed.
    partly_completed: bool,
}

/// Follows the requests of one device and one direction.
#[derive(Clone, Debug, Default)]
pub struct RequestFollower {
    begun: u64,
    /// With the driver, by first sector of what is left, the oldest first.
    issued: HashMap<u64, Vec<Open>>,
    /// Back in the queue.
    requeued: Vec<(u64, Open)>,
}

impl RequestFollower {
    /// An issue of the sectors `start..end`.
    pub fn issue(&mut self, start: u64, end: u64) -> Issued {
        let position = self
            .requeued
            .iter()
            .position(|(from, open)| *from == start && open.end == end);
        if let Some(position) = position {
            let (_, open) = self.requeued.remove(position);
            self.issued.entry(start).or_default().push(open);
            return Issued {
                request: open.request,
                again: true,
            };
        }
        let same_place = self.issued.entry(start).or_default();
        if let Some(remainder) = same_place
            .iter()
            .find(|open| open.partly_completed && open.end == end)
        {
            return Issued {
                request: remainder.request,
                again: true,
            };
        }
        self.begun += 1;
        let request = RequestId(self.begun);
        same_place.push(Open {
            request,
            end,
            partly_completed: false,
        });
        Issued {
            request,
            again: false,
        }
    }

    /// A completion of the sectors `start..end`. None where no such request has begun.
    pub fn complete(&mut self, start: u64, end: u64) -> Option<Completed> {
        let same_place = self.issued.get_mut(&start)?;
        let position = same_place
            .iter()
            .position(|open| open.end == end)
            .or_else(|| same_place.iter().position(|open| open.end > end))?;
        let mut open = same_place.remove(position);
        if same_place.is_empty() {
            self.issued.remove(&start);
        }
        let last = open.end == end;
        if !last {
            open.partly_completed = true;
            self.issued.entry(end).or_default().push(open);
        }
        Some(Completed {
            request: open.request,
            last,
        })
    }

    /// The sectors `start..end` went back to the queue. None where no such request has been issued: some drivers give
    /// back what never was.
    pub fn requeue(&mut self, start: u64, end: u64) -> Option<RequestId> {
        let same_place = self.issued.get_mut(&start)?;
        let position = same_place.iter().position(|open| open.end == end)?;
        let open = same_place.remove(position);
        if same_place.is_empty() {
            self.issued.remove(&start);
        }
        if self.requeued.len() == MOST_REQUEUED {
            self.requeued.remove(0);
        }
        self.requeued.push((start, open));
        Some(open.request)
    }

    /// The sectors `start..end` were added to a request that waits, at its back or at its front: one that was requeued
    /// grows. Where these sectors are a requeued request itself, it has become a part of another one and will not be
    /// issued any more; that one is returned.
    pub fn merge(&mut self, start: u64, end: u64, at_front: bool) -> Option<RequestId> {
        if self.requeued.is_empty() {
            return None;
        }
        let itself = self
            .requeued
            .iter()
            .position(|(from, open)| *from == start && open.end == end);
        let absorbed = itself.map(|position| self.requeued.remove(position).1.request);
        for (from, open) in &mut self.requeued {
            if at_front && *from == end {
                *from = start;
                break;
            }
            if !at_front && open.end == start {
                open.end = end;
                break;
            }
        }
        absorbed
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::RequestId;

    use super::{Completed, RequestFollower};

    fn done(request: u64, last: bool) -> Option<Completed> {
        Some(Completed {
            request: RequestId(request),
            last,
        })
    }

    fn issued(follower: &mut RequestFollower, start: u64, end: u64) -> (u64, bool) {
        let issued = follower.issue(start, end);
        (issued.request.0, issued.again)
    }

    #[test]
    fn two_readers_of_one_sector_are_two_reads() {
        let mut follower = RequestFollower::default();
        assert_eq!(issued(&mut follower, 0, 8), (1, false));
        assert_eq!(issued(&mut follower, 0, 8), (2, false));
        assert_eq!(follower.complete(0, 8), done(1, true));
        assert_eq!(follower.complete(0, 8), done(2, true));
        assert_eq!(follower.complete(0, 8), None);
    }

    #[test]
    fn a_requeued_request_is_the_same_one_when_it_is_issued_again() {
        let mut follower = RequestFollower::default();
        assert_eq!(issued(&mut follower, 0, 8), (1, false));
        assert_eq!(follower.requeue(0, 8), Some(RequestId(1)));
        // Another, larger read from the same place is not it.
        assert_eq!(issued(&mut follower, 0, 16), (2, false));
        assert_eq!(issued(&mut follower, 0, 8), (1, true));
        assert_eq!(issued(&mut follower, 0, 8), (3, false));
        assert_eq!(follower.complete(0, 16), done(2, true));
        assert_eq!(follower.complete(0, 8), done(1, true));
        assert_eq!(follower.requeue(100, 108), None);
    }

    #[test]
    fn the_remainder_of_a_read_is_the_same_read() {
        let mut follower = RequestFollower::default();
        assert_eq!(issued(&mut follower, 0, 16), (1, false));
        assert_eq!(follower.complete(0, 8), done(1, false));
        assert_eq!(issued(&mut follower, 8, 16), (1, true));
        assert_eq!(follower.complete(8, 16), done(1, true));
        // Also where it is requeued between, and where the driver goes on without a word.
        assert_eq!(issued(&mut follower, 0, 16), (2, false));
        assert_eq!(follower.complete(0, 8), done(2, false));
        assert_eq!(follower.requeue(8, 16), Some(RequestId(2)));
        assert_eq!(issued(&mut follower, 8, 16), (2, true));
        assert_eq!(follower.complete(8, 12), done(2, false));
        assert_eq!(follower.complete(12, 16), done(2, true));
    }

    #[test]
    fn a_requeued_request_grows_by_merges() {
        let mut follower = RequestFollower::default();
        issued(&mut follower, 8, 16);
        issued(&mut follower, 24, 32);
        follower.requeue(8, 16);
        follower.requeue(24, 32);
        assert_eq!(follower.merge(16, 24, false), None);
        assert_eq!(follower.merge(0, 8, true), None);
        // The second one itself becomes a part of the first.
        assert_eq!(follower.merge(24, 32, false), Some(RequestId(2)));
        assert_eq!(issued(&mut follower, 0, 32), (1, true));
        assert_eq!(issued(&mut follower, 24, 32), (3, false));
    }
}
