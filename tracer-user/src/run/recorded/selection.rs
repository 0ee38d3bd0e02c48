//! Which part of a run is looked at.

/// A part of a run's time, nanoseconds since the gate opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selection {
    pub from_ns: u64,
    /// Not included.
    pub to_ns: u64,
}

impl Selection {
    /// Whether something that happened then is looked at.
    #[must_use]
    pub fn holds(&self, time_ns: i64) -> bool {
        u64::try_from(time_ns).is_ok_and(|time| (self.from_ns..self.to_ns).contains(&time))
    }
}
