//! What cannot be trusted: runs that are missing, unsound, not alike or not judged.

use std::collections::BTreeMap;

use crate::{
    report::document::{Document, Note, Text, Tone},
    schema::{ExperimentRecord, ExperimentRunRecord, RunOutcome},
    stats::experiment::threshold::Unjudged,
};

use super::{
    cells::{pressure, short, values, varied},
    groups::{Group, MemoryClass, unsound},
    tables::disagreement::disagreeing,
    thresholds::ModelThreshold,
};

/// How many runs were made.
pub(super) fn runs_made(experiment: &ExperimentRecord) -> String {
    let with = |outcome| {
        let runs = experiment.runs.iter();
        runs.filter(|run| run.outcome == outcome).count()
    };
    format!(
        "{} runs planned: {} finished, {} failed, {} not made.",
        experiment.runs.len(),
        with(RunOutcome::Finished),
        with(RunOutcome::Failed),
        with(RunOutcome::Missing)
    )
}

/// Which of the finished runs count, and whether they are of one kind.
pub(super) fn standing(experiment: &ExperimentRecord) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut caution = |words: String| notes.push(Note::new(Tone::Caution, words));
    let bare = experiment
        .runs
        .iter()
        .filter(|run| run.outcome == RunOutcome::Finished && run.record.is_none());
    let bare = bare.count();
    if bare > 0 {
        caution(format!(
            "{bare} finished runs have no record and are in no table."
        ));
    }
    let mut by_reason: Vec<(String, Vec<String>)> = Vec::new();
    for run in &experiment.runs {
        let Some(why) = run.record.as_ref().and_then(unsound) else {
            continue;
        };
        let number = run.number.to_string();
        match by_reason.iter_mut().find(|(known, _)| *known == why) {
            Some((_, runs)) => runs.push(number),
            None => by_reason.push((why, vec![number])),
        }
    }
    let unsound: Vec<String> = by_reason
        .iter()
        .map(|(why, runs)| {
            let word = if runs.len() == 1 { "run" } else { "runs" };
            format!("{word} {}: {why}", runs.join(", "))
        })
        .collect();
    if !unsound.is_empty() {
        caution(format!(
            "NOT SOUND, shown among the runs and in no median: {}.",
            unsound.join("; ")
        ));
    }
    let has = |class| {
        let mut runs = experiment.runs.iter();
        runs.any(|run| MemoryClass::of_pressure(run.pressure) == class)
    };
    if has(MemoryClass::Balloon) && has(MemoryClass::Cgroup) {
        caution("Balloon and cgroup are different experiments (the whole machine is short of memory, or the engine alone is): their runs are never pooled or compared here.".to_owned());
    }
    notes
}

const HEADING: &str = "What cannot be trusted";
const ANCHOR: &str = "trust";

fn doubts(
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) -> Vec<String> {
    let mut doubts = failures(experiment);
    doubts.extend(groups.iter().flat_map(of_group));
    doubts.extend(thresholds.iter().flat_map(unjudged));
    doubts.extend(experiment.notes.iter().map(|note| format!("Note: {note}.")));
    doubts
}

/// Whether there is anything that a reader has to know before quoting a figure, and where it stands.
pub(super) fn trust_in_short(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) {
    document.notes(standing(experiment));
    let doubts = doubts(experiment, groups, thresholds).len();
    if doubts > 0 {
        let words = Text::plain(format!(
            "{doubts} {} to know before a figure is quoted, under ",
            if doubts == 1 { "thing" } else { "things" }
        ));
        document.note(Tone::Caution, words.link(HEADING, ANCHOR).then("."));
    } else if standing(experiment).is_empty() {
        document.note(
            Tone::Good,
            "Every planned run counts, and no run lies apart.",
        );
    }
}

/// All that a reader has to know before quoting a figure.
pub(super) fn trust(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) {
    let doubts = doubts(experiment, groups, thresholds);
    let standing = standing(experiment);
    document.heading(2, HEADING).anchor(ANCHOR);
    if doubts.is_empty() && standing.is_empty() {
        document.paragraph("Nothing was found: every planned run counts, and no run lies apart.");
        return;
    }
    document.notes(standing);
    document.list(doubts);
}

