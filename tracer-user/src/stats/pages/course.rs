//! Where in the files and when pages entered and left the page cache: a grid of bounded size.
//!
//! The files stand one after the other. [`ROWS`] rows divide their bytes, at most [`COLUMNS`] columns the time; when the
//! time is longer than the columns, two of them become one each, and twice as long. So an event costs a few additions,
//! no memory, and now and then a pass over the grid.

use serde::{Deserialize, Serialize};

use crate::stats::{event::Nanos, formulas::seconds};

use super::{
    events::{EvictionAgent, PageBytes},
    figures::EvictionsByAgent,
};

/// Parts of the files.
pub const ROWS: usize = 64;
/// Most parts of the time.
pub const COLUMNS: usize = 240;
/// Length of a column at the start: 20 ms.
const FIRST_COLUMN_NANOS: u64 = 20_000_000;

/// Bytes in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    inserted: u64,
    evicted: u64,
    refaulted: u64,
}

impl Cell {
    const fn add(&mut self, other: Self) {
        self.inserted = self.inserted.saturating_add(other.inserted);
        self.evicted = self.evicted.saturating_add(other.evicted);
        self.refaulted = self.refaulted.saturating_add(other.refaulted);
    }
}

/// Adds up inserts, evictions and refaults by place and time.
#[derive(Clone, Debug)]
pub struct PageCourse {
    start: Nanos,
    /// First byte of each file.
    bases: Vec<u64>,
    page_bytes: u64,
    row_bytes: u64,
    column_nanos: u64,
    /// Column by column, [`ROWS`] cells each.
    cells: Vec<Cell>,
    /// Pages evicted in each column, by [`EvictionAgent`].
    agents: Vec<[u64; 4]>,
    /// Columns up to the last one with an event.
    used: usize,
}

impl PageCourse {
    /// Of files of these sizes, bytes, in pages of `page_bytes`, from `start` on.
    #[must_use]
    pub fn new(start: Nanos, file_bytes: &[u64], page_bytes: u64) -> Self {
        let page_bytes = page_bytes.max(1);
        let mut all = 0_u64;
        let bases = file_bytes
            .iter()
            .map(|bytes| {
                let base = all;
                all = all.saturating_add(*bytes);
                base
            })
            .collect();
        let row_bytes = all.div_ceil(ROWS as u64).next_multiple_of(page_bytes);
        Self {
            start,
            bases,
            page_bytes,
            row_bytes: row_bytes.max(page_bytes),
            column_nanos: FIRST_COLUMN_NANOS,
            cells: vec![Cell::default(); ROWS * COLUMNS],
            agents: vec![[0; 4]; COLUMNS],
            used: 0,
        }
    }

    /// A folio entered the page cache; `bytes` are those of the file in it.
    pub fn inserted(&mut self, time: Nanos, file: u16, first_page: u64, bytes: PageBytes) {
        let column = self.column(time);
        let mut refaulted = bytes.refaulted_bytes;
        self.over_rows(column, file, first_page, bytes.bytes, |cell, here| {
            // Which pages of the folio came back is not known here: of one that lies in two rows they count from its begin on.
            let again = refaulted.min(here);
            refaulted -= again;
            cell.add(Cell {
                inserted: here,
                refaulted: again,
                evicted: 0,
            });
        });
    }

    /// A folio of so many pages left it; `bytes` are those of the file in it.
    pub fn evicted(
        &mut self,
        time: Nanos,
        file: u16,
        first_page: u64,
        bytes: u64,
        agent: EvictionAgent,
    ) {
        let column = self.column(time);
        if let Some(pages) = self
            .agents
            .get_mut(column)
            .and_then(|agents| agents.get_mut(agent as usize))
        {
            *pages = pages.saturating_add(bytes.div_ceil(self.page_bytes));
        }
        self.over_rows(column, file, first_page, bytes, |cell, here| {
            cell.add(Cell {
                evicted: here,
                ..Cell::default()
            });
        });
    }

