//! The whole report of an experiment, in Markdown.

use crate::{report::markdown::escaped, schema::ExperimentRecord};

use super::{
    consistency::consistency,
    device_tables::{bandwidth, devices},
    gap_tables::gaps,
    groups::groups,
    memory_tables::{beside, cache},
    raw::raw,
    read_tables::{amplification, coverage, results},
    setup::{failures, quoted, setup, standing},
    thresholds::thresholds_section,
};

/// Every table of an experiment.
#[must_use]
pub fn experiment_markdown(experiment: &ExperimentRecord) -> String {
    let mut text = format!("# Experiment {}\n\n", escaped(&experiment.name));
    let mut words = standing(experiment);
    words.extend(experiment.notes.iter().map(|note| format!("Note: {note}.")));
    quoted(&mut text, &words);
    setup(&mut text, experiment);
    let groups = groups(experiment);
    if !groups.is_empty() {
        results(&mut text, &groups);
    }
    failures(&mut text, experiment);
    if groups.is_empty() {
        text.push_str("No finished run has a record: there are no figures.\n");
        return text;
    }
    gaps(&mut text, &groups);
    amplification(&mut text, &groups);
    cache(&mut text, &groups);
    beside(&mut text, &groups);
    devices(&mut text, &groups);
    bandwidth(&mut text, &groups);
    coverage(&mut text, &groups);
    thresholds_section(&mut text, experiment);
    consistency(&mut text, experiment, &groups);
    raw(&mut text, experiment);
    text
}

#[cfg(test)]
mod tests;
