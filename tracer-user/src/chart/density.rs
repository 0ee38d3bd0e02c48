//! Many reads as a grid of cells.
//!
//! A screen shows some hundred columns; millions of reads on it are one colour. The grid adds up what falls into each cell,
//! so that its sum is the sum of all reads. A single read stays visible: the writer shows every cell that is not empty.

/// Amounts by column and row. Column 0 is the left one, row 0 the lowest.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityGrid {
    columns: usize,
    rows: usize,
    cells: Vec<f64>,
}

impl DensityGrid {
    /// An empty grid of at least one cell.
    #[must_use]
    pub fn new(columns: usize, rows: usize) -> Self {
        let (columns, rows) = (columns.max(1), rows.max(1));
        Self {
            columns,
            rows,
            cells: vec![0.0; columns * rows],
        }
    }

    /// Adds an amount that is spread evenly over a part of a column. Places are from 0 to 1; what lies outside is put
    /// into the nearest cell.
    pub fn add(&mut self, x: f64, low: f64, high: f64, amount: f64) {
        let column = cell(x, self.columns);
        let (first, last) = (cell(low, self.rows), last_cell(high, self.rows));
        let last = last.max(first);
        let length = high - low;
        for row in first..=last {
            let share = if first == last || length <= 0.0 {
                1.0 / (last - first + 1) as f64
            } else {
                let from = if row == first {
                    low
                } else {
                    row as f64 / self.rows as f64
                };
                let to = if row == last {
                    high
                } else {
                    (row + 1) as f64 / self.rows as f64
                };
                (to - from) / length
            };
            if let Some(cell) = self.cells.get_mut(row * self.columns + column) {
                *cell += amount * share;
            }
        }
    }

    /// How many cells lie side by side.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// How many lie one above the other.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// What is in a cell; 0 outside of the grid.
    #[must_use]
    pub fn cell(&self, column: usize, row: usize) -> f64 {
        if column >= self.columns {
            return 0.0;
        }
        self.cells
            .get(row * self.columns + column)
            .copied()
            .unwrap_or(0.0)
    }

    /// The largest cell.
    #[must_use]
    pub fn largest(&self) -> f64 {
        self.cells.iter().copied().fold(0.0, f64::max)
    }

    /// All cells together.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.cells.iter().sum()
    }

    /// A grid of fewer cells: each of them holds `columns` × `rows` of this one's.
    #[must_use]
    pub fn coarser(&self, columns: usize, rows: usize) -> Self {
        let (columns, rows) = (columns.max(1), rows.max(1));
        let mut coarse = Self::new(self.columns.div_ceil(columns), self.rows.div_ceil(rows));
        for row in 0..self.rows {
            for column in 0..self.columns {
                let at = (row / rows) * coarse.columns + column / columns;
                if let Some(cell) = coarse.cells.get_mut(at) {
                    *cell += self.cell(column, row);
                }
            }
        }
        coarse
    }
}

fn cell(place: f64, cells: usize) -> usize {
    ((place * cells as f64).floor().max(0.0) as usize).min(cells - 1)
}

/// The cell in which something ends: a border belongs to the cell below.
fn last_cell(place: f64, cells: usize) -> usize {
    (((place * cells as f64 - 1e-9).ceil() - 1.0).max(0.0) as usize).min(cells - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::DensityGrid;

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled(
            reads in prop::collection::vec((-0.1..1.1_f64, 0.0..1.0_f64, 0.0..0.5_f64, 1.0..1e6_f64), 1..200),
            columns in 1..40_usize,
            rows in 1..40_usize,
            by in 1..5_usize,
        ) {
            let mut grid = DensityGrid::new(columns, rows);
            let mut all = 0.0;
            for (x, low, length, amount) in reads {
                grid.add(x, low, (low + length).min(1.0), amount);
                all += amount;
            }
            prop_assert!((grid.sum() - all).abs() < 1e-6 * all);
            prop_assert!((grid.coarser(by, by).sum() - all).abs() < 1e-6 * all);
        }
    }

    #[test]
    fn a_read_lies_where_it_was_made() {
        let mut grid = DensityGrid::new(2, 4);
        grid.add(0.75, 0.25, 0.75, 8.0);
        grid.add(0.0, 0.0, 0.25, 1.0);
        let cells: Vec<f64> = (0..4).map(|row| grid.cell(1, row)).collect();
        assert_eq!(cells, [0.0, 4.0, 4.0, 0.0]);
        assert_eq!((grid.cell(0, 0), grid.cell(0, 1)), (1.0, 0.0));
        // One read among many is a cell of its own, and not empty.
        grid.add(0.75, 0.9, 0.95, 1e-3);
        assert!(grid.cell(1, 3) > 0.0);
    }
}
