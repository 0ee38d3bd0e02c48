//! The same reads under every way of counting a trace's records.

use serde::{Deserialize, Serialize};

use super::{AccountingFigures, Explanation, ModelIdentity, TraceLossRecord};

/// Version of the layout of `audit.json`. 1: the first one.
pub const AUDIT_SCHEMA_VERSION: u32 = 1;

/// What `tracer audit` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditRecord {
    /// [`AUDIT_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the tracer.
    pub tracer_version: String,
    pub files: Vec<String>,
    pub format: String,
    /// The device, as `MAJOR,MINOR`.
    pub device: String,
    /// The model whose reads alone count; without one, all reads of the device do.
    pub model: Option<ModelIdentity>,
    /// First sector of all issued reads of the device. Null where none was issued.
    pub first_sector: Option<u64>,
    /// Sector after the last one.
    pub end_sector: Option<u64>,
    /// Figures by accounting: each request once, then by number of actions.
    pub accountings: Vec<AccountingFigures>,
    /// Which of them give the figures that were asked about.
    pub expectation: Option<Explanation>,
    /// Records that are missing.
    pub loss: TraceLossRecord,
    /// The trace does not cover all of the recording.
    pub partial: bool,
    /// Why, where `partial` is set.
    pub partial_reason: Option<String>,
    /// No record is missing.
    pub complete: bool,
    /// What a reader should know.
    pub notes: Vec<String>,
}
