//! What is exported of: a run up to now, and how it is told apart.

use std::{ffi::OsStr, path::Path};

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
            // Where it lies is of one host, and long.
            let path = Path::new(&model.name);
            path.file_name()
                .map_or(model.name.as_str().into(), OsStr::to_string_lossy)
                .into_owned()
        };
        while names.contains(&name) {
            name = format!("{name} #{}", slot + 1);
        }
        names.push(name);
    }
    names
}
