//! Bytes read by piece of the model.
//!
//! The accounting is that of [`crate::stats::reads::requests`]: every issue adds its bytes, a requeue takes them off
//! again, and only a first issue is a read. For each piece **read bytes = issued − requeued**, in bytes that
//! lie in the piece, and over all pieces
//!
//! Σ read bytes + outside bytes = Σ bytes of issued ranges − Σ bytes of requeued ranges + excess requeued bytes
//!
//! where outside is what lies in no piece (beyond the file's end: the last block), and excess is what went back
//! of reads whose issue was not seen; without a loss it is 0.

use crate::stats::{event::FileRange, formulas::reread_factor};

use super::table::PieceTable;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    issued_bytes: u64,
    requeued_bytes: u64,
    readahead_issued_bytes: u64,
    readahead_requeued_bytes: u64,
    reads: u64,
}

impl Tally {
    fn issue(&mut self, bytes: u64, readahead: bool) {
        self.issued_bytes = self.issued_bytes.saturating_add(bytes);
        if readahead {
            self.readahead_issued_bytes = self.readahead_issued_bytes.saturating_add(bytes);
        }
    }

    fn requeue(&mut self, bytes: u64, readahead: bool) {
        self.requeued_bytes = self.requeued_bytes.saturating_add(bytes);
        if readahead {
            self.readahead_requeued_bytes = self.readahead_requeued_bytes.saturating_add(bytes);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.issued_bytes = self.issued_bytes.saturating_add(other.issued_bytes);
        self.requeued_bytes = self.requeued_bytes.saturating_add(other.requeued_bytes);
        self.readahead_issued_bytes = self
            .readahead_issued_bytes
            .saturating_add(other.readahead_issued_bytes);
        self.readahead_requeued_bytes = self
            .readahead_requeued_bytes
            .saturating_add(other.readahead_requeued_bytes);
        self.reads = self.reads.saturating_add(other.reads);
    }

    const fn read_bytes(&self) -> u64 {
        self.issued_bytes.saturating_sub(self.requeued_bytes)
    }

    const fn readahead_bytes(&self) -> u64 {
        self.readahead_issued_bytes
            .saturating_sub(self.readahead_requeued_bytes)
    }

    const fn excess_bytes(&self) -> u64 {
        self.requeued_bytes.saturating_sub(self.issued_bytes)
    }
}

/// What was read of a piece, counted by place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedReads {
    /// Bytes by first issue.
    pub bytes: u64,
    /// Those of them that the kernel asked for ahead.
    pub readahead_bytes: u64,
    /// Reads that touch it.
    pub reads: u64,
}

/// Counts what is read of each piece. One event costs a binary search and an addition for each piece it touches.
///
/// Every call is to name the same table, or tables of the same pieces.
#[derive(Clone, Debug, Default)]
pub struct PieceReads {
    pieces: Vec<Tally>,
    /// The read that touched each piece last, so that a read of several ranges counts once.
    last_read: Vec<u64>,
    /// Reads issued so far, of this part of the stream.
    read: u64,
    outside: Tally,
}

impl PieceReads {
    /// A read was issued for the first time; `ranges` are the pieces of files in it, `readahead` says that it
    /// was flagged as read-ahead (`REQ_RAHEAD`).
    pub fn issue(&mut self, table: &PieceTable, ranges: &[FileRange], readahead: bool) {
        self.read = self.read.saturating_add(1);
        let read = self.read;
        self.divide(table, ranges, |tally, last_read, bytes| {
            tally.issue(bytes, readahead);
            if *last_read != read {
                *last_read = read;
                tally.reads = tally.reads.saturating_add(1);
            }
        });
    }

    /// A read was issued again: its bytes count again (the requeue took them off), it does not.
    pub fn reissue(&mut self, table: &PieceTable, ranges: &[FileRange], readahead: bool) {
        self.divide(table, ranges, |tally, _, bytes| {
            tally.issue(bytes, readahead);
        });
    }

    /// An issued read went back to the queue.
    pub fn requeue(&mut self, table: &PieceTable, ranges: &[FileRange], readahead: bool) {
        self.divide(table, ranges, |tally, _, bytes| {
            tally.requeue(bytes, readahead);
        });
    }

    /// Adds what was counted of a piece elsewhere: bytes issued, those of read-ahead, and reads.
    pub fn add_counted(&mut self, table: &PieceTable, piece: u32, reads: &CountedReads) {
        self.make_room(table);
        if let Some(tally) = self.pieces.get_mut(piece as usize) {
            tally.merge(&Tally {
                issued_bytes: reads.bytes,
                readahead_issued_bytes: reads.readahead_bytes,
                reads: reads.reads,
                ..Tally::default()
            });
        }
    }

