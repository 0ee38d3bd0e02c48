//! What a comparison says, as values: what `tracer compare --json` prints.

use serde::Serialize;

/// Version of the layout of `tracer compare --json`. 1: the first one.
pub const COMPARISON_SCHEMA_VERSION: u32 = 1;

/// Runs side by side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// [`COMPARISON_SCHEMA_VERSION`].
    pub schema_version: u32,
    pub tables: Vec<ComparedTable>,
    /// What stands in no table, and why.
    pub left_out: Vec<String>,
}

/// Columns that belong together; all others are compared with the first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ComparedTable {
    /// The cell or the model; empty where there is one table only.
    pub title: String,
    pub columns: Vec<ComparedColumn>,
    /// What was not the same before any of them began.
    pub settings: Vec<Setting>,
    /// What a reader should know before a figure is quoted.
    pub cautions: Vec<String>,
    /// Figures that at least one column has.
    pub figures: Vec<ComparedFigure>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ComparedColumn {
    /// `A`, `B`, …
    pub letter: String,
    /// Where it is from.
    pub name: String,
    pub runs: u64,
    /// The command of its first run.
    pub command: Vec<String>,
}

/// Something that was given to the runs and differs between the columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Setting {
    pub what: String,
    /// Of each column, in words.
    pub values: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedFigure {
    /// [`crate::figures::AcrossRuns::name`].
    pub name: String,
    pub label: String,
    /// Its unit; empty for a plain number.
    pub unit: &'static str,
    /// Of each column.
    pub values: Vec<ColumnValues>,
    /// Of each column but the first, against the first.
    pub changes: Vec<Change>,
}

/// A figure in one column. All null where no run has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ColumnValues {
    pub median: Option<f64>,
    /// Of every run that has it and is whole.
    pub values: Vec<f64>,
    /// Runs that have it, and may have it wrong: they are incomplete.
    pub incomplete: u64,
}

/// Another column's value against the first one's.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    Compared {
        /// Of the medians, or the median difference of the blocks; other − first.
        difference: f64,
        /// The difference / the first one's median. Null where that is 0.
        relative: Option<f64>,
        /// The difference's 95 % interval. Null with too few runs for one.
        interval: Option<[f64; 2]>,
        certainty: Certainty,
    },
    NotCompared {
        why: String,
    },
}

/// How sure it is that a change is more than the difference between two runs of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Every run of both has the same value.
    Same,
    /// One run on a side: nothing says how far two runs of the same lie apart.
    OneRun,
    /// The interval does not hold 0.
    Clear,
    /// The interval holds 0.
    NotClear,
    /// Too few runs for an interval, and no value of one column lies among those of the other.
    Apart,
    /// Too few runs for an interval, and the values of both lie among each other.
    Mixed,
}