    /// Divides bytes that begin at a page of a file among the rows.
    fn over_rows(
        &mut self,
        column: usize,
        file: u16,
        first_page: u64,
        bytes: u64,
        mut count: impl FnMut(&mut Cell, u64),
    ) {
        let Some(base) = self.bases.get(usize::from(file)) else {
            return;
        };
        let mut from = base.saturating_add(first_page.saturating_mul(self.page_bytes));
        let mut left = bytes;
        while left > 0 {
            let row = usize::try_from(from / self.row_bytes).unwrap_or(ROWS);
            // The last row takes what rounding leaves.
            let row = row.min(ROWS - 1);
            let here = if row == ROWS - 1 {
                left
            } else {
                left.min(self.row_bytes - from % self.row_bytes)
            };
            if let Some(cell) = self.cells.get_mut(column * ROWS + row) {
                count(cell, here);
            }
            from = from.saturating_add(here);
            left -= here;
        }
    }

    /// The column of a time, which is made to fit.
    fn column(&mut self, time: Nanos) -> usize {
        let since = time.0.saturating_sub(self.start.0);
        while since / self.column_nanos >= COLUMNS as u64 {
            self.halve();
        }
        let column = usize::try_from(since / self.column_nanos).unwrap_or(0);
        self.used = self.used.max(column + 1);
        column
    }

    /// Makes each pair of columns one.
    fn halve(&mut self) {
        for column in 0..COLUMNS {
            let to = column / 2;
            for row in 0..ROWS {
                let Some(cell) = self.cells.get_mut(column * ROWS + row) else {
                    continue;
                };
                let moved = std::mem::take(cell);
                if let Some(cell) = self.cells.get_mut(to * ROWS + row) {
                    cell.add(moved);
                }
            }
            if let Some(agents) = self.agents.get_mut(column) {
                let moved = std::mem::take(agents);
                if let Some(agents) = self.agents.get_mut(to) {
                    for (pages, more) in agents.iter_mut().zip(moved) {
                        *pages = pages.saturating_add(more);
                    }
                }
            }
        }
        self.used = self.used.div_ceil(2);
        self.column_nanos = self.column_nanos.saturating_mul(2);
    }

    /// What was added up so far.
    #[must_use]
    pub fn figures(&self) -> PageCourseFigures {
        let of = |pick: fn(&Cell) -> u64| -> Vec<Vec<u64>> {
            let columns = self.cells.chunks(ROWS).take(self.used);
            columns
                .map(|cells| {
                    let last = cells.iter().rposition(|cell| pick(cell) > 0);
                    let seen = last.map_or(0, |last| last + 1);
                    cells.iter().take(seen).map(pick).collect()
                })
                .collect()
        };
        PageCourseFigures {
            column_s: seconds(self.column_nanos),
            row_bytes: self.row_bytes,
            page_bytes: self.page_bytes,
            inserted_bytes: of(|cell| cell.inserted),
            evicted_bytes: of(|cell| cell.evicted),
            refaulted_bytes: of(|cell| cell.refaulted),
            evictions_by_agent: self
                .agents
                .iter()
                .take(self.used)
                .map(
                    |[kswapd, direct_reclaim, kernel_thread, invalidation]| EvictionsByAgent {
                        kswapd: *kswapd,
                        direct_reclaim: *direct_reclaim,
                        kernel_thread: *kernel_thread,
                        invalidation: *invalidation,
                    },
                )
                .collect(),
        }
    }
}

/// Where in the files and when pages entered and left the page cache.
///
/// A column is a part of the time, in order from the start; in it the rows, from the begin of the files on. Rows behind
/// the last one that has something are left out, columns behind the last event too.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PageCourseFigures {
    /// Length of a column, seconds.
    pub column_s: f64,
    /// Height of a row, bytes of the files, which stand one after the other.
    pub row_bytes: u64,
    /// Bytes of a page of `evictions_by_agent`.
    pub page_bytes: u64,
    /// Bytes that entered the page cache. In the file a column is one text of its numbers. All cells sum to `page_cache.inserted_bytes`.
    #[serde(with = "columns_as_text")]
    pub inserted_bytes: Vec<Vec<u64>>,
    /// Bytes that left it. All cells sum to `page_cache.evicted_bytes`.
    #[serde(with = "columns_as_text")]
    pub evicted_bytes: Vec<Vec<u64>>,
    /// Bytes that entered it after an eviction seen in this run. All cells sum to `page_cache.refaulted_bytes`.
    #[serde(with = "columns_as_text")]
    pub refaulted_bytes: Vec<Vec<u64>>,
    /// Pages evicted in each column, by who removed them.
    pub evictions_by_agent: Vec<EvictionsByAgent>,
}