    fn make_room(&mut self, table: &PieceTable) {
        if self.pieces.len() < table.piece_count() {
            self.pieces.resize(table.piece_count(), Tally::default());
            self.last_read.resize(table.piece_count(), 0);
        }
    }

    fn divide(
        &mut self,
        table: &PieceTable,
        ranges: &[FileRange],
        mut count: impl FnMut(&mut Tally, &mut u64, u64),
    ) {
        self.make_room(table);
        let mut outside_read = 0;
        for range in ranges {
            let mut outside_bytes = range.length_bytes;
            for (piece, bytes) in table.range_overlaps(range) {
                let slot = piece as usize;
                if let (Some(tally), Some(last)) =
                    (self.pieces.get_mut(slot), self.last_read.get_mut(slot))
                {
                    count(tally, last, bytes);
                    outside_bytes = outside_bytes.saturating_sub(bytes);
                }
            }
            if outside_bytes > 0 {
                count(&mut self.outside, &mut outside_read, outside_bytes);
            }
        }
    }

    /// Adds another part of the stream over the same pieces.
    pub fn merge(&mut self, other: &Self) {
        if self.pieces.len() < other.pieces.len() {
            self.pieces.resize(other.pieces.len(), Tally::default());
            self.last_read.resize(other.pieces.len(), 0);
        }
        for (tally, other) in self.pieces.iter_mut().zip(&other.pieces) {
            tally.merge(other);
        }
        self.outside.merge(&other.outside);
    }

    /// Bytes read of each piece so far, by its id; empty before the first read.
    pub fn read_bytes(&self) -> impl Iterator<Item = u64> + '_ {
        self.pieces.iter().map(Tally::read_bytes)
    }

    /// The figures of every piece of the table, by its id.
    #[must_use]
    pub fn figures(&self, table: &PieceTable) -> Vec<PieceReadFigures> {
        (0u32..)
            .take(table.piece_count())
            .map(|piece| {
                let tally = self.pieces.get(piece as usize).copied().unwrap_or_default();
                let bytes = table.piece_bytes(piece).unwrap_or(0);
                PieceReadFigures {
                    read_bytes: tally.read_bytes(),
                    readahead_bytes: tally.readahead_bytes(),
                    requeued_bytes: tally.requeued_bytes,
                    reads: tally.reads,
                    reread_factor: reread_factor(tally.read_bytes(), bytes),
                }
            })
            .collect()
    }

    /// Bytes read that lie in no piece: beyond the end of a file, or in a file the table does not know.
    #[must_use]
    pub const fn outside_bytes(&self) -> u64 {
        self.outside.read_bytes()
    }

    /// Bytes that went back to the queue beyond those issued of the same piece: their issue was not seen, so
    /// events were lost. 0 in a complete stream.
    #[must_use]
    pub fn excess_requeued_bytes(&self) -> u64 {
        self.pieces
            .iter()
            .chain([&self.outside])
            .fold(0, |sum, tally| sum.saturating_add(tally.excess_bytes()))
    }
}

/// What was read of one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PieceReadFigures {
    /// Bytes read: issued − requeued.
    pub read_bytes: u64,
    /// Those of `read_bytes` that reads flagged as read-ahead brought.
    pub readahead_bytes: u64,
    /// Bytes that went back to the queue, already taken off `read_bytes`.
    pub requeued_bytes: u64,
    /// Reads that touch the piece. A read that touches two counts in both, so these do not sum to the reads.
    pub reads: u64,
    /// `read_bytes` / size of the piece; `None` for a piece without bytes.
    pub reread_factor: Option<f64>,
}

#[cfg(test)]
mod tests {
    use crate::stats::pieces::table::tests::{span, tables};

    use super::*;
    use proptest::prelude::*;

    fn range(file: u16, offset_bytes: u64, length_bytes: u64) -> FileRange {
        FileRange {
            file,
            offset_bytes,
            length_bytes,
        }
    }

    #[test]
    fn a_read_of_two_ranges_counts_once_in_a_piece() {
        let table = PieceTable::new(vec![vec![span(0, 100, 1), span(100, 300, 0)]]).expect("valid");
        let mut reads = PieceReads::default();
        reads.issue(&table, &[range(0, 0, 10), range(0, 90, 20)], true);
        reads.issue(&table, &[range(0, 290, 50)], false);
        let figures = reads.figures(&table);
        assert_eq!(
            figures[1],
            PieceReadFigures {
                read_bytes: 20,
                readahead_bytes: 20,
                requeued_bytes: 0,
                reads: 1,
                reread_factor: Some(0.2),
            }
        );
        assert_eq!(
            (figures[0].read_bytes, figures[0].readahead_bytes),
            (20, 10)
        );
        assert_eq!((figures[0].reads, reads.outside_bytes()), (2, 40));
    }

