//! How many records of each kind there were.

/// Records by kind, and what was wrong with some.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Issues and re-issues.
    pub issues: u64,
    /// Completions.
    pub completions: u64,
    /// Requeues.
    pub requeues: u64,
    /// Reads that ended unseen.
    pub unseen: u64,
    /// Page-cache events.
    pub pages: u64,
    /// Waits.
    pub waits: u64,
    /// Stages that reads passed, for the audit.
    pub stages: u64,
    /// Probed functions entered or left.
    pub marks: u64,
    /// Of them: in processes that are not the engine's, which count for nothing.
    pub foreign_marks: u64,
    /// Issues for a model in whose extents the user side finds no part of the request.
    pub misplaced: u64,
}

impl RecordCounts {
    /// All records.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.issues
            + self.completions
            + self.requeues
            + self.unseen
            + self.pages
            + self.waits
            + self.stages
            + self.marks
    }
}
