//! Reads that are not ready for the list: a later record may belong before them, or say how long they took.

use std::collections::{BTreeMap, HashMap};

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
    /// By time and number of arrival.
    rows: BTreeMap<(u64, u64), PendingRow>,
    /// Rows that wait for their end, by request and model.
    open: HashMap<(u64, u16), (u64, u64)>,
    arrived: u64,
}

#[derive(Debug)]
struct PendingRow {
    row: ReadRow,
    /// Address of the request, while its end is waited for.
    request: Option<u64>,
}

impl PendingReads {
    /// A read was issued for the first time.
    pub fn issued(&mut self, request: u64, row: ReadRow) {
        let key = (row.time_ns, self.arrived);
        self.arrived += 1;
        self.rows.insert(
            key,
            PendingRow {
                row,
                request: Some(request),
            },
        );
        // The end of a read before it with this address was not seen.
        if let Some(before) = self.open.insert((request, row.model), key)
            && let Some(before) = self.rows.get_mut(&before)
        {
            before.request = None;
        }
    }

    /// A read has ended; `latency_ns` is None where its end was not seen.
    pub fn ended(&mut self, request: u64, model: u16, latency_ns: Option<u64>) {
        if let Some(pending) = self
            .open
            .remove(&(request, model))
            .and_then(|key| self.rows.get_mut(&key))
        {
            pending.request = None;
            pending.row.latency_ns = latency_ns;
        }
    }

    /// The next row that is ready.
    pub fn next_ready(&mut self) -> Option<ReadRow> {
        let first = self.rows.first_entry()?;
        let waits = first.get().request.is_some();
        let all = self.rows.len();
        if all <= HELD_BACK || (waits && all <= LARGEST) {
            return None;
        }
        self.next()
    }

    /// The next row, whatever may still come.
    pub fn next(&mut self) -> Option<ReadRow> {
        let (_, pending) = self.rows.pop_first()?;
        if let Some(request) = pending.request {
            self.open.remove(&(request, pending.row.model));
        }
        Some(pending.row)
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
    fn a_latency_finds_its_read_and_models_are_kept_apart() {
        let mut pending = PendingReads::default();
        pending.issued(7, row(10, 0));
        pending.issued(7, row(10, 1));
        pending.ended(7, 1, Some(5));
        pending.ended(7, 1, Some(99));
        // The same address again: what became of the first was not seen.
        pending.issued(7, row(20, 0));
        pending.ended(7, 0, Some(6));
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
        pending.issued(u64::MAX, row(0, 0));
        for number in 1..=LARGEST as u64 {
            assert_eq!(pending.next_ready(), None);
            pending.issued(number, row(number, 0));
            pending.ended(number, 0, Some(1));
        }
        assert_eq!(pending.next_ready(), Some(row(0, 0)));
        // Its end comes after all: there is nothing to add it to.
        pending.ended(u64::MAX, 0, Some(1));
        let mut ready = 0;
        while pending.next_ready().is_some() {
            ready += 1;
        }
        assert_eq!(ready, LARGEST - HELD_BACK);
        assert_eq!(rest(&mut pending).len(), HELD_BACK);
    }

    proptest! {
        /// Whatever comes out of order by fewer records than are kept back leaves in order, and nothing is lost.
        #[test]
        fn rows_leave_in_the_order_of_their_issue(
            jitter in proptest::collection::vec(0u64..500, 1..4_000),
        ) {
            let mut pending = PendingReads::default();
            let mut left = Vec::new();
            for (number, late) in jitter.iter().enumerate() {
                let request = number as u64;
                pending.issued(request, row((request + late) * 10, 0));
                pending.ended(request, 0, Some(request));
                left.extend(std::iter::from_fn(|| pending.next_ready()));
            }
            prop_assert!(jitter.len() <= HELD_BACK || !left.is_empty());
            left.extend(rest(&mut pending));
            prop_assert_eq!(left.len(), jitter.len());
            prop_assert!(left.is_sorted_by_key(|row| row.time_ns));
            prop_assert!(left.iter().all(|row| row.latency_ns.is_some()));
        }
    }
}
