//! What a cause answers.

use serde::Serialize;

/// What a record says of a cause.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Present(Present),
    /// Why it is not.
    Absent(String),
    /// Which figure is null and why, and what would show it.
    NotDecided(String),
}

impl Answer {
    pub fn absent(why: impl Into<String>) -> Self {
        Self::Absent(why.into())
    }

    pub fn not_decided(why: impl Into<String>) -> Self {
        Self::NotDecided(why.into())
    }
}

/// A cause that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    /// The figures fit, and something else could look the same.
    pub only_likely: bool,
    /// What it costs. None where the record gives no time for it: never ranked before one that has a time.
    pub cost: Option<Cost>,
    /// The figures that show it.
    pub evidence: Vec<Evidence>,
    /// What to do here, where that is more than the cause's remedy.
    pub advice: Option<String>,
}

/// Time that a cause costs, seconds a token (or a run, where the record has no decode steps).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    pub seconds: f64,
    pub kind: CostKind,
}

/// How a cost is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CostKind {
    /// It cannot cost more.
    AtMost,
    /// An estimate: the time that the engine waited, by the share of the bytes.
    About,
}

impl Cost {
    /// None where the time is not known.
    #[must_use]
    pub fn about(seconds: Option<f64>) -> Option<Self> {
        Self::of(seconds, CostKind::About)
    }

    /// None where the time is not known.
    #[must_use]
    pub fn at_most(seconds: Option<f64>) -> Option<Self> {
        Self::of(seconds, CostKind::AtMost)
    }

    fn of(seconds: Option<f64>, kind: CostKind) -> Option<Self> {
        let seconds = seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0)?;
        Some(Self { seconds, kind })
    }
}

/// A figure that shows a cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// Its member of `run.json`: of a phase or a tensor with `[]`.
    pub member: &'static str,
    /// What it is.
    pub what: String,
    /// Its value, with unit.
    pub value: String,
}

impl Evidence {
    pub fn new(member: &'static str, what: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            member,
            what: what.into(),
            value: value.into(),
        }
    }
}
