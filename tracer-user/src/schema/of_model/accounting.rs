//! The figures of the same reads under one way of counting their records.

use serde::{Deserialize, Serialize};

use crate::schema::GapFigure;

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
    pub sequential: GapFigure,
    /// 0 < gap < 128 KiB.
    pub small: GapFigure,
    /// 128 KiB ≤ gap ≤ 1 MiB.
    pub medium: GapFigure,
    /// Gap > 1 MiB.
    pub large: GapFigure,
    /// Gap < 0.
    pub backward: GapFigure,
    /// Bytes here / bytes of the requests: records that count for each read. Null where a part of the issues counts.
    pub records_per_read: Option<f64>,
    /// Letters of actions of which the trace has no record: the figures are then those without them.
    pub not_recorded: Vec<String>,
}