/// Runs of one cell that were not alike.
fn of_group(group: &Group<'_>) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Err(why) = &group.pooled {
        doubts.push(format!("{}: NOT POOLED: {why}.", group.name));
    }
    for run in disagreeing(group) {
        let beside = if run.beside.is_empty() {
            "nothing in its record differs".to_owned()
        } else {
            run.beside.join("; ")
        };
        doubts.push(format!(
            "Run {} ({}) disagrees with its siblings in {}; likely cause: {beside}.",
            run.run,
            group.name,
            run.figures.join(", ")
        ));
    }
    doubts
}

/// Runs that say nothing about the threshold, those of one reason together.
fn unjudged(threshold: &ModelThreshold) -> Vec<String> {
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let sizes = threshold.verdict.sizes.iter();
    for (run, why) in sizes.flat_map(|size| &size.unjudged) {
        // A run that failed is named with its reason already.
        if *why != Unjudged::Failed {
            found.entry(why.to_string()).or_default().push(*run);
        }
    }
    let mut doubts: Vec<String> = found
        .into_iter()
        .map(|(why, mut runs)| {
            runs.sort_unstable();
            let (each, say) = if runs.len() == 1 {
                ("run", "says")
            } else {
                ("runs", "say")
            };
            let runs: Vec<String> = runs.iter().map(u64::to_string).collect();
            format!(
                "{}: {each} {} {say} nothing about the threshold: {why}.",
                threshold.label(),
                runs.join(", ")
            )
        })
        .collect();
    if !threshold.left_out.is_empty() {
        doubts.push(format!(
            "{}: left out of the threshold: {}.",
            threshold.label(),
            threshold.left_out.join("; ")
        ));
    }
    doubts
}

/// Runs that have nothing to show, and why: those of one cell and one reason together.
fn failures(experiment: &ExperimentRecord) -> Vec<String> {
    let axes = varied(experiment);
    let mut found: BTreeMap<(String, String), Vec<u64>> = BTreeMap::new();
    for run in &experiment.runs {
        if let Some(what) = failure(run) {
            let mut cell = vec![
                run.cell
                    .get("model")
                    .map_or("", |model| short(model))
                    .to_owned(),
                pressure(run.pressure),
                values(&run.cell, &axes),
            ];
            cell.retain(|part| !part.is_empty());
            let runs = found.entry((cell.join(", "), what)).or_default();
            runs.push(run.number);
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, runs)| runs.first().copied());
    found
        .into_iter()
        .map(|((cell, what), runs)| {
            let one = if runs.len() == 1 { "Run" } else { "Runs" };
            let runs: Vec<String> = runs.iter().map(u64::to_string).collect();
            format!("{one} {} ({cell}){what}", runs.join(", "))
        })
        .collect()
}

fn failure(run: &ExperimentRunRecord) -> Option<String> {
    let reason = |otherwise: &str| run.failure.clone().unwrap_or_else(|| otherwise.to_owned());
    match run.outcome {
        RunOutcome::Missing => Some(format!(": {}", reason("it has not been made"))),
        RunOutcome::Failed => Some(format!(" failed: {}", reason("no reason is given"))),
        RunOutcome::Finished if run.record.is_none() => Some(format!(
            "without a record: {}",
            reason("its run.json is missing")
        )),
        RunOutcome::Finished => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::sample::{experiment, finished, with_record},
        schema::PlannedPressure,
    };

    use super::standing;

    #[test]
    fn runs_that_do_not_count_for_one_reason_stand_together() {
        let lossy = |records| {
            with_record(finished("a.gguf", PlannedPressure::None), |record| {
                record.loss.ring_buffer_records = records;
            })
        };
        let notes = standing(&experiment(vec![lossy(2), lossy(0), lossy(2), lossy(3)]));
        let words = format!("{notes:?}");
        assert!(
            words.contains("runs 0, 2: 2 records were lost; run 3: 3 records were lost."),
            "{words}"
        );
    }
}
