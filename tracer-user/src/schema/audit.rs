//! The same reads under every way of counting a trace's records.

use serde::{Deserialize, Serialize};

use super::{GapClassRecord, ModelIdentity, TraceLossRecord};

/// Version of the layout of `audit.json`. 1: the first one.
pub const AUDIT_SCHEMA_VERSION: u32 = 1;

/// What `tracer audit` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AuditRecord {
    /// [`AUDIT_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the tracer.
    pub tracer_version: String,
    /// The trace's files.
    pub files: Vec<String>,
    /// Their form.
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
    pub accountings: Vec<AccountingRecord>,
    /// Which of them give the figures that were asked about.
    pub expectation: Option<ExpectationRecord>,
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

/// The figures under one accounting.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct AccountingRecord {
    /// As people write it: `Q+D+C`.
    pub name: String,
    /// Letters of the actions whose records count.
    pub actions: Vec<String>,
    /// Records that count as reads.
    pub records: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// Distinct bytes among them.
    pub unique_bytes: u64,
    /// Total / unique. Null where nothing counts.
    pub amplification: Option<f64>,
    /// Gaps: records − 1.
    pub gaps: u64,
    /// Gap 0.
    pub sequential: GapClassRecord,
    /// 0 < gap < 128 KiB.
    pub small: GapClassRecord,
    /// 128 KiB ≤ gap ≤ 1 MiB.
    pub medium: GapClassRecord,
    /// Gap > 1 MiB.
    pub large: GapClassRecord,
    /// Gap < 0.
    pub backward: GapClassRecord,
    /// Bytes here / bytes of the requests: records that count for each read. Null where a part of the issues counts.
    pub records_per_read: Option<f64>,
    /// Letters of actions of which the trace has no record: the figures are then those without them.
    pub not_recorded: Vec<String>,
}

/// Figures that somebody has, and the accountings that give them. Shares are fractions of 1; null is not given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExpectationRecord {
    /// Total / unique.
    pub amplification: Option<f64>,
    /// Share of gaps of 0.
    pub sequential: Option<f64>,
    /// Share of small gaps.
    pub small: Option<f64>,
    /// Share of medium gaps.
    pub medium: Option<f64>,
    /// Share of large gaps.
    pub large: Option<f64>,
    /// Share of gaps below 0.
    pub backward: Option<f64>,
    /// Accountings, the best first: all whose amplification fits; where none does, the nearest.
    pub fits: Vec<FitRecord>,
}

/// How well one accounting gives the expected figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitRecord {
    /// Name of the accounting.
    pub accounting: String,
    /// Its amplification is the expected one, within 5 % of it.
    pub amplification_fits: bool,
    /// |amplification − expected| / expected. Null where none is expected.
    pub amplification_difference: Option<f64>,
    /// All expected shares are its own, within 3 percentage points.
    pub shares_fit: bool,
    /// Largest difference of a share. Null where none is expected.
    pub share_difference: Option<f64>,
    /// Records that it counts for each read, rounded. Null where it counts a part of the issues.
    pub records_per_read: Option<u64>,
}
