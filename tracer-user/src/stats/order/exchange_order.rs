//! Puts reads back into the order of the kernel's exchange.
//!
//! Records come in the order of their times, each taken a moment before its exchange, and with many CPUs the two orders
//! differ. Gap classes do not care: each record carries what its exchange returned. What needs the true order
//! (streams, file offsets, overlap with the predecessor) gets it here: the successor of a read is the record
//! whose `previous_end` is that read's end. A record whose predecessor has not come yet waits.
//!
//! Two things can keep a predecessor from coming. It was lost: after [`ExchangeOrder::WINDOW`] further
//! records the order goes on with the waiting records, the earliest first, and a break is counted. Or the same
//! end was left twice within the reordering, and the wrong one of the two successors came first: then the
//! rest is a closed ring of records, given out late, and a detour is counted. Neither changes a gap class.
//! Whether records are missing is not judged here but by [`super::exchange_check`].

use std::collections::{BTreeMap, VecDeque};

use crate::stats::event::Nanos;

/// How far the times of two records may contradict the order of their exchanges: an interrupt can come
/// between taking the time and the exchange. Only used to find the head of a chain after a break.
const TIME_DISORDER_NANOS: u64 = 10_000_000;

/// Longest way back that is searched for the head of a chain after a break.
const HEAD_SEARCH_STEPS: usize = 64;

/// What places a record in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeLink {
    /// Time of the issue.
    pub time: Nanos,
    /// What the exchange returned.
    pub previous_end: Option<u64>,
    /// What the read left there.
    pub end: u64,
}

/// A record in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ordered<T> {
    pub value: T,
    /// The record given out before this one is its predecessor. False for the first one and after a break.
    pub follows: bool,
}

/// Key of a waiting record: what it waits for, then time, then arrival.
type Key = (Option<u64>, Nanos, u64);

/// Restores the order of one device.
#[derive(Clone, Debug)]
pub struct ExchangeOrder<T> {
    window: u64,
    /// End of the last record of the chain: what the next one took.
    expected: Option<u64>,
    /// The record given out last is the last one of the chain.
    chain_is_latest: bool,
    waiting: BTreeMap<Key, (u64, T)>,
    /// Keys in order of arrival; those given out since are skipped.
    arrivals: VecDeque<Key>,
    next_arrival: u64,
    /// Number after the latest arrival that the chain has given out.
    chain_reached: u64,
    breaks: u64,
    detours: u64,
}

impl<T> Default for ExchangeOrder<T> {
    fn default() -> Self {
        Self::with_window(Self::WINDOW)
    }
}

impl<T> ExchangeOrder<T> {
    /// Number of later records that a record waits for its predecessor.
    pub const WINDOW: u64 = 4096;

    /// An order whose records wait for at most `window` later ones.
    #[must_use]
    pub fn with_window(window: u64) -> Self {
        Self {
            window,
            expected: None,
            chain_is_latest: false,
            waiting: BTreeMap::new(),
            arrivals: VecDeque::new(),
            next_arrival: 0,
            chain_reached: 0,
            breaks: 0,
            detours: 0,
        }
    }

    /// Takes in a record, and gives out those whose turn it is.
    pub fn push(&mut self, link: ExchangeLink, value: T, mut give: impl FnMut(Ordered<T>)) {
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        if link.previous_end == self.expected {
            self.give_in_chain(arrival, link.end, value, &mut give);
            self.follow_chain(&mut give);
        } else {
            let key = (link.previous_end, link.time, arrival);
            self.waiting.insert(key, (link.end, value));
            self.arrivals.push_back(key);
        }
        while let Some(oldest) = self.oldest_waiting() {
            if arrival - oldest.2 < self.window {
                break;
            }
            self.release_oldest(&mut give);
        }
    }

    /// Gives out everything that still waits.
    pub fn finish(&mut self, mut give: impl FnMut(Ordered<T>)) {
        while self.oldest_waiting().is_some() {
            self.release_oldest(&mut give);
        }
    }

    /// Records that still wait for their predecessor.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Times a predecessor never came.
    #[must_use]
    pub const fn breaks(&self) -> u64 {
        self.breaks
    }

    /// Times that two equal ends were taken for each other and a ring of records came late.
    #[must_use]
    pub const fn detours(&self) -> u64 {
        self.detours
    }

    fn give_in_chain(
        &mut self,
        arrival: u64,
        end: u64,
        value: T,
        give: &mut impl FnMut(Ordered<T>),
    ) {
        give(Ordered {
            value,
            follows: self.chain_is_latest,
        });
        self.chain_is_latest = true;
        self.expected = Some(end);
        self.chain_reached = self.chain_reached.max(arrival + 1);
    }

