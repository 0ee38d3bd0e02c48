//! Records of several CPUs in one order, that of their times.
//!
//! Whoever gives records out up to a time must have looked everywhere after that time: then what comes later, on whatever
//! CPU, has happened later. So a read's completion never comes before its issue, which the kernel has shown to a program
//! before the driver was given the read.

use tracer_common::record::Record;

/// Records that wait for their turn.
#[derive(Debug, Default)]
pub struct TimeOrder {
    waiting: Vec<Record>,
    /// Time and place of each in `waiting`: what is sorted is small.
    turns: Vec<(u64, u32)>,
    given_until_ns: u64,
}

impl TimeOrder {
    /// Takes in a record. Those of one CPU come in their order; where their times are equal, they keep it.
    pub fn add(&mut self, record: Record) {
        // As many as a u32 counts would be 400 GB.
        let place = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.turns.push((record.time_ns(), place));
        self.waiting.push(record);
    }

    /// Gives out what happened up to a time; returns how many.
    pub fn give(&mut self, until_ns: u64, mut take: impl FnMut(Record)) -> u64 {
        // Stable, and quick where there are a few rows that ascend: one a CPU.
        self.turns.sort_by_key(|turn| turn.0);
        let count = self.turns.partition_point(|turn| turn.0 <= until_ns);
        let (due, early) = self.turns.split_at(count);
        for (_, place) in due {
            if let Some(record) = self.waiting.get(*place as usize) {
                take(*record);
            }
        }
        let later: Vec<Record> = early
            .iter()
            .filter_map(|(_, place)| self.waiting.get(*place as usize).copied())
            .collect();
        self.waiting.clear();
        self.turns.clear();
        for record in later {
            self.add(record);
        }
        self.given_until_ns = self.given_until_ns.max(until_ns);
        count as u64
    }

    /// Everything up to here has been given out, `CLOCK_MONOTONIC`, nanoseconds.
    pub const fn given_until_ns(&self) -> u64 {
        self.given_until_ns
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracer_common::record::{KindByte, Record, UnseenRecord};

    use super::TimeOrder;

    fn record(time_ns: u64, request: u64) -> Record {
        Record::Unseen(UnseenRecord {
            kind: KindByte::NEW,
            device: 0,
            reserved: 0,
            reserved_too: 0,
            time_ns,
            request,
        })
    }

    fn given(order: &mut TimeOrder, until_ns: u64) -> Vec<u64> {
        let mut times = Vec::new();
        order.give(until_ns, |record| times.push(record.time_ns()));
        times
    }

    #[test]
    fn what_is_later_than_the_look_waits() {
        let mut order = TimeOrder::default();
        for time_ns in [7, 9, 3, 12] {
            order.add(record(time_ns, 0));
        }
        assert_eq!(given(&mut order, 8), [3, 7]);
        order.add(record(10, 0));
        assert_eq!(given(&mut order, 11), [9, 10]);
        assert_eq!(order.given_until_ns(), 11);
        assert_eq!(given(&mut order, u64::MAX), [12]);
    }

    #[test]
    fn records_of_one_moment_keep_their_order() {
        let mut order = TimeOrder::default();
        for request in 0..5 {
            order.add(record(1, request));
        }
        let mut requests = Vec::new();
        order.give(1, |record| match record {
            Record::Unseen(record) => requests.push(record.request),
            other => panic!("{other:?}"),
        });
        assert_eq!(requests, [0, 1, 2, 3, 4]);
    }

    proptest! {
        /// A record is seen at the first look after its time: then the whole comes out in order, each record once.
        #[test]
        fn looks_after_their_times_give_one_order(
            times in prop::collection::vec(0u64..1000, 0..200),
            mut looks in prop::collection::vec(0u64..1000, 0..10),
        ) {
            looks.sort_unstable();
            let mut order = TimeOrder::default();
            let mut out = Vec::new();
            let mut seen = 0;
            for look in looks {
                for time in times.iter().filter(|time| (seen..look).contains(*time)) {
                    order.add(record(*time, 0));
                }
                seen = seen.max(look);
                // A moment before the rings were looked at.
                out.extend(given(&mut order, look.saturating_sub(1)));
            }
            for time in times.iter().filter(|time| **time >= seen) {
                order.add(record(*time, 0));
            }
            out.extend(given(&mut order, u64::MAX));
            let mut expected = times;
            expected.sort_unstable();
            prop_assert_eq!(out, expected);
        }
    }
}
