//! Bytes of each piece in each step, sparse: a step touches few of the pieces.

/// Entries kept at most over all steps: 305 MiB of them.
pub const MAX_ENTRIES: usize = 20_000_000;

/// Bytes by piece of one step: a sorted part, and what came since.
#[derive(Clone, Debug, Default)]
struct Log {
    /// Piece, and bytes issued − requeued.
    entries: Vec<(u32, i64)>,
    sorted: usize,
}

impl Log {
    /// Sorts all entries, one for each piece.
    fn compact(&mut self) {
        self.entries.sort_unstable_by_key(|(piece, _)| *piece);
        self.entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(later.1);
            }
            same
        });
        self.sorted = self.entries.len();
    }

    /// Adds to the latest entry, if it is of this piece: reads come in runs.
    fn grow_latest(&mut self, piece: u32, bytes: i64) -> bool {
        match self.entries.last_mut() {
            Some(latest) if latest.0 == piece => {
                latest.1 = latest.1.saturating_add(bytes);
                true
            }
            _ => false,
        }
    }
}

/// The logs of all steps.
#[derive(Clone, Debug)]
pub(in crate::stats) struct StepPieces {
    /// `None`: not recorded to the end.
    steps: Vec<Option<Log>>,
    entries: usize,
    max_entries: usize,
    full: bool,
}

impl StepPieces {
    pub(in crate::stats) const fn new(max_entries: usize) -> Self {
        Self {
            steps: Vec::new(),
            entries: 0,
            max_entries,
            full: false,
        }
    }

    /// Another step begins; what the one before it holds in reserve is given back.
    pub(in crate::stats) fn begin_step(&mut self) {
        if let Some(step) = self.steps.len().checked_sub(1) {
            self.compact(step);
            if let Some(Some(log)) = self.steps.last_mut() {
                log.entries.shrink_to_fit();
            }
        }
        self.steps.push(Some(Log::default()));
    }

    fn compact(&mut self, step: usize) {
        if let Some(Some(log)) = self.steps.get_mut(step) {
            let before = log.entries.len();
            log.compact();
            let given_back = before.saturating_sub(log.entries.len());
            self.entries = self.entries.saturating_sub(given_back);
        }
    }

    pub(in crate::stats) fn add(&mut self, step: usize, piece: u32, bytes: i64) {
        let Some(Some(log)) = self.steps.get_mut(step) else {
            return;
        };
        if !self.full {
            if log.grow_latest(piece, bytes) {
                return;
            }
            // As much again as is sorted, so that sorting costs a logarithm for each entry.
            if log.entries.len() >= 2 * log.sorted + 64 || self.entries >= self.max_entries {
                self.compact(step);
            }
            if self.entries < self.max_entries
                && let Some(Some(log)) = self.steps.get_mut(step)
            {
                log.entries.push((piece, bytes));
                self.entries += 1;
                return;
            }
        }
        // What follows cannot be recorded, so what this step has is no longer all of it.
        self.full = true;
        if let Some(log) = self.steps.get_mut(step) {
            *log = None;
        }
    }

    /// The bytes by piece of each step, ascending by piece, without pieces of which nothing is left.
    pub(in crate::stats) fn finish(self) -> Vec<Option<Vec<(u32, u64)>>> {
        let bytes = |log: Log| {
            let mut log = log;
            log.compact();
            log.entries
                .iter()
                .filter_map(|(piece, bytes)| Some((*piece, u64::try_from(*bytes).ok()?)))
                .filter(|(_, bytes)| *bytes > 0)
                .collect()
        };
        self.steps.into_iter().map(|log| log.map(bytes)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_could_not_be_recorded_has_no_pieces() {
        let mut pieces = StepPieces::new(3);
        pieces.begin_step();
        pieces.add(0, 5, 10);
        pieces.add(0, 4, 10);
        pieces.add(0, 5, 7);
        // Full, but compacting makes room.
        pieces.add(0, 9, 1);
        pieces.begin_step();
        pieces.add(1, 1, 1);
        pieces.begin_step();
        let finished = pieces.clone().finish();
        assert_eq!(
            finished,
            [Some(vec![(4, 10), (5, 17), (9, 1)]), None, Some(vec![])]
        );
        // Once full, a step that goes on is lost too, even where its piece has an entry.
        pieces.add(0, 9, 1);
        pieces.add(2, 1, 1);
        assert_eq!(pieces.finish(), [None, None, None]);
    }

    #[test]
    fn memory_does_not_grow_with_the_reads() {
        let mut pieces = StepPieces::new(MAX_ENTRIES);
        pieces.begin_step();
        for read in 0..100_000u32 {
            pieces.add(0, read % 100, 3);
            assert!(pieces.entries <= 300);
        }
        pieces.begin_step();
        assert_eq!(pieces.entries, 100);
        let finished = pieces.finish();
        assert_eq!(
            finished[0],
            Some((0..100).map(|piece| (piece, 3000)).collect())
        );
    }
}
