//! Records in the order of their time. Two CPUs can write records of the same nanosecond, whose order nobody knows:
//! they come by their numbers, then by CPU, so that a text and the binary files that it was made of agree.
//!
//! blkparse prints in batches, and a stream of several CPUs comes in pieces, so that records are late by some. What
//! comes in order costs a queue; what does not goes through a heap.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use crate::stats::Nanos;

use super::record::TraceRecord;

/// Records that are held back. One that is later than by so many others stays out of order, and is counted.
const WINDOW: usize = 1 << 17;

/// Puts records into the order of their time.
#[derive(Debug)]
pub struct TimeOrder {
    window: usize,
    in_order: VecDeque<Arrived>,
    behind: BinaryHeap<Reverse<Arrived>>,
    arrivals: u64,
    latest_out: Nanos,
    late: u64,
}

#[derive(Clone, Copy, Debug)]
struct Arrived {
    number: u64,
    record: TraceRecord,
}

impl Arrived {
    const fn key(&self) -> (u64, u32, u32, u64) {
        let record = &self.record;
        (record.time.0, record.sequence, record.cpu, self.number)
    }
}

impl PartialEq for Arrived {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Arrived {}

impl PartialOrd for Arrived {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrived {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl Default for TimeOrder {
    fn default() -> Self {
        Self::with_window(WINDOW)
    }
}

impl TimeOrder {
    fn with_window(window: usize) -> Self {
        Self {
            window,
            in_order: VecDeque::new(),
            behind: BinaryHeap::new(),
            arrivals: 0,
            latest_out: Nanos(0),
            late: 0,
        }
    }

    /// Takes in a record; gives back the earliest one where enough are held.
    pub fn push(&mut self, record: TraceRecord) -> Option<TraceRecord> {
        let arrived = Arrived {
            number: self.arrivals,
            record,
        };
        self.arrivals += 1;
        if self.in_order.back().is_none_or(|last| last < &arrived) {
            self.in_order.push_back(arrived);
        } else {
            self.behind.push(Reverse(arrived));
        }
        if self.in_order.len() + self.behind.len() > self.window {
            self.pop()
        } else {
            None
        }
    }

    /// The earliest record that is held. After the last [`Self::push`] all are given out by this.
    pub fn pop(&mut self) -> Option<TraceRecord> {
        let from_heap = match (self.in_order.front(), self.behind.peek()) {
            (Some(front), Some(Reverse(behind))) => behind < front,
            (None, Some(_)) => true,
            _ => false,
        };
        let record = if from_heap {
            self.behind.pop()?.0.record
        } else {
            self.in_order.pop_front()?.record
        };
        if record.time < self.latest_out {
            self.late += 1;
        }
        self.latest_out = self.latest_out.max(record.time);
        Some(record)
    }

    /// Records that came too late for their place.
    #[must_use]
    pub const fn late(&self) -> u64 {
        self.late
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracer_common::counters::Operation;

    use crate::{
        old_trace::record::{Action, TraceRecord},
        stats::Nanos,
        storage::KernelDevice,
    };

    use super::TimeOrder;

    fn record(time: u64, sector: u64) -> TraceRecord {
        TraceRecord {
            time: Nanos(time),
            device: KernelDevice(0),
            remapped_from: None,
            sector,
            sectors: 8,
            thread_id: 1,
            cpu: 0,
            sequence: 1,
            action: Action::Issue,
            operation: Operation::Read,
            failed: false,
            readahead: false,
            metadata: false,
            synchronous: false,
        }
    }

    fn ordered(times: &[u64], window: usize) -> (Vec<(u64, u64)>, u64) {
        let mut order = TimeOrder::with_window(window);
        let mut out = Vec::new();
        for (number, time) in times.iter().enumerate() {
            out.extend(order.push(record(*time, number as u64)));
        }
        while let Some(record) = order.pop() {
            out.push(record);
        }
        let out = out.iter().map(|record| (record.time.0, record.sector));
        (out.collect(), order.late())
    }

    #[test]
    fn what_is_too_late_is_counted_and_still_given_out() {
        let (out, late) = ordered(&[5, 6, 7, 8, 1], 2);
        assert_eq!(late, 1);
        assert_eq!(out.len(), 5);
    }

    proptest! {
        #[test]
        fn it_is_a_stable_sort(times in prop::collection::vec(0u64..20, 0..80)) {
            let mut sorted: Vec<(u64, u64)> = times.iter().copied().zip(0..).collect();
            sorted.sort();
            prop_assert_eq!(ordered(&times, 100), (sorted, 0));
        }

        #[test]
        fn none_is_lost_whatever_the_window(times in prop::collection::vec(0u64..20, 0..80), window in 1usize..9) {
            let (mut out, late) = ordered(&times, window);
            let is_sorted = out.is_sorted_by_key(|(time, _)| *time);
            prop_assert_eq!(late == 0, is_sorted);
            out.sort_by_key(|(_, number)| *number);
            prop_assert_eq!(out, times.iter().copied().zip(0..).collect::<Vec<_>>());
        }
    }
}
