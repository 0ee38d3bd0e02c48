//! Which part of a run is looked at.

use glob::Pattern;

/// A part of a run; the whole where nothing is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub time: Option<TimeSpan>,
    /// Tensors whose names one of these matches; all where there is none.
    pub tensors: Vec<Pattern>,
}

impl Selection {
    /// All of a run.
    #[must_use]
    pub const fn whole() -> Self {
        Self {
            time: None,
            tensors: Vec::new(),
        }
    }
}

/// A part of a run's time, nanoseconds since the gate opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeSpan {
    pub from_ns: u64,
    /// Not included.
    pub to_ns: u64,
}

impl TimeSpan {
    /// Whether something that happened then is looked at.
    #[must_use]
    pub fn holds(&self, time_ns: i64) -> bool {
        u64::try_from(time_ns).is_ok_and(|time| (self.from_ns..self.to_ns).contains(&time))
    }
}
