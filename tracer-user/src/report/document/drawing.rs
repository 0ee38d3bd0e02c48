//! A chart in a document.

use crate::chart::Chart;

use super::table::Table;

/// A chart, and the same figures as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    pub chart: Chart,
    /// The chart's figures, for who cannot see it or wants to copy them.
    pub table: Table,
}
