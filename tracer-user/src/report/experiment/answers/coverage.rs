//! 1. Is the coverage caused by loading or by inference?

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    figures::Unit,
    report::experiment::groups::{Group, MemoryClass, Traced},
    schema::{ExperimentRecord, PlannedPressure},
};

use super::{missing::Missing, question::Answer};

/// Token counts that the question names.
const TOKENS: [u64; 4] = [10, 100, 1_000, 10_000];
/// A phase that covered so much is said to have covered the model.
const WHOLE: f64 = 0.999;

/// Coverage of the load, where its end is told by the engine: by its functions or its log. Where it is told by the page
/// cache the load ends when every byte has come in once, and covers the model by definition.
fn load_coverage(run: &Traced<'_>) -> Option<f64> {
    let end = run.model.marks.as_ref()?.load_end.as_deref();
    let load = run.phase("load")?;
    load.coverage
        .filter(|_| matches!(end, Some("uprobes" | "log")))
}

const PHASES: [&str; 5] = ["load", "warm_up", "prompt", "generation", "inference"];

pub(super) fn answer(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Answer {
    let mut rows = Vec::new();
    for group in groups {
        if group.sound().all(|run| run.model.phases.is_none()) {
            continue;
        }
        let mut row = vec![
            group.class.name().to_owned(),
            group.label(),
            group.show(Unit::Count, |run| Some(run.tokens()? as f64)),
            group.count(),
            group.show(Unit::Share, |run| run.model.reads.as_ref()?.amount.coverage),
        ];
        row.extend(PHASES.map(|name| group.show(Unit::Share, |run| run.phase(name)?.coverage)));
        row.push(group.show(Unit::Bytes, |run| {
            Some(run.model.cache.before_bytes? as f64)
        }));
        rows.push(row);
    }
    let (claims, mut limits) = claims(groups);
    let silent: usize = groups
        .iter()
        .flat_map(Group::sound)
        .filter(|run| load_coverage(run).is_none())
        .count();
    if silent > 0 {
        limits.push(format!(
            "{silent} runs say nothing here: no mark of the engine (a function, a line of its log) ends their load, or its reads were not observed. A load that the page cache ends covers the model by definition."
        ));
    }
    Answer {
        question: "Is 100 % coverage caused by loading or by inference?",
        claims,
        limits,
        header: vec![
            "pressure",
            "cell",
            "tokens",
            "runs",
            "whole run",
            "load",
            "warm-up",
            "prompt",
            "generation",
            "inference (unmarked)",
            "resident before",
        ],
        rows,
        missing: missing(experiment, groups),
    }
}

/// What the load and the generation of one model's runs covered.
#[derive(Default)]
struct Covered {
    runs: usize,
    tokens: BTreeSet<u64>,
    load: Vec<f64>,
    whole: Vec<f64>,
    generation: Vec<f64>,
    warm_starts: usize,
}

fn claims(groups: &[Group<'_>]) -> (Vec<String>, Vec<String>) {
    let mut models: BTreeMap<(MemoryClass, &str), Covered> = BTreeMap::new();
    for group in groups {
        for run in group.sound() {
            let Some(load) = load_coverage(run) else {
                continue;
            };
            let covered = models.entry((group.class, group.model)).or_default();
            covered.runs += 1;
            covered.tokens.extend(run.tokens());
            covered.load.push(load);
            covered.whole.extend(
                run.model
                    .reads
                    .as_ref()
                    .and_then(|reads| reads.amount.coverage),
            );
            let generation = run.phase("generation").and_then(|phase| phase.coverage);
            covered.generation.extend(generation);
            covered.warm_starts +=
                usize::from(run.model.cache.before_bytes.is_some_and(|it| it > 0));
        }
    }
    let (mut claims, mut limits) = (Vec::new(), Vec::new());
    for ((class, model), covered) in models {
        let share = |values: &[f64]| Unit::Share.show_range(values);
        let least = covered.load.iter().copied().fold(f64::INFINITY, f64::min);
        let tokens: Vec<String> = covered.tokens.iter().map(u64::to_string).collect();
        let conclusion = if least >= WHOLE {
            "loading alone covers the model in every one of them"
        } else if covered.whole.iter().copied().fold(f64::INFINITY, f64::min) >= WHOLE {
            "loading alone does not cover the model; the rest arrived in other phases"
        } else {
            "the model is not wholly covered in all of them"
        };
        let generation = if covered.generation.is_empty() {
            "nothing is known of the generation alone".to_owned()
        } else {
            format!("the generation read {}", share(&covered.generation))
        };
        claims.push(format!(
            "{model}, {}: in {} runs with {} tokens the load read {} of the model's bytes at least once, and {generation}: {conclusion}.",
            class.title(),
            covered.runs,
            if tokens.is_empty() { "unknown".to_owned() } else { tokens.join(", ") },
            share(&covered.load),
        ));
        if covered.tokens.len() < 2 {
            limits.push(format!(
                "{model}, {}: one token count only; whether the coverage depends on it is not shown.",
                class.title()
            ));
        }
        if covered.warm_starts > 0 {
            limits.push(format!(
                "{model}, {}: {} runs began with a part of the model in the page cache, which lowers their coverage.",
                class.title(),
                covered.warm_starts
            ));
        }
    }
    (claims, limits)
}

/// Models without runs of a token count, unpressed.
fn missing(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Vec<Missing> {
    let mut have: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for run in &experiment.runs {
        if let Some(model) = run.cell.get("model") {
            have.entry(model).or_default();
        }
    }
    for run in groups.iter().flat_map(Group::sound) {
        if run.run.pressure == PlannedPressure::None
            && load_coverage(run).is_some()
            && let Some(model) = run.run.cell.get("model")
        {
            have.entry(model).or_default().extend(run.tokens());
        }
    }
    // Models that lack the same counts share a plan.
    let mut plans: BTreeMap<Vec<u64>, Vec<String>> = BTreeMap::new();
    for (model, tokens) in have {
        let lacking: Vec<u64> = TOKENS
            .into_iter()
            .filter(|count| !tokens.contains(count))
            .collect();
        if !lacking.is_empty() {
            plans.entry(lacking).or_default().push(model.to_owned());
        }
    }
    if plans.is_empty() && experiment.runs.is_empty() {
        return vec![Missing {
            why: "runs at all".into(),
            template: "coverage",
            repetitions: 3,
            axes: Vec::new(),
        }];
    }
    plans
        .into_iter()
        .map(|(tokens, models)| {
            let tokens: Vec<String> = tokens.iter().map(u64::to_string).collect();
            Missing {
                why: format!(
                    "sound runs without pressure of {} with {} tokens",
                    models.join(", "),
                    tokens.join(", ")
                ),
                template: "coverage",
                repetitions: 3,
                axes: vec![
                    ("model".into(), models),
                    ("pressure".into(), vec!["none".into()]),
                    ("tokens".into(), tokens),
                ],
            }
        })
        .collect()
}