    #[test]
    fn a_requeued_read_counts_once() {
        let table = PieceTable::whole_files(&[100]).expect("valid");
        let mut reads = PieceReads::default();
        let ranges = [range(0, 0, 100)];
        reads.issue(&table, &ranges, true);
        reads.requeue(&table, &ranges, true);
        assert_eq!(reads.figures(&table)[0].read_bytes, 0);
        reads.reissue(&table, &ranges, true);
        let figures = reads.figures(&table)[0];
        assert_eq!((figures.read_bytes, figures.readahead_bytes), (100, 100));
        assert_eq!((figures.reads, figures.requeued_bytes), (1, 100));
        assert_eq!(reads.excess_requeued_bytes(), 0);
    }

    #[test]
    fn a_requeue_without_issue_is_shown() {
        let table = PieceTable::whole_files(&[100]).expect("valid");
        let mut reads = PieceReads::default();
        reads.requeue(&table, &[range(0, 90, 30)], false);
        assert_eq!(reads.excess_requeued_bytes(), 30);
        assert_eq!(reads.figures(&table)[0].read_bytes, 0);
    }

    #[derive(Clone, Debug)]
    enum Event {
        Issue(Vec<FileRange>, bool),
        Reissue(Vec<FileRange>, bool),
        Requeue(Vec<FileRange>, bool),
    }

    fn event() -> impl Strategy<Value = Event> {
        let ranges = prop::collection::vec(
            (0u16..3, 0u64..70, 0u64..20).prop_map(|(f, o, l)| range(f, o, l)),
            0..4,
        );
        (ranges, any::<bool>(), 0..4).prop_map(|(ranges, readahead, kind)| match kind {
            0 => Event::Requeue(ranges, readahead),
            1 => Event::Reissue(ranges, readahead),
            _ => Event::Issue(ranges, readahead),
        })
    }

    fn fed(table: &PieceTable, events: &[Event]) -> PieceReads {
        let mut reads = PieceReads::default();
        for event in events {
            match event {
                Event::Issue(ranges, readahead) => reads.issue(table, ranges, *readahead),
                Event::Reissue(ranges, readahead) => reads.reissue(table, ranges, *readahead),
                Event::Requeue(ranges, readahead) => reads.requeue(table, ranges, *readahead),
            }
        }
        reads
    }

    proptest! {
        #[test]
        fn pieces_sum_to_the_ranges(
            table in tables(2, 9), events in prop::collection::vec(event(), 0..40),
        ) {
            let reads = fed(&table, &events);
            let (mut issued, mut requeued) = (0, 0);
            let bytes = |ranges: &[FileRange]| ranges.iter().map(|r| r.length_bytes).sum::<u64>();
            for event in &events {
                match event {
                    Event::Issue(ranges, _) | Event::Reissue(ranges, _) => issued += bytes(ranges),
                    Event::Requeue(ranges, _) => requeued += bytes(ranges),
                }
            }
            let read: u64 = reads.figures(&table).iter().map(|piece| piece.read_bytes).sum();
            prop_assert_eq!(
                read + reads.outside_bytes() + requeued,
                issued + reads.excess_requeued_bytes()
            );
        }

        #[test]
        fn reads_are_those_that_touch_the_piece(
            table in tables(2, 9), events in prop::collection::vec(event(), 0..40),
        ) {
            let mut touching = vec![0u64; table.piece_count()];
            for event in &events {
                if let Event::Issue(ranges, _) = event {
                    let mut touched: Vec<_> = ranges
                        .iter()
                        .flat_map(|r| table.range_overlaps(r))
                        .map(|(piece, _)| piece)
                        .collect();
                    touched.sort_unstable();
                    touched.dedup();
                    touched.iter().for_each(|piece| touching[*piece as usize] += 1);
                }
            }
            let reads: Vec<_> = fed(&table, &events).figures(&table).iter().map(|p| p.reads).collect();
            prop_assert_eq!(reads, touching);
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            table in tables(2, 9), events in prop::collection::vec(event(), 0..40),
            at: prop::sample::Index,
        ) {
            let (first, second) = events.split_at(at.index(events.len() + 1));
            let mut merged = fed(&table, first);
            merged.merge(&fed(&table, second));
            let whole = fed(&table, &events);
            prop_assert_eq!(merged.figures(&table), whole.figures(&table));
            prop_assert_eq!(merged.outside_bytes(), whole.outside_bytes());
            prop_assert_eq!(merged.excess_requeued_bytes(), whole.excess_requeued_bytes());
        }
    }
}
