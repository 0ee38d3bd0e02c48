//! One thing that the tracer needs, and whether it is there.

/// Whether a requirement is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequirementState {
    /// There, with what was found.
    Present(String),
    /// Not there, but a run only loses the figure that it is for.
    Reduced(String),
    /// Not there, and nothing runs without it.
    Missing {
        /// What was found instead.
        found: String,
        /// How to get it.
        remedy: String,
    },
}

/// One thing that the tracer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub name: String,
    /// Whether it is there.
    pub state: RequirementState,
}

impl Requirement {
    /// Whether nothing runs without it and it is not there.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        matches!(self.state, RequirementState::Missing { .. })
    }

    #[must_use]
    pub fn present(name: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: RequirementState::Present(found.into()),
        }
    }

    /// A figure is lost.
    #[must_use]
    pub fn reduced(name: impl Into<String>, lost: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: RequirementState::Reduced(lost.into()),
        }
    }

    /// It is not there.
    #[must_use]
    pub fn missing(
        name: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            state: RequirementState::Missing {
                found: found.into(),
                remedy: remedy.into(),
            },
        }
    }
}
