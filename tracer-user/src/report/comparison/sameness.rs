//! Whether figures of two columns are of the same thing: the same file, the same work, an unbroken record.

use std::collections::BTreeSet;

use crate::{
    figures::{AcrossRuns, Road},
    schema::{ModelRecord, RunRecord},
    stats::phases::phase::Phase,
    units::{bytes, count, seconds},
};

use super::columns::{ColumnRuns, OneRun};

/// Windows of lengths that differ by less are called equal.
const EQUAL_LENGTHS: f64 = 0.01;

/// Why a figure of one run is wrong or may be.
pub(super) fn flaw(run: &RunRecord, figure: &AcrossRuns) -> Option<String> {
    let observed = matches!(figure.road(), Road::Kernel | Road::Stream);
    let violated: Vec<&str> = run.violations().map(|check| check.name.as_str()).collect();
    if observed && !violated.is_empty() {
        return Some(match violated.as_slice() {
            [only] => format!("a self-check does not hold: {only}"),
            more => format!("{} self-checks do not hold", more.len()),
        });
    }
    if figure.road() == Road::Stream && run.loss.ring_buffer_records > 0 {
        return Some(format!(
            "{} records were lost",
            count(run.loss.ring_buffer_records)
        ));
    }
    if let Some(missed) = run
        .loss
        .recursion_misses
        .filter(|missed| observed && *missed > 0)
    {
        return Some(format!(
            "the kernel skipped a program {} times",
            count(missed)
        ));
    }
    if run.partial && figure.grows() {
        let why = run
            .partial_reason
            .as_deref()
            .unwrap_or("no reason is given");
        return Some(format!("it was cut short ({why})"));
    }
    None
}

/// Why a figure that was observed in both columns is not of the same thing.
pub(super) fn not_the_same(
    first: &ColumnRuns<'_>,
    other: &ColumnRuns<'_>,
    figure: &AcrossRuns,
) -> Option<String> {
    let of_file = figure.is_of_the_file();
    if of_file && let Some(why) = other_file(first, other) {
        return Some(why);
    }
    if figure.grows() {
        return other_work(first, other, figure);
    }
    None
}

/// Sizes of a model's files.
fn sizes(model: &ModelRecord) -> Vec<u64> {
    model
        .model
        .files
        .iter()
        .map(|file| file.size_bytes)
        .collect()
}

/// Why the models are not the same, as far as their sizes tell.
fn other_file(first: &ColumnRuns<'_>, other: &ColumnRuns<'_>) -> Option<String> {
    let models = |column: &ColumnRuns<'_>| -> BTreeSet<(u64, Vec<u64>)> {
        let runs = column.runs.iter();
        runs.map(|run| (run.model.model.size_bytes, sizes(run.model)))
            .collect()
    };
    let (one, two) = (models(first), models(other));
    if one == two {
        return None;
    }
    let words = |column: &ColumnRuns<'_>, models: &BTreeSet<(u64, Vec<u64>)>| {
        let sizes: Vec<String> = models.iter().map(|(size, _)| bytes(*size)).collect();
        format!("{} of {}", column.model, sizes.join(" and "))
    };
    Some(format!(
        "another model: {}, and {}",
        words(first, &one),
        words(other, &two)
    ))
}

/// Something that was counted in each run of a column, where it is known of all of them.
fn of_all(
    column: &ColumnRuns<'_>,
    pick: impl Fn(&OneRun<'_>) -> Option<u64>,
) -> Option<BTreeSet<u64>> {
    column.runs.iter().map(pick).collect()
}

fn steps(model: &ModelRecord, phase: Phase) -> Option<u64> {
    let steps = model.tokens.as_ref()?;
    let own = steps.iter().filter(|step| step.phase == phase.name());
    Some(own.count() as u64)
}

/// Why a figure that grows with the work is of more work in one column than in the other.
fn other_work(
    first: &ColumnRuns<'_>,
    other: &ColumnRuns<'_>,
    figure: &AcrossRuns,
) -> Option<String> {
    let (prompt, generation) = match figure {
        AcrossRuns::Phase(Phase::Load, _) => (false, false),
        AcrossRuns::Phase(Phase::Prompt, _) => (true, false),
        AcrossRuns::Phase(Phase::Generation, _) => (false, true),
        _ => (true, true),
    };
    let differ = |pick: &dyn Fn(&OneRun<'_>) -> Option<u64>| {
        let (one, two) = (of_all(first, pick)?, of_all(other, pick)?);
        (one != two).then(|| (shown(&one), shown(&two)))
    };
    let generated = |run: &OneRun<'_>| run.record.engine.eval_tokens;
    let prompted = |run: &OneRun<'_>| run.record.engine.prompt_tokens;
    if generation {
        if let Some((one, two)) = differ(&generated) {
            return Some(format!("other work: {one} tokens generated, and {two}"));
        }
        let said = of_all(first, generated).and(of_all(other, generated));
        let steps = |run: &OneRun<'_>| steps(run.model, Phase::Generation);
        if said.is_none()
            && let Some((one, two)) = differ(&steps)
        {
            return Some(format!("other work: {one} steps of generation, and {two}"));
        }
    }
    if prompt && let Some((one, two)) = differ(&prompted) {
        return Some(format!("other work: prompts of {one} tokens, and {two}"));
    }
    other_length(first, other)
}

/// Windows of processes that went on before and after: what was counted is of the window.
fn other_length(first: &ColumnRuns<'_>, other: &ColumnRuns<'_>) -> Option<String> {
    let attached = |column: &ColumnRuns<'_>| {
        let mut runs = column.runs.iter();
        runs.any(|run| run.record.mode == "attach")
    };
    if !attached(first) && !attached(other) {
        return None;
    }
    let lengths = |column: &ColumnRuns<'_>| {
        let lengths = column.runs.iter().map(|run| run.record.time.wall_s);
        lengths.fold((f64::INFINITY, 0.0_f64), |(low, high), length| {
            (low.min(length), high.max(length))
        })
    };
    let (one, two) = (lengths(first), lengths(other));
    let (low, high) = (one.0.min(two.0), one.1.max(two.1));
    (high - low > high * EQUAL_LENGTHS).then(|| {
        let words = |(low, high): (f64, f64)| {
            if high - low > high * EQUAL_LENGTHS {
                format!("{} to {}", seconds(Some(low)), seconds(Some(high)))
            } else {
                seconds(Some(high))
            }
        };
        format!(
            "windows of other lengths on an engine that went on: {}, and {}",
            words(one),
            words(two)
        )
    })
}

fn shown(values: &BTreeSet<u64>) -> String {
    let values: Vec<String> = values.iter().map(|value| count(*value)).collect();
    values.join(" or ")
}
