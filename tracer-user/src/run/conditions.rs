//! The conditions of a run: what is done to the memory before the engine starts, and undone afterwards.

use std::os::fd::OwnedFd;

use crate::record::PressureRecord;

use super::subject::Subject;

/// What to do to the memory.
#[derive(Clone, Debug, Default)]
pub struct ConditionsRequest {
    /// Bytes to lock away.
    pub lock_bytes: Option<u64>,
    /// Limit of the engine's memory cgroup, bytes.
    pub memory_max_bytes: Option<u64>,
    /// Drop the machine's page cache.
    pub drop_caches: bool,
    /// Drop the models' files from the page cache.
    pub evict_model: bool,
}

/// Conditions in force; dropping them undoes what can be undone.
pub struct Conditions {}

impl Conditions {
    pub fn apply(_request: &ConditionsRequest, _subject: &Subject) -> anyhow::Result<Self> {
        Ok(Self {})
    }
    pub fn cgroup_descriptors(&self) -> anyhow::Result<Vec<OwnedFd>> {
        Ok(Vec::new())
    }
    pub fn record(&self) -> PressureRecord {
        PressureRecord::default()
    }
}
