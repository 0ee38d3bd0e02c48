//! What a person, a script or a line of the log says of the phase that begins.

use std::str::FromStr;

use super::phase::{Mark, Phase};

/// A phase that somebody outside of the engine's functions says has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenPhase {
    /// A decode step, whose phase is told as for the others.
    Step,
    /// A phase, until the next one is given.
    Phase(Phase),
}

impl GivenPhase {
    /// The mark that it makes.
    #[must_use]
    pub const fn mark(self) -> Mark {
        match self {
            Self::Step => Mark::StepBegan { phase: None },
            Self::Phase(phase) => Mark::PhaseGiven(phase),
        }
    }

    /// Its name, as it is given.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Phase(phase) => phase.name(),
        }
    }
}

/// Phases that can be given: the others are what is left where nothing is.
const GIVEN: [Phase; 8] = [
    Phase::Load,
    Phase::Idle,
    Phase::WarmUp,
    Phase::Prompt,
    Phase::Generation,
    Phase::Mixed,
    Phase::Inference,
    Phase::End,
];

impl FromStr for GivenPhase {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if name == "step" {
            return Ok(Self::Step);
        }
        let known = GIVEN
            .into_iter()
            .find(|phase| phase.name() == name.replace('-', "_"));
        known.map(Self::Phase).ok_or_else(|| {
            let names: Vec<_> = GIVEN.iter().map(|phase| phase.name()).collect();
            format!(
                "there is no phase {name:?}; choose step or one of {}",
                names.join(", ")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{GivenPhase, Phase};

    #[test]
    fn names_of_phases() {
        let of = |name: &str| name.parse::<GivenPhase>();
        assert_eq!(of("warm-up"), Ok(GivenPhase::Phase(Phase::WarmUp)));
        assert_eq!(of("generation"), Ok(GivenPhase::Phase(Phase::Generation)));
        assert_eq!(of("step"), Ok(GivenPhase::Step));
        for name in ["", "nonsense", "unmarked", "unended_step"] {
            assert!(
                of(name).is_err_and(|error| error.contains("generation")),
                "{name}"
            );
        }
    }
}
