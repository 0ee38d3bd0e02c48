//! What a chart shows, as plain values.

use crate::figures::Unit;

use super::{density::DensityGrid, scale::Scale};

/// A chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Its name on the command line and in links: letters, digits and `-`.
    pub name: String,
    pub title: String,
    /// One sentence that says what to see.
    pub sees: String,
    pub x: Axis,
    pub y: Axis,
    /// What parts of the y axis are called, at its far side: the layers of a file.
    pub edges: Vec<Edge>,
    /// What is drawn, the lowest first.
    pub marks: Vec<Mark>,
}

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it measures.
    pub label: String,
    /// The unit of its values.
    pub unit: Unit,
    pub scale: Scale,
}

impl Axis {
    /// An axis from `from` to `to`; where both are equal it is given some room.
    #[must_use]
    pub fn linear(label: &str, unit: Unit, from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self {
            label: label.to_owned(),
            unit,
            scale: Scale::Linear { from, to },
        }
    }

    /// A logarithmic axis; both ends are above 0.
    #[must_use]
    pub fn log(label: &str, unit: Unit, from: f64, to: f64) -> Self {
        let from = from.max(f64::MIN_POSITIVE);
        Self {
            label: label.to_owned(),
            unit,
            scale: Scale::Log {
                from,
                to: if to > from { to } else { from * 2.0 },
            },
        }
    }

    /// An axis of names, the first one at its begin (of a y axis: at the top).
    #[must_use]
    pub fn of_names(label: &str, names: Vec<String>) -> Self {
        Self {
            label: label.to_owned(),
            unit: Unit::Count,
            scale: Scale::Names(names),
        }
    }
}

/// What something stands for, from which follows how it looks: the same thing looks the same in all charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ink {
    /// Read from the device.
    Read,
    /// Read again.
    Again,
    /// In memory.
    Memory,
    /// Waited for.
    Wait,
    /// Needed, or allowed: what others are compared with.
    Limit,
    /// Something beside the matter.
    Other,
}

impl Ink {
    /// Its class in the style.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Again => "again",
            Self::Memory => "memory",
            Self::Wait => "wait",
            Self::Limit => "limit",
            Self::Other => "other",
        }
    }
}

/// How the points of a line are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// From point to point.
    Straight,
    /// Each value holds up to the next point.
    Steps,
    /// As `Steps`, and filled down to the axis.
    Filled,
}

/// A point of a line; without a value the line has a gap there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub x: f64,
    pub y: Option<f64>,
}

/// A bar that stands: from `from` to `to` on the x axis, from `low` to `high` on the y axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub from: f64,
    pub to: f64,
    pub low: f64,
    pub high: f64,
    /// What the read-out says of it.
    pub says: String,
}

/// A bar that lies, beside the name in this row of the y axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Across {
    pub row: usize,
    pub from: f64,
    pub to: f64,
    /// What stands behind it.
    pub says: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    pub x: f64,
    pub y: f64,
    pub says: String,
}

/// A vertical line from `low` to `high`: an interval, or a read's place in the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Piece {
    pub x: f64,
    pub low: f64,
    pub high: f64,
}

/// An interval of a value at `x`, with its middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Spread {
    pub x: f64,
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    pub says: String,
}

/// An interval of a value beside the name in this row of the y axis, with its middle.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadAcross {
    pub row: usize,
    pub low: f64,
    pub middle: f64,
    pub high: f64,
    pub says: String,
}

/// A cell of a map of two axes of names.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    pub column: usize,
    pub row: usize,
    pub value: f64,
    pub says: String,
}

/// What a part of the y axis is called.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    pub from: f64,
    pub to: f64,
    pub name: String,
}

/// Something that is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    /// A part of the x axis, with its name on top.
    Band {
        name: String,
        from: f64,
        to: f64,
        ink: Option<Ink>,
    },
    Line {
        name: String,
        ink: Ink,
        shape: Shape,
        points: Vec<Point>,
    },
    Bars {
        name: String,
        ink: Ink,
        bars: Vec<Bar>,
    },
    Across {
        name: String,
        ink: Ink,
        bars: Vec<Across>,
    },
    Dots {
        name: String,
        ink: Ink,
        dots: Vec<Dot>,
    },
    /// Single reads.
    Pieces {
        name: String,
        ink: Ink,
        pieces: Vec<Piece>,
    },
    /// More reads than can be told apart. The grid covers both axes, which are linear.
    Density {
        name: String,
        ink: Ink,
        grid: DensityGrid,
    },
    /// A map of two axes of names; `most` is the value of the darkest cell.
    Cells {
        name: String,
        unit: Unit,
        most: f64,
        cells: Vec<Cell>,
    },
    /// Medians with their intervals.
    Spreads {
        name: String,
        ink: Ink,
        spreads: Vec<Spread>,
    },
    /// Medians with their intervals, each beside a name of the y axis.
    SpreadsAcross {
        name: String,
        ink: Ink,
        spreads: Vec<SpreadAcross>,
    },
    /// A value that others are compared with: a horizontal line.
    Level { name: String, ink: Ink, at: f64 },
    /// A place on the x axis: a vertical line.
    Upright { name: String, ink: Ink, at: f64 },
    /// Short lines at the x axis, each with a weight from 0 to 1.
    Ticks {
        name: String,
        ink: Ink,
        ticks: Vec<(f64, f64)>,
    },
}

impl Chart {
    /// Whether the x axis can be looked at more closely.
    #[must_use]
    pub fn zooms(&self) -> bool {
        matches!(self.x.scale, Scale::Linear { .. }) && !matches!(self.y.scale, Scale::Names(_))
    }
}
