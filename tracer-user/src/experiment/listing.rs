//! What is in an experiment, in lines.

use crate::schema::{AxisRecord, ExperimentRecord, ExperimentRunRecord, RunOutcome};

/// A line for each run, and how many of them there are of each kind.
#[must_use]
pub fn list(experiment: &ExperimentRecord) -> String {
    let mut text = format!(
        "{} ({}), plan {}\n",
        experiment.name,
        experiment.kind,
        experiment.plan_digest.get(..12).unwrap_or_default()
    );
    for run in &experiment.runs {
        text.push_str(&format!(
            "{:>5}  block {:<3} {:<8}  {:>14}  {}",
            run.number,
            run.block,
            outcome(run.outcome),
            tokens_per_s(run),
            cell(run, &experiment.axes)
        ));
        if let Some(failure) = &run.failure {
            text.push_str("\n       ");
            text.push_str(failure);
        }
        text.push('\n');
    }
    for note in &experiment.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text.push_str(&totals(experiment));
    text.push('\n');
    text
}

/// `3 of 12 runs finished, 1 failed, 8 missing`.
#[must_use]
pub fn totals(experiment: &ExperimentRecord) -> String {
    let count = |wanted| {
        experiment
            .runs
            .iter()
            .filter(|run| run.outcome == wanted)
            .count()
    };
    format!(
        "{} of {} runs finished, {} failed, {} missing",
        count(RunOutcome::Finished),
        experiment.runs.len(),
        count(RunOutcome::Failed),
        count(RunOutcome::Missing)
    )
}

const fn outcome(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Missing => "missing",
        RunOutcome::Finished => "finished",
        RunOutcome::Failed => "failed",
    }
}

fn tokens_per_s(run: &ExperimentRunRecord) -> String {
    run.record
        .as_ref()
        .and_then(|record| record.engine.tokens_per_s)
        .map_or_else(|| "–".to_owned(), |rate| format!("{rate:.2} tokens/s"))
}

fn cell(run: &ExperimentRunRecord, axes: &[AxisRecord]) -> String {
    let is_varied = |axis: &AxisRecord| axis.values.len() > 1;
    let shows_all = !axes.iter().any(is_varied);
    let words: Vec<String> = axes
        .iter()
        .filter(|axis| shows_all || is_varied(axis))
        .filter_map(|axis| Some(format!("{}={}", axis.name, run.cell.get(&axis.name)?)))
        .collect();
    words.join(" ")
}