    fn follow_chain(&mut self, give: &mut impl FnMut(Ordered<T>)) {
        while let Some((arrival, end, value)) = self.take_successor(self.expected) {
            self.give_in_chain(arrival, end, value, give);
        }
    }

    /// The earliest of the waiting records that took `previous_end`.
    fn take_successor(&mut self, previous_end: Option<u64>) -> Option<(u64, u64, T)> {
        if self.waiting.is_empty() {
            return None;
        }
        let from = (previous_end, Nanos(0), 0);
        let to = (previous_end, Nanos(u64::MAX), u64::MAX);
        let key = *self.waiting.range(from..=to).next()?.0;
        let (end, value) = self.waiting.remove(&key)?;
        Some((key.2, end, value))
    }

    fn oldest_waiting(&mut self) -> Option<Key> {
        while let Some(key) = self.arrivals.front() {
            if self.waiting.contains_key(key) {
                return Some(*key);
            }
            self.arrivals.pop_front();
        }
        None
    }

    /// Gives up on a predecessor: gives out the chain that starts with the earliest waiting record.
    fn release_oldest(&mut self, give: &mut impl FnMut(Ordered<T>)) {
        let Some(head) = self.earliest_head() else {
            return;
        };
        let Some((mut end, value)) = self.waiting.remove(&head) else {
            return;
        };
        // Where the chain still moves it does not wait for these records, and goes on from its own end.
        let chain_is_alive = self.next_arrival - self.chain_reached <= self.window / 2;
        let mut reached = head.2 + 1;
        self.chain_is_latest = false;
        give(Ordered {
            value,
            follows: false,
        });
        while let Some((arrival, next_end, value)) = self.take_successor(Some(end)) {
            give(Ordered {
                value,
                follows: true,
            });
            end = next_end;
            reached = reached.max(arrival + 1);
        }
        if head.0 == Some(end) {
            self.detours += 1;
        } else {
            self.breaks += 1;
        }
        if !chain_is_alive {
            self.expected = Some(end);
            self.chain_is_latest = true;
            self.chain_reached = reached;
        }
    }

