//! The answer in words: what was asked, and what the runs say.

use crate::{
    figures::selections::CURVE,
    report::document::{Document, Text},
    schema::ExperimentRecord,
};

use super::{
    groups::Group,
    tables::{differences::pairs, spread},
    threshold_words::{in_short, lines},
    thresholds::ModelThreshold,
    trust::runs_made,
    tuning::tuned,
};

/// Sentences of one kind; the tables have the others.
const SENTENCES: usize = 6;

pub(super) fn says(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) {
    if experiment.tune.is_some() {
        tuned(document, experiment);
        return;
    }
    document.paragraph(format!("{} {}", asked(experiment), runs_made(experiment)));
    if groups.is_empty() {
        document.paragraph("No finished run has a record: there are no figures.");
        return;
    }
    if thresholds.is_empty() {
        comparisons(document, experiment, groups);
        return;
    }
    for threshold in thresholds {
        document.paragraph(Text::default().strong(format!(
            "{} ({})",
            threshold.label(),
            threshold.kind.size()
        )));
        if let Some(words) = in_short(threshold) {
            document.paragraph(words);
        }
        document.list(lines(threshold));
    }
}

/// What was asked, and the shortest true answer; the rest is for further down.
pub(super) fn says_in_short(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) {
    if experiment.tune.is_some() || groups.is_empty() || thresholds.is_empty() {
        says(document, experiment, groups, thresholds);
        return;
    }
    let decided: Vec<(&ModelThreshold, String)> = thresholds
        .iter()
        .filter_map(|threshold| Some((threshold, in_short(threshold)?)))
        .collect();
    if decided.is_empty() {
        document.paragraph(format!("{} {}", asked(experiment), runs_made(experiment)));
        comparisons(document, experiment, groups);
        return;
    }
    for (threshold, words) in decided {
        let name = if thresholds.len() > 1 {
            format!("{} {}: ", threshold.label(), threshold.kind.name())
        } else {
            String::new()
        };
        document.paragraph(Text::default().strong(name).then(words));
    }
    document.paragraph(format!("{} {}", asked(experiment), runs_made(experiment)));
}

/// What changes from cell to cell, else what each does.
fn comparisons(document: &mut Document, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    let mut sentences = differences(experiment, groups);
    if sentences.is_empty() {
        sentences = cells(experiment, groups);
    }
    let left_out = sentences.len().saturating_sub(SENTENCES);
    sentences.truncate(SENTENCES);
    if left_out > 0 {
        sentences.push(format!("{left_out} more in the tables below."));
    }
    document.list(sentences);
}

fn asked(experiment: &ExperimentRecord) -> String {
    let varied: Vec<String> = experiment
        .axes
        .iter()
        .filter(|axis| axis.values.len() > 1)
        .map(|axis| format!("{} ({} values)", axis.name, axis.values.len()))
        .collect();
    if varied.is_empty() {
        "Asked: does one and the same run come out alike each time?".to_owned()
    } else {
        format!("Asked: what changes with {}?", varied.join(", "))
    }
}

/// What changes with each axis, where tokens or bytes tell it.
fn differences(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Vec<String> {
    pairs(groups)
        .iter()
        .filter_map(|pair| {
            let figures: Vec<String> = CURVE
                .iter()
                .filter_map(|figure| {
                    let difference = pair.of(figure, experiment.seed)?;
                    Some(format!("{} {difference}", figure.label()))
                })
                .collect();
            (!figures.is_empty()).then(|| {
                format!(
                    "{} against {}: {}.",
                    pair.other.name,
                    pair.base.name,
                    figures.join(", ")
                )
            })
        })
        .collect()
}

/// What each cell does.
fn cells(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Vec<String> {
    groups
        .iter()
        .map(|group| {
            let figures: Vec<String> = CURVE
                .iter()
                .map(|figure| {
                    let value = spread::of_figure(group, figure, experiment.seed);
                    format!("{} {value}", figure.label())
                })
                .collect();
            format!("{}: {}.", group.name, figures.join(", "))
        })
        .collect()
}