/// A column is a text such as `0 4096 8192`: a record is written with a line for each number, and these are thousands.
mod columns_as_text {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(
        columns: &[Vec<u64>],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(columns.iter().map(|column| {
            let numbers: Vec<String> = column.iter().map(u64::to_string).collect();
            numbers.join(" ")
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<u64>>, D::Error> {
        let columns = Vec::<String>::deserialize(deserializer)?;
        let numbers = columns
            .iter()
            .map(|column| column.split_whitespace().map(str::parse).collect());
        numbers
            .collect::<Result<_, _>>()
            .map_err(|error: std::num::ParseIntError| D::Error::custom(error))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::stats::{
        event::Nanos,
        pages::events::{EvictionAgent, PageBytes},
    };

    use super::{COLUMNS, FIRST_COLUMN_NANOS, PageCourse, PageCourseFigures, ROWS};

    fn sum(cells: &[Vec<u64>]) -> u64 {
        cells.iter().flatten().sum()
    }

    fn whole(bytes: u64) -> PageBytes {
        PageBytes {
            bytes,
            refaulted_bytes: 0,
        }
    }

    #[test]
    fn an_event_lies_at_its_time_and_place() {
        // Rows of 2 pages.
        let mut course = PageCourse::new(Nanos(5), &[4096 * 64, 4096 * 64], 4096);
        course.inserted(Nanos(5), 0, 3, whole(3 * 4096));
        let later = Nanos(5 + 2 * FIRST_COLUMN_NANOS);
        course.evicted(later, 1, 0, 4096, EvictionAgent::DirectReclaim);
        let figures = course.figures();
        assert_eq!(figures.row_bytes, 8192);
        assert_eq!(
            figures.inserted_bytes,
            [vec![0, 4096, 8192], vec![], vec![]]
        );
        assert_eq!(figures.evicted_bytes[2].len(), 33);
        assert_eq!(figures.evicted_bytes[2][32], 4096);
        assert_eq!(figures.evictions_by_agent[2].direct_reclaim, 1);
        let json = serde_json::to_value(&figures).expect("plain values");
        assert_eq!(
            json["inserted_bytes"],
            serde_json::json!(["0 4096 8192", "", ""])
        );
        assert_eq!(
            serde_json::from_value::<PageCourseFigures>(json).expect("the same"),
            figures
        );
    }

    #[test]
    fn a_longer_time_makes_columns_longer_and_loses_nothing() {
        let mut course = PageCourse::new(Nanos(0), &[4096 * 64], 4096);
        for step in 0..10 * COLUMNS as u64 {
            course.inserted(Nanos(step * FIRST_COLUMN_NANOS), 0, step % 64, whole(4096));
        }
        let figures = course.figures();
        assert!(
            (figures.column_s - 0.32).abs() < 1e-9,
            "{}",
            figures.column_s
        );
        assert_eq!(figures.inserted_bytes.len(), 10 * COLUMNS / 16);
        assert_eq!(sum(&figures.inserted_bytes), 10 * COLUMNS as u64 * 4096);
        // Each column has 16 steps, one after the other.
        assert_eq!(
            figures.inserted_bytes[1]
                .iter()
                .filter(|bytes| **bytes > 0)
                .count(),
            16
        );
    }

    proptest! {
        #[test]
        fn cells_sum_to_what_was_given(
            events in prop::collection::vec((0..1u64 << 44, 0..2u16, 0..700u64, 1..600u64, 0..2u64), 1..50),
        ) {
            let mut course = PageCourse::new(Nanos(7), &[4096 * 500 + 9, 4096 * 800], 4096);
            let (mut inserted, mut refaulted, mut evicted) = (0, 0, 0);
            for (time, file, page, pages, kind) in events {
                let bytes = pages * 4096;
                inserted += bytes;
                refaulted += kind * bytes;
                let given = PageBytes { bytes, refaulted_bytes: kind * bytes };
                course.inserted(Nanos(time), file, page, given);
                evicted += bytes;
                course.evicted(Nanos(time), file, page, bytes, EvictionAgent::Kswapd);
            }
            let figures = course.figures();
            prop_assert_eq!(sum(&figures.inserted_bytes), inserted);
            prop_assert_eq!(sum(&figures.refaulted_bytes), refaulted);
            prop_assert_eq!(sum(&figures.evicted_bytes), evicted);
            prop_assert!(figures.inserted_bytes.len() <= COLUMNS);
            prop_assert!(figures.inserted_bytes.iter().all(|column| column.len() <= ROWS));
        }
    }
}
