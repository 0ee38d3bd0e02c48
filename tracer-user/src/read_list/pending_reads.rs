//! Reads that are not ready for the list: a later record may belong before them, or say how long they took.

use std::collections::VecDeque;

use super::read_row::ReadRow;

/// Rows that are kept back even if nothing is missing in them: records of different CPUs arrive out of order by
/// microseconds, and so many reads are not issued in that time.
const HELD_BACK: usize = 1_024;

/// Rows that are kept at most. Far more than a device has in flight: beyond it a read's completion is taken as never
/// seen.
const LARGEST: usize = 65_536;

/// Brings reads into the order of their first issue, and adds what becomes known later.
#[derive(Debug, Default)]
pub struct PendingReads {
    /// By number of arrival; None for those that have left.
    rows: VecDeque<Option<PendingRow>>,
    /// Number of the first of them.
    first_number: u64,
    /// Time and number of those that are here, ascending. Nearly every row comes last.
    by_time: VecDeque<(u64, u64)>,
}

#[derive(Debug)]
struct PendingRow {
    row: ReadRow,
    /// Its end may still come.
    open: bool,
}

impl PendingReads {
    /// A read was issued for the first time. Returns the number of its row, by which its end is told.
    pub fn issued(&mut self, row: ReadRow) -> u64 {
        let number = self.first_number + self.rows.len() as u64;
        self.rows.push_back(Some(PendingRow { row, open: true }));
        let key = (row.time_ns, number);
        if self.by_time.back().is_none_or(|last| *last < key) {
            self.by_time.push_back(key);
        } else {
            let place = self.by_time.partition_point(|other| *other < key);
            self.by_time.insert(place, key);
        }
        number
    }

    fn row(&mut self, number: u64) -> Option<&mut Option<PendingRow>> {
        let place = usize::try_from(number.checked_sub(self.first_number)?).ok()?;
        self.rows.get_mut(place)
    }

    /// The read of a row has ended; `latency_ns` is None where its end was not seen.
    pub fn ended(&mut self, number: u64, latency_ns: Option<u64>) {
        if let Some(Some(pending)) = self.row(number) {
            pending.open = false;
            pending.row.latency_ns = latency_ns;
        }
    }

    /// The next row that is ready.
    pub fn next_ready(&mut self) -> Option<ReadRow> {
        let all = self.by_time.len();
        if all <= HELD_BACK {
            return None;
        }
        let number = self.by_time.front()?.1;
        let waits = matches!(self.row(number), Some(Some(pending)) if pending.open);
        if waits && all <= LARGEST {
            return None;
        }
        self.next()
    }

    /// The next row, whatever may still come.
    pub fn next(&mut self) -> Option<ReadRow> {
        let (_, number) = self.by_time.pop_front()?;
        let pending = self.row(number)?.take();
        while self.rows.pop_front_if(|row| row.is_none()).is_some() {
            self.first_number += 1;
        }
        pending.map(|pending| pending.row)
    }
}

#[cfg(test)]
mod tests {
    use crate::read_list::ReadRow;

    use super::{HELD_BACK, LARGEST, PendingReads};
    use proptest::prelude::*;

    fn row(time_ns: u64, model: u16) -> ReadRow {
        ReadRow {
            time_ns,
            model,
            ..ReadRow::default()
        }
    }

    fn rest(pending: &mut PendingReads) -> Vec<ReadRow> {
        std::iter::from_fn(|| pending.next()).collect()
    }

    #[test]
    fn a_latency_finds_its_row() {
        let mut pending = PendingReads::default();
        let first = pending.issued(row(10, 0));
        let second = pending.issued(row(10, 1));
        pending.ended(second, Some(5));
        pending.ended(first, None);
        let third = pending.issued(row(20, 0));
        pending.ended(third, Some(6));
        pending.ended(third + 1, Some(99));
        let rows = rest(&mut pending);
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.time_ns, row.model, row.latency_ns))
            .collect();
        assert_eq!(found, [(10, 0, None), (10, 1, Some(5)), (20, 0, Some(6))]);
    }

    #[test]
    fn a_read_that_never_ends_does_not_hold_all_others() {
        let mut pending = PendingReads::default();
        let never = pending.issued(row(0, 0));
        for number in 1..=LARGEST as u64 {
            assert_eq!(pending.next_ready(), None);
            let number = pending.issued(row(number, 0));
            pending.ended(number, Some(1));
        }
        assert_eq!(pending.next_ready(), Some(row(0, 0)));
        // Its end comes after all: there is nothing to add it to.
        pending.ended(never, Some(1));
        let mut ready = 0;
        while pending.next_ready().is_some() {
            ready += 1;
        }
        assert_eq!(ready, LARGEST - HELD_BACK);
        assert_eq!(rest(&mut pending).len(), HELD_BACK);
        assert!(pending.rows.is_empty());
    }

    proptest! {
        /// Whatever comes out of order by fewer records than are kept back leaves in order, and nothing is lost.
        #[test]
        fn rows_leave_in_the_order_of_their_issue(
            jitter in proptest::collection::vec(0u64..500, 1..4_000),
        ) {
            let mut pending = PendingReads::default();
            let mut left = Vec::new();
            for (number, late) in (0u64..).zip(&jitter) {
                let row_number = pending.issued(row((number + late) * 10, 0));
                pending.ended(row_number, Some(number + late));
                left.extend(std::iter::from_fn(|| pending.next_ready()));
            }
            prop_assert!(jitter.len() <= HELD_BACK || !left.is_empty());
            left.extend(rest(&mut pending));
            prop_assert_eq!(left.len(), jitter.len());
            prop_assert!(left.is_sorted_by_key(|row| row.time_ns));
            prop_assert!(left.iter().all(|row| row.latency_ns == Some(row.time_ns / 10)));
        }
    }
}
