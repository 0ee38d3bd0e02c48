//! 3. Where does each model begin to thrash, and does it scale with memory / model size?

use crate::{
    figures::Unit,
    report::experiment::{
        groups::Group,
        tables::memory::resident_bytes,
        threshold_words::{SIZE_HEADER, lines, size_rows},
        thresholds::{ModelThreshold, PressureKind, thresholds},
    },
    schema::ExperimentRecord,
    stats::{
        experiment::threshold::{FEWEST_RUNS, FEWEST_STEPS},
        formulas::ratio,
    },
};

use super::{missing::Missing, question::Answer};

/// A first grid, in eighths of what the model needs: from 10/8 down to 2/8.
const GRID_EIGHTHS: [u64; 9] = [10, 9, 8, 7, 6, 5, 4, 3, 2];

pub(super) fn answer(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Answer {
    let found = thresholds(experiment);
    let decided = found
        .iter()
        .any(|threshold| threshold.verdict.onset.is_ok());
    let verdicts: Vec<String> = found
        .iter()
        .flat_map(|threshold| {
            lines(threshold).into_iter().map(move |line| {
                format!("{} ({}): {line}", threshold.label(), threshold.kind.size())
            })
        })
        .collect();
    // Without any onset the same lines say what is missing, and are no answer.
    let (mut claims, mut limits) = if decided {
        (verdicts, Vec::new())
    } else {
        (Vec::new(), verdicts)
    };
    limits.extend(
        found
            .iter()
            .filter(|threshold| !threshold.left_out.is_empty())
            .map(|threshold| {
                format!(
                    "{}: left out: {}.",
                    threshold.label(),
                    threshold.left_out.join("; ")
                )
            }),
    );
    for kind in [
        PressureKind::LeftFree,
        PressureKind::Locked,
        PressureKind::Cgroup,
    ] {
        let own: Vec<&ModelThreshold> = found.iter().filter(|it| it.kind == kind).collect();
        claims.extend(scaling(&own, "model size", |threshold| {
            threshold.size_bytes
        }));
        claims.extend(scaling(
            &own,
            "RssFile + RssAnon without pressure",
            |threshold| threshold.resident_bytes,
        ));
    }
    let mut models: Vec<&str> = found
        .iter()
        .filter(|threshold| threshold.verdict.onset.is_ok())
        .map(|threshold| threshold.model.as_str())
        .collect();
    models.sort_unstable();
    models.dedup();
    if models.len() == 1 {
        limits.push("one model only: whether the onset scales with its size is not shown.".into());
    }
    let mut header = vec!["model"];
    header.extend(SIZE_HEADER);
    let rows = found.iter().flat_map(|threshold| {
        size_rows(threshold)
            .into_iter()
            .map(move |row| std::iter::once(threshold.label()).chain(row).collect())
    });
    Answer {
        question: "Where is each model's thrashing threshold, and does it scale with memory / model size?",
        claims,
        limits,
        header,
        rows: rows.collect(),
        missing: missing(&found, groups),
    }
}

/// Whether one ratio of onset to `base` fits all models. Each onset is only known to lie in an interval, and so is its
/// ratio: one ratio fits where the intervals have a point in common.
fn scaling(
    thresholds: &[&ModelThreshold],
    name: &str,
    base: impl Fn(&ModelThreshold) -> Option<u64>,
) -> Option<String> {
    let ratios: Vec<(String, &str, f64, f64)> = thresholds
        .iter()
        .filter_map(|threshold| {
            let onset = threshold.verdict.onset.as_ref().ok()?;
            let base = base(threshold)?;
            Some((
                threshold.label(),
                threshold.model.as_str(),
                ratio(onset.unclean_bytes, base)?,
                ratio(onset.size_bytes, base)?,
            ))
        })
        .collect();
    let first = ratios.first()?;
    if ratios.iter().all(|(_, model, ..)| *model == first.1) {
        return None;
    }
    // Above `low`, up to and including `high`.
    let low = ratios.iter().map(|(_, _, low, _)| *low).fold(0.0, f64::max);
    let high = ratios
        .iter()
        .map(|(.., high)| *high)
        .fold(f64::INFINITY, f64::min);
    let each: Vec<String> = ratios
        .iter()
        .map(|(label, _, low, high)| format!("{label}: {low:.3} – {high:.3}"))
        .collect();
    let verdict = if low < high {
        format!("one ratio fits all of them (above {low:.3}, up to {high:.3})")
    } else {
        "no single ratio fits all of them".to_owned()
    };
    Some(format!("Onset / {name}: {}; {verdict}.", each.join("; ")))
}

fn missing(found: &[ModelThreshold], groups: &[Group<'_>]) -> Vec<Missing> {
    if found.is_empty() {
        return first_grids(groups);
    }
    let mut missing = Vec::new();
    for threshold in found {
        // All of the cell but the pressure stays as it is.
        let axes = |pressure: Vec<String>| {
            let kept = threshold.cell.iter();
            let mut axes: Vec<(String, Vec<String>)> = kept
                .map(|(axis, value)| (axis.clone(), vec![value.clone()]))
                .collect();
            axes.push(("pressure".into(), pressure));
            axes
        };
        let mut ask = |why: String, repetitions: usize, sizes: Vec<u64>| {
            let pressure: Option<Vec<String>> =
                sizes.iter().map(|size| threshold.plan(*size)).collect();
            missing.push(Missing {
                why,
                template: "threshold",
                repetitions,
                // No lock gives a size larger than what there is without one.
                axes: pressure.map_or_else(Vec::new, &axes),
            });
        };
        let next = threshold.next().unwrap_or_default();
        let label = threshold.label();
        if let Some(above) = next.above_bytes {
            let needed = threshold.resident_bytes.unwrap_or(0);
            let larger = (above + above / 4).max(needed + needed / 10);
            ask(
                format!("{label}: a size above {}", Unit::Bytes.show(above as f64)),
                FEWEST_RUNS,
                vec![larger],
            );
        }
        if let Some(below) = next.below_bytes {
            ask(
                format!("{label}: a size below {}", Unit::Bytes.show(below as f64)),
                FEWEST_RUNS,
                vec![below - below / 4],
            );
        }
        if !next.refine_bytes.is_empty() {
            ask(
                format!("{label}: sizes between collapse and onset"),
                FEWEST_RUNS,
                next.refine_bytes,
            );
        }
        if let Some(repetitions) = next.repeat.iter().map(|(_, lacking)| *lacking).max() {
            let sizes = next.repeat.iter().map(|(size, _)| *size).collect();
            ask(
                format!("{label}: more runs at sizes with fewer than {FEWEST_RUNS}"),
                repetitions,
                sizes,
            );
        }
        if !next.unjudged_bytes.is_empty() {
            missing.push(Missing {
                why: format!("{label}: runs of at least {FEWEST_STEPS} generation steps (more tokens) whose reads and needs are known"),
                template: "threshold",
                repetitions: FEWEST_RUNS,
                axes: Vec::new(),
            });
        }
        if threshold.resident_bytes.is_none() {
            missing.push(Missing {
                why: format!("{label}: runs without pressure, for RssFile + RssAnon"),
                template: "threshold",
                repetitions: FEWEST_RUNS,
                axes: axes(vec!["none".into()]),
            });
        }
    }
    missing
}

/// A first grid for every model whose need is known.
fn first_grids(groups: &[Group<'_>]) -> Vec<Missing> {
    let mut plans: Vec<Missing> = Vec::new();
    for group in groups {
        let Some(run) = group.runs.first() else {
            continue;
        };
        let Some(model) = run.run.cell.get("model") else {
            continue;
        };
        let planned = |plan: &Missing| {
            plan.axes
                .iter()
                .any(|(_, values)| values.first() == Some(model))
        };
        if plans.iter().any(planned) {
            continue;
        }
        let needed = resident_bytes(run).map_or(run.model.model.size_bytes, |bytes| bytes as u64);
        let sizes = GRID_EIGHTHS.map(|eighths| format!("memory-max={}", needed / 8 * eighths));
        plans.push(Missing {
            why: format!("runs of {} under several sizes of memory", group.model),
            template: "threshold",
            repetitions: FEWEST_RUNS,
            axes: vec![
                ("model".into(), vec![model.clone()]),
                (
                    "pressure".into(),
                    std::iter::once("none".to_owned()).chain(sizes).collect(),
                ),
                ("tokens".into(), vec!["101".into()]),
            ],
        });
    }
    if plans.is_empty() {
        plans.push(Missing {
            why: "runs under several sizes of memory".into(),
            template: "threshold",
            repetitions: FEWEST_RUNS,
            axes: Vec::new(),
        });
    }
    plans
}