    /// The earliest waiting record, or the head of the chain that leads to it.
    fn earliest_head(&self) -> Option<Key> {
        let earliest = *self.waiting.keys().min_by_key(|key| (key.1, key.2))?;
        let latest_time = Nanos(earliest.1.0.saturating_add(TIME_DISORDER_NANOS));
        let mut head = earliest;
        for _ in 0..HEAD_SEARCH_STEPS {
            let predecessor = self
                .waiting
                .iter()
                .filter(|(key, (end, _))| {
                    Some(*end) == head.0 && **key != head && key.1 <= latest_time
                })
                .map(|(key, _)| *key)
                .min_by_key(|key| (key.1, key.2));
            match predecessor {
                Some(key) if key == earliest => return Some(earliest),
                Some(key) => head = key,
                None => return Some(head),
            }
        }
        Some(earliest)
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::event::Nanos;

    use super::{ExchangeLink, ExchangeOrder, Ordered};
    use proptest::prelude::*;

    /// Reads that leave `ends`, a microsecond apart; the value is the number of the read.
    fn exchanged(ends: &[u64]) -> Vec<(ExchangeLink, usize)> {
        let mut last = None;
        let link = |(index, end): (usize, &u64)| {
            let previous_end = last.replace(*end);
            (
                ExchangeLink {
                    time: Nanos(index as u64 * 1000),
                    previous_end,
                    end: *end,
                },
                index,
            )
        };
        ends.iter().enumerate().map(link).collect()
    }

    /// Displaces each read by fewer than `by` places.
    fn displaced(
        reads: &[(ExchangeLink, usize)],
        noise: &[u8],
        by: usize,
    ) -> Vec<(ExchangeLink, usize)> {
        let place = |index: usize| index + usize::from(noise[index % noise.len()]) % by;
        let mut reads: Vec<_> = reads.iter().copied().enumerate().collect();
        reads.sort_by_key(|(index, _)| place(*index));
        reads.into_iter().map(|(_, read)| read).collect()
    }

    fn restored(
        reads: &[(ExchangeLink, usize)],
        window: u64,
    ) -> (Vec<Ordered<usize>>, ExchangeOrder<usize>) {
        let mut order = ExchangeOrder::with_window(window);
        let mut out = Vec::new();
        for (link, value) in reads {
            order.push(*link, *value, |ordered| out.push(ordered));
        }
        order.finish(|ordered| out.push(ordered));
        assert_eq!(order.waiting(), 0);
        (out, order)
    }

    fn values(ordered: &[Ordered<usize>]) -> Vec<usize> {
        ordered.iter().map(|ordered| ordered.value).collect()
    }

    #[test]
    fn equal_ends_taken_for_each_other_make_a_detour() {
        // 0, 1, then the ring 2, 3 back to end 8, then 4: but 4 comes before 2 and 3.
        let reads = exchanged(&[4, 8, 16, 8, 24, 32]);
        let arrived = [reads[0], reads[1], reads[4], reads[5], reads[2], reads[3]];
        let (out, order) = restored(&arrived, 100);
        assert_eq!(values(&out), [0, 1, 4, 5, 2, 3]);
        assert_eq!((order.breaks(), order.detours()), (0, 1));
        assert_eq!(out.iter().filter(|ordered| ordered.follows).count(), 4);
    }

    #[test]
    fn equal_ends_that_wait_are_taken_by_time() {
        let reads = exchanged(&[4, 8, 16, 8, 24, 32]);
        let arrived = [reads[0], reads[4], reads[2], reads[3], reads[1], reads[5]];
        let (out, order) = restored(&arrived, 100);
        assert_eq!(values(&out), [0, 1, 2, 3, 4, 5]);
        assert_eq!((order.breaks(), order.detours()), (0, 0));
    }

    #[test]
    fn after_a_break_the_chain_starts_at_its_head() {
        // Read 2 is lost. Read 3 took its place before read 4, but its time is a little later.
        let mut reads = exchanged(&[8, 16, 24, 32, 40, 48]);
        reads[3].0.time = Nanos(4_500);
        let (out, order) = restored(&[reads[0], reads[1], reads[4], reads[3], reads[5]], 100);
        assert_eq!(values(&out), [0, 1, 3, 4, 5]);
        assert_eq!((order.breaks(), order.detours()), (1, 0));
    }

    #[test]
    fn a_break_is_given_out_while_the_stream_goes_on() {
        let mut reads = exchanged(&(1..=100).collect::<Vec<_>>());
        reads.remove(10);
        let mut order = ExchangeOrder::with_window(16);
        let mut given = 0;
        for (link, value) in &reads {
            order.push(*link, *value, |_| given += 1);
            assert!(order.waiting() <= 17);
        }
        assert_eq!((given, order.waiting(), order.breaks()), (99, 0, 1));
    }

    proptest! {
        #[test]
        fn displaced_records_come_back_in_order(
            count in 1usize..300, noise in prop::collection::vec(any::<u8>(), 1..50), by in 1usize..32,
        ) {
            let reads = exchanged(&(0..count as u64).map(|read| 8 + read * 8).collect::<Vec<_>>());
            let (out, order) = restored(&displaced(&reads, &noise, by), 64);
            prop_assert_eq!(values(&out), (0..count).collect::<Vec<_>>());
            prop_assert_eq!((order.breaks(), order.detours()), (0, 0));
            prop_assert_eq!(out.iter().filter(|ordered| !ordered.follows).count(), 1);
        }

        #[test]
        fn lost_records_are_breaks_and_the_rest_keeps_its_order(
            count in 200usize..600, noise in prop::collection::vec(any::<u8>(), 1..50), by in 1usize..16,
            lost in prop::collection::btree_set(0usize..600, 1..4),
        ) {
            let all = exchanged(&(0..count as u64).map(|read| 8 + read * 8).collect::<Vec<_>>());
            let kept: Vec<_> = all.iter().copied().filter(|(_, index)| !lost.contains(index)).collect();
            let (out, order) = restored(&displaced(&kept, &noise, by), 64);
            let expected: Vec<_> = kept.iter().map(|(_, index)| *index).collect();
            prop_assert_eq!(values(&out), expected);
            let breaks = all.windows(2)
                .filter(|pair| lost.contains(&pair[0].1) && !lost.contains(&pair[1].1)).count();
            prop_assert_eq!(order.breaks(), breaks as u64);
        }

        /// Ends repeat, records are lost and doubled: nothing is dropped or invented, and whatever is said to
        /// follow does follow.
        #[test]
        fn whatever_arrives_is_given_out_once(
            ends in prop::collection::vec(1u64..10, 1..200),
            noise in prop::collection::vec(any::<u8>(), 1..50), by in 1usize..40,
            lost in any::<prop::sample::Index>(), doubled in any::<prop::sample::Index>(), window in 1u64..50,
        ) {
            let mut reads = displaced(&exchanged(&ends), &noise, by);
            let doubled = reads[doubled.index(reads.len())];
            reads.push(doubled);
            reads.remove(lost.index(reads.len()));
            let (out, _) = restored(&reads, window);
            let mut given = values(&out);
            let mut taken: Vec<_> = reads.iter().map(|(_, index)| *index).collect();
            given.sort_unstable();
            taken.sort_unstable();
            prop_assert_eq!(given, taken);
            for pair in out.windows(2) {
                let previous_end = pair[1].value.checked_sub(1).map(|index| ends[index]);
                if pair[1].follows {
                    prop_assert_eq!(previous_end, Some(ends[pair[0].value]));
                }
            }
        }
    }
}
