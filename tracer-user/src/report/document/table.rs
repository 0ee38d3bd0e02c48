//! A table: named columns, a caption, rows of cells.

use super::text::Text;

/// On which side a cell's text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Words and names.
    #[default]
    Left,
    /// Amounts, so that their digits stand below each other.
    Right,
}

/// A column's heading, and how its cells are aligned unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// What the column holds, with its unit where the cells do not carry one.
    pub heading: Text,
    /// The side of its cells.
    pub align: Align,
}

impl Column {
    /// A column of words.
    pub fn left(heading: impl Into<Text>) -> Self {
        Self {
            heading: heading.into(),
            align: Align::Left,
        }
    }

    /// A column of amounts.
    pub fn right(heading: impl Into<Text>) -> Self {
        Self {
            heading: heading.into(),
            align: Align::Right,
        }
    }
}

impl<T: Into<Text>> From<T> for Column {
    fn from(heading: T) -> Self {
        Self::left(heading)
    }
}

/// One cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// What it shows; empty where there is nothing to say.
    pub text: Text,
    /// Its side; `None`: that of its column.
    pub align: Option<Align>,
}

impl Cell {
    /// A cell that does not follow its column.
    pub fn aligned(text: impl Into<Text>, align: Align) -> Self {
        Self {
            text: text.into(),
            align: Some(align),
        }
    }
}

impl<T: Into<Text>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text.into(),
            align: None,
        }
    }
}

/// A table. A table without rows is written as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    caption: Option<Text>,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table of these columns; a heading alone makes a column of words.
    pub fn new<C: Into<Column>>(columns: impl IntoIterator<Item = C>) -> Self {
        Self {
            columns: columns.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// The sentence over the table: what it compares, and over which reads.
    #[must_use]
    pub fn captioned(mut self, caption: impl Into<Text>) -> Self {
        self.caption = Some(caption.into());
        self
    }

    /// Adds a row. Cells that are missing at its end are empty; cells beyond the last column are an error of the
    /// caller and are dropped.
    pub fn row<C: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = C>) -> &mut Self {
        let mut row: Vec<Cell> = cells.into_iter().map(Into::into).collect();
        debug_assert!(row.len() <= self.columns.len(), "more cells than columns");
        row.resize_with(self.columns.len(), Cell::default);
        self.rows.push(row);
        self
    }

    /// With these rows, each as in [`Self::row`].
    #[must_use]
    pub fn with_rows<R, C>(mut self, rows: impl IntoIterator<Item = R>) -> Self
    where
        R: IntoIterator<Item = C>,
        C: Into<Cell>,
    {
        for row in rows {
            self.row(row);
        }
        self
    }

    /// The sentence over the table.
    #[must_use]
    pub fn caption(&self) -> Option<&Text> {
        self.caption.as_ref()
    }

    /// The columns, in order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows, each with one cell a column.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The side of a cell in the column at this place.
    #[must_use]
    pub fn align(&self, cell: &Cell, column: usize) -> Align {
        cell.align
            .or_else(|| self.columns.get(column).map(|column| column.align))
            .unwrap_or_default()
    }
}
