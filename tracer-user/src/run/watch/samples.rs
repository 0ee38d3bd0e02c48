//! What is looked at beside the events, on its way into the recording.

use serde::{Deserialize, Serialize};

use crate::{
    pressure::MemoryReading,
    recording::{Sample, SampleKind, SampleRecorder},
    stats::Nanos,
};

use super::residency_moments::ResidencyMoment;

/// When residency is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentName {
    Before,
    LoadEnd,
    LastToken,
    Other,
    After,
}

/// A look at residency, as the recording has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedMoment {
    pub moment: MomentName,
    #[serde(flatten)]
    pub seen: ResidencyMoment,
}

/// The recording's intake of samples; takes nothing where nothing is recorded.
#[derive(Clone, Default)]
pub struct RunSamples {
    recorder: Option<SampleRecorder>,
}

impl RunSamples {
    #[must_use]
    pub const fn new(recorder: Option<SampleRecorder>) -> Self {
        Self { recorder }
    }

    /// Memory, at this moment of `CLOCK_MONOTONIC`.
    pub fn memory(&self, at_nanos: u64, reading: &MemoryReading) {
        self.record(SampleKind::Memory, at_nanos, reading);
    }

    /// Residency.
    pub fn residency(&self, name: MomentName, seen: &ResidencyMoment) {
        if self.recorder.is_some() {
            let named = NamedMoment {
                moment: name,
                seen: seen.clone(),
            };
            self.record(SampleKind::Residency, seen.at_nanos, &named);
        }
    }

    fn record(&self, kind: SampleKind, at_nanos: u64, seen: &impl Serialize) {
        if let Some(recorder) = &self.recorder
            && let Ok(text) = serde_json::to_string(seen)
        {
            let time = Nanos(at_nanos);
            let text = text.into();
            recorder.record(Sample { kind, time, text });
        }
    }
}
