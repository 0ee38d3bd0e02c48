//! 2. Why does the cache delta differ between models?

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    figures::Unit,
    report::experiment::{
        cells::pressure,
        groups::{Group, MemoryClass, Traced},
        tables::memory::{buffers, delta_share, of_model},
    },
    stats::experiment::bootstrap::median,
};

use super::{missing::Missing, question::Answer};

/// Two shares of a model that are no further apart are called close.
const CLOSE: f64 = 0.05;

/// What would stay cached if all repacked weights, and only they, left the page cache: 1 − repacked / size.
fn without_repacked(run: &Traced<'_>) -> Option<f64> {
    Some(1.0 - of_model(run, buffers(run, &["repack"]))?)
}

pub(super) fn answer(groups: &[Group<'_>]) -> Answer {
    let with_delta: Vec<&Group<'_>> = groups
        .iter()
        .filter(|group| !group.figures(delta_share).is_empty())
        .collect();
    let rows = with_delta
        .iter()
        .map(|group| {
            vec![
                group.class.name().to_owned(),
                group.label(),
                group.count(),
                group.show(Unit::Share, delta_share),
                group.show(Unit::Bytes, |run| Some(run.model.cache.delta_bytes? as f64)),
                group.show(Unit::Bytes, |run| {
                    Some(run.model.cache.load_end_bytes? as f64)
                }),
                group.show(Unit::Bytes, |run| buffers(run, &["repack"])),
                group.show(Unit::Share, without_repacked),
                group.show(Unit::Count, |run| Some(run.model.cache.evictions? as f64)),
                group.show(Unit::Bytes, |run| {
                    Some(run.record.process.peak.as_ref()?.anonymous_bytes? as f64)
                }),
            ]
        })
        .collect();
    let claims = claims(&with_delta);
    let mut limits = vec![
        "a delta close to 1 − repacked / size is what dropping exactly the repacked weights would leave; the rows show that the two agree, not that one caused the other. A run with repacking off would show it.".to_owned(),
    ];
    if with_delta
        .iter()
        .all(|group| group.figures(without_repacked).is_empty())
    {
        limits.push("no log named a buffer, so nothing is known of repacking (llama.cpp of 2026 prints sizes with -lv 4).".to_owned());
    }
    Answer {
        question: "Why is the cache delta a small share of one model and all of another?",
        claims,
        limits,
        header: vec![
            "pressure",
            "cell",
            "runs",
            "delta / size",
            "delta",
            "at load end",
            "repacked",
            "1 − repacked / size",
            "evicted pages",
            "RssAnon",
        ],
        rows,
        missing: missing(groups),
    }
}

fn claims(with_delta: &[&Group<'_>]) -> Vec<String> {
    // By pressure and all other axes: the models that ran under the same.
    type Conditions = (MemoryClass, String);
    let mut same: Vec<(Conditions, BTreeMap<&str, &Group<'_>>)> = Vec::new();
    for group in with_delta {
        let key = (
            group.class,
            format!("{} {}", pressure(group.pressure), group.axes),
        );
        let at = same.iter().position(|(known, _)| *known == key);
        let at = at.unwrap_or_else(|| {
            same.push((key, BTreeMap::new()));
            same.len() - 1
        });
        same[at].1.insert(group.model, group);
    }
    let mut claims = Vec::new();
    for ((class, conditions), models) in same.iter().filter(|(_, models)| models.len() > 1) {
        let named: Vec<String> = models
            .iter()
            .map(|(model, group)| format!("{model}: {}", group.show(Unit::Share, delta_share)))
            .collect();
        claims.push(format!(
            "{} ({}), the delta as a share of the model: {}.",
            class.title(),
            conditions.trim(),
            named.join("; ")
        ));
    }
    claims.extend(with_delta.iter().filter_map(|group| repacking(group)));
    claims.extend(with_delta.iter().filter_map(|group| reclaim(group)));
    if same.iter().all(|(_, models)| models.len() < 2) {
        claims.clear();
    }
    claims
}

fn repacking(group: &Group<'_>) -> Option<String> {
    let delta = median(&group.figures(delta_share))?;
    let left = median(&group.figures(without_repacked))?;
    let relation = if (delta - left).abs() <= CLOSE {
        "close to it"
    } else {
        "apart from it"
    };
    Some(format!(
        "{}: 1 − repacked / size is {}, the delta {}: {relation}.",
        group.label(),
        Unit::Share.show(left),
        Unit::Share.show(delta)
    ))
}

fn reclaim(group: &Group<'_>) -> Option<String> {
    let evictions = group.figures(|run| Some(run.model.cache.evictions? as f64));
    (!evictions.is_empty() && evictions.iter().all(|pages| *pages == 0.0)).then(|| {
        format!(
            "{}: no page was evicted in any run, so that its delta owes nothing to reclaim.",
            group.label()
        )
    })
}

/// Conditions under which only some of the models ran.
fn missing(groups: &[Group<'_>]) -> Vec<Missing> {
    let text = |group: &Group<'_>, axis: &str| {
        let run = group.runs.first()?;
        run.run.cell.get(axis).cloned()
    };
    let mut models: BTreeSet<String> = BTreeSet::new();
    // In the order of the groups: from much memory to little.
    let mut pressures: Vec<(String, BTreeSet<String>)> = Vec::new();
    let at = |pressures: &mut Vec<(String, BTreeSet<String>)>, pressure: String| {
        let known = pressures.iter().position(|(known, _)| *known == pressure);
        known.unwrap_or_else(|| {
            pressures.push((pressure, BTreeSet::new()));
            pressures.len() - 1
        })
    };
    for group in groups {
        let (Some(model), Some(pressure)) = (text(group, "model"), text(group, "pressure")) else {
            continue;
        };
        models.insert(model.clone());
        let at = at(&mut pressures, pressure);
        if group.sound().any(|run| delta_share(run).is_some()) {
            pressures[at].1.insert(model);
        }
    }
    if models.len() < 2 {
        return vec![Missing {
            why:
                "runs of at least two models, one that the engine repacks and one that it does not"
                    .into(),
            template: "cache-delta",
            repetitions: 3,
            axes: Vec::new(),
        }];
    }
    at(&mut pressures, "none".to_owned());
    // Pressures that the same models lack share a plan.
    let mut plans: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (pressure, seen) in pressures {
        let lacking: Vec<String> = models.difference(&seen).cloned().collect();
        plans.entry(lacking).or_default().push(pressure);
    }
    plans
        .into_iter()
        .filter_map(|(lacking, pressures)| {
            (!lacking.is_empty()).then(|| Missing {
                why: format!(
                    "runs of {} with pressure {}, which others ran with or which is the base of all",
                    lacking.join(", "),
                    pressures.join(", ")
                ),
                template: "cache-delta",
                repetitions: 3,
                axes: vec![("model".into(), lacking), ("pressure".into(), pressures)],
            })
        })
        .collect()
}
