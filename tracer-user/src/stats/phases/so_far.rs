//! What a model's events say while more of them come.

use std::collections::BTreeMap;

use super::phase::Phase;

/// One model up to now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelSoFar {
    pub phases: PhasesSoFar,
    /// Bytes read by piece. Empty where nothing was read yet.
    pub piece_bytes: Vec<u64>,
}

/// The parts of the run up to now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PhasesSoFar {
    /// Sums by phase.
    pub phases: BTreeMap<Phase, PhaseSoFar>,
    /// The phase of this moment. That of the step before, where a step is under way of which nothing will say when it ends.
    pub current: Option<Phase>,
}

/// A phase up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseSoFar {
    pub nanos: u64,
    /// Decode steps that began in it.
    pub steps: u64,
    /// Tokens in their batches; None where one of them is not known.
    pub tokens: Option<u64>,
    /// Bytes of the model in its reads: issued − requeued.
    pub read_bytes: u64,
}

impl PhasesSoFar {
    /// All phases together.
    #[must_use]
    pub fn read_bytes(&self) -> u64 {
        self.phases.values().map(|phase| phase.read_bytes).sum()
    }
}
