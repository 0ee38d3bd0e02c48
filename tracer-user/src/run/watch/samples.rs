//! What is looked at beside the events, on its way into the recording.

use serde::{Deserialize, Serialize};

use crate::{
    pressure::MemoryReading,
    recording::{EventRecorder, Sample, SampleKind, SampleRecorder},
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
    /// Of a recording that has begun, with what was resident before.
    #[must_use]
    pub fn begin(recorder: &EventRecorder, before: &ResidencyMoment) -> Self {
        let samples = Self {
            recorder: recorder.samples(),
        };
        samples.residency(MomentName::Before, before);
        samples
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
