//! What is exported of: a run up to now, and how it is told apart.

use crate::run::onlooker::{EngineNow, RunBegun, RunSoFar};

/// A run at one moment.
pub struct Moment<'a> {
    pub begun: &'a RunBegun,
    /// Value of the label `model`, by slot.
    pub names: &'a [String],
    pub so_far: &'a RunSoFar,
    pub engine: &'a EngineNow,
}

/// Names of the models of a run, each another: two series with the same labels make a whole scrape invalid.
#[must_use]
pub fn names(begun: &RunBegun, redact: bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(begun.models.len());
    for (slot, model) in begun.models.iter().enumerate() {
        let mut name = if redact {
            format!("model {}", slot + 1)
        } else {
            model.name.clone()
        };
        while names.contains(&name) {
            name = format!("{name} #{}", slot + 1);
        }
        names.push(name);
    }
    names
}
