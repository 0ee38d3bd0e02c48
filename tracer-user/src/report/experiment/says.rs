//! The answer in words: what was asked, and what the runs say.

use crate::{
    figures::selections::{CURVE, SPEED},
    report::document::{Document, Text},
    schema::{ExperimentRecord, PlannedPressure},
    stats::experiment::summary::{Spread, summarise},
};

use super::{
    cells::{pressure, values, varied},
    groups::{Group, MemoryClass},
    tables::{
        differences::{Pair, pairs},
        spread,
    },
    threshold_words::{in_short, lines, onset},
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
        for threshold in thresholds {
            let onset = onset(&threshold.verdict.onset);
            document.paragraph(
                Text::default()
                    .strong("How much memory is enough is not known. ")
                    .then(format!("{}: {onset}.", threshold.label())),
            );
        }
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

/// Which cell is the fastest, then what changes from cell to cell, else what each does.
fn comparisons(document: &mut Document, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    if let Some(words) = fastest(experiment, groups) {
        document.paragraph(words);
    }
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

/// The cells with the most and the fewest tokens per second, by the median of their runs.
fn fastest(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Option<Text> {
    let mut middles: Vec<(f64, &Group<'_>)> = groups
        .iter()
        .filter(|group| group.pooled.is_ok())
        .filter_map(|group| {
            let values = group.figures(|run| run.value(&SPEED));
            let summary = summarise(&values, spread::kind(SPEED.unit()), experiment.seed);
            let describes = !matches!(summary.spread, Spread::Modes(_));
            Some((summary.median.filter(|_| describes)?, group))
        })
        .collect();
    middles.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let [(most, first), .., (fewest, last)] = middles.as_slice() else {
        return None;
    };
    let show = |value: f64| SPEED.unit().show(value);
    Some(
        Text::plain("Most tokens per second: ")
            .strong(first.name.clone())
            .then(format!(", {}. Fewest: ", show(*most)))
            .strong(last.name.clone())
            .then(format!(
                ", {}. These are medians; the charts show how far runs of one kind lie apart.",
                show(*fewest)
            )),
    )
}

fn asked(experiment: &ExperimentRecord) -> String {
    let varied: Vec<String> = experiment
        .axes
        .iter()
        .filter(|axis| axis.values.len() > 1)
        .map(|axis| format!("{} ({} values)", axis.name, axis.values.len()))
        .collect();
    if experiment.kind == "threshold" {
        "Asked: how much memory is enough?".to_owned()
    } else if varied.is_empty() {
        "Asked: does one and the same run come out alike each time?".to_owned()
    } else {
        format!("Asked: what changes with {}?", varied.join(", "))
    }
}

/// What changes with each axis, where tokens or bytes tell it; what is clear comes first.
fn differences(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Vec<String> {
    let mut said: Vec<(u8, String)> = pairs(groups)
        .iter()
        .filter_map(|pair| {
            let figures: Vec<String> = CURVE
                .iter()
                .filter_map(|figure| {
                    let difference = pair.of(figure, experiment.seed)?;
                    Some(format!("{} {difference}", figure.label()))
                })
                .collect();
            let clear = CURVE
                .iter()
                .map(|figure| pair.is_clear(figure, experiment.seed));
            let (place, doubt) = if clear.clone().any(|clear| clear == Some(true)) {
                (0, "")
            } else if clear.clone().any(|clear| clear.is_none()) {
                (1, "")
            } else {
                (2, ": no clear difference")
            };
            let what = instead(experiment, groups, pair);
            let words = format!("{what}: {}{doubt}.", figures.join(", "));
            (!figures.is_empty()).then_some((place, words))
        })
        .collect();
    said.sort_by_key(|(place, _)| *place);
    said.into_iter().map(|(_, words)| words).collect()
}

/// What two cells differ in, and what they share: "threads 2 instead of 1 (cgroup, 1.00 GiB)".
fn instead(experiment: &ExperimentRecord, groups: &[Group<'_>], pair: &Pair<'_, '_>) -> String {
    let cell = |group: &Group<'_>, axes: &[&str]| {
        group
            .runs
            .first()
            .map_or_else(String::new, |run| values(&run.run.cell, axes))
    };
    let value = |group: &Group<'_>| match pair.axis.as_str() {
        "pressure" => pressure(group.pressure),
        "model" => group.model.to_owned(),
        axis => {
            let named = cell(group, &[axis]);
            let value = named.split_once(" = ").map(|(_, value)| value.to_owned());
            value.unwrap_or(named)
        }
    };
    let mut shared = Vec::new();
    if pair.axis != "model" && groups.iter().any(|group| group.model != pair.base.model) {
        shared.push(pair.base.model.to_owned());
    }
    if pair.axis != "pressure" && pair.base.pressure != PlannedPressure::None {
        shared.push(pressure(pair.base.pressure));
    }
    let mut others = varied(experiment);
    others.retain(|axis| *axis != pair.axis);
    shared.push(cell(pair.base, &others));
    if pair.base.class == MemoryClass::Swapped {
        shared.push("swapped".to_owned());
    }
    shared.retain(|part| !part.is_empty());
    let shared = if shared.is_empty() {
        String::new()
    } else {
        format!(" ({})", shared.join("; "))
    };
    format!(
        "{} {} instead of {}{shared}",
        pair.axis,
        value(pair.other),
        value(pair.base)
    )
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

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::{
            experiment_markdown,
            sample::{experiment, finished, with_record},
        },
        schema::{ExperimentRunRecord, PlannedPressure},
    };

    fn run(threads: u64, load_mode: &str, speed: f64) -> ExperimentRunRecord {
        let mut run = with_record(finished("a.gguf", PlannedPressure::None), |record| {
            record.engine.tokens_per_s = Some(speed);
        });
        run.cell.insert("threads".into(), threads.to_string());
        run.cell.insert("load_mode".into(), load_mode.into());
        run
    }

    #[test]
    fn the_fastest_comes_first_then_what_is_clear_then_what_is_not() {
        let mut runs = Vec::new();
        for block in 0..6 {
            let noise = f64::from(block) * 0.1;
            let side = if block % 2 == 0 { 2.0 } else { -2.0 };
            runs.push(run(1, "mmap", 10.0 + noise));
            runs.push(run(1, "read", 10.0 + noise + side));
            runs.push(run(10, "mmap", 30.0 + 2.0 * noise));
        }
        let text = experiment_markdown(&experiment(runs));
        let at = |words: &str| {
            text.find(words)
                .unwrap_or_else(|| panic!("{words}: {text}"))
        };
        let fastest = at("Most tokens per second: **load_mode = mmap, threads = 10**, 30.50.");
        let clear = at("threads 10 instead of 1 (load_mode = mmap): tok/s +20.");
        let unclear = at("load_mode read instead of mmap (threads = 1): tok/s");
        assert!(fastest < clear && clear < unclear, "{text}");
        let line = |at: usize| text[at..].lines().next().unwrap_or_default();
        assert!(line(unclear).ends_with(": no clear difference."), "{text}");
        assert!(!line(clear).contains("no clear"), "{text}");
    }
}
