//! A test that cannot run on this machine.

/// Why a test cannot run here. In the chain of an error it turns the failure into a skip.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// An error that skips the test, for this reason.
pub fn unavailable(reason: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Unavailable(reason.into()))
}
