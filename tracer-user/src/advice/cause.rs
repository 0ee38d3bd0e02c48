//! An entry of the catalogue of causes.

use super::{Answer, Facts};

/// Something that makes an engine wait, and how it is told from a record.
#[derive(Debug)]
pub struct Cause {
    /// Its name in JSON.
    pub name: &'static str,
    /// What it is, as a heading.
    pub title: &'static str,
    /// When it is present, with its bounds and where they come from.
    pub bounds: &'static str,
    /// The figure that would refute it.
    pub refuted_by: &'static str,
    /// What to do, or which command decides it.
    pub remedy: &'static str,
    pub decide: fn(&Facts<'_>) -> Answer,
}
