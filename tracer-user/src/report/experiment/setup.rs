//! What was planned, on which machine, with which models.

use std::collections::BTreeMap;

use crate::{
    report::markdown::{escaped, table},
    schema::{ExperimentRecord, RunOutcome},
    units::{bytes, count, observed_count, unobserved},
};

use super::{
    cells::{pressure, short, values, varied},
    groups::{MemoryClass, Traced, traced, unsound},
};

/// One finding, with the runs that have it; those of most runs first.
fn distinct(found: impl Iterator<Item = (String, u64)>) -> Vec<(String, Vec<u64>)> {
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (what, run) in found {
        seen.entry(what).or_default().push(run);
    }
    let mut seen: Vec<_> = seen.into_iter().collect();
    seen.sort_by_key(|(_, runs)| std::cmp::Reverse(runs.len()));
    seen
}

/// The only value, or each with the number of its runs.
fn one_or_several(found: impl Iterator<Item = (String, u64)>) -> String {
    let found = distinct(found);
    match found.as_slice() {
        [] => unobserved(),
        [(only, _)] => only.clone(),
        several => {
            let named: Vec<String> = several
                .iter()
                .map(|(what, runs)| format!("{what} ({} runs)", runs.len()))
                .collect();
            named.join("; ")
        }
    }
}

pub(super) fn setup(text: &mut String, experiment: &ExperimentRecord) {
    text.push_str("## Setup\n\n");
    let runs = traced(experiment);
    let over = |pick: &dyn Fn(&Traced<'_>) -> Option<String>| {
        one_or_several(
            runs.iter()
                .filter_map(|run| Some((pick(run)?, run.run.number))),
        )
    };
    let machine = |pick: &dyn Fn(&crate::schema::MachineRecord) -> Option<String>| {
        over(&|run| pick(&run.record.machine))
    };
    let mut rows: Vec<Vec<String>> = vec![
        vec![
            "plan".into(),
            format!(
                "{} ({}), digest {}",
                experiment.name, experiment.kind, experiment.plan_digest
            ),
        ],
        vec![
            "order".into(),
            format!("{}, seed {}", experiment.order, experiment.seed),
        ],
    ];
    for axis in &experiment.axes {
        rows.push(vec![format!("axis {}", axis.name), axis.values.join(" | ")]);
    }
    for (name, value) in [
        (
            "tracer",
            over(&|run| Some(run.record.tracer_version.clone())),
        ),
        ("kernel", over(&|run| Some(run.record.kernel.clone()))),
        (
            "engine",
            over(&|run| run.run.work.as_ref()?.engine_version.clone()),
        ),
        (
            "memory",
            over(&|run| run.record.memory.total_bytes.map(bytes)),
        ),
        ("CPUs", machine(&|machine| machine.cpus.map(count))),
        (
            "frequency governor",
            machine(&|machine| machine.governor.clone()),
        ),
        ("page ageing", machine(&|machine| machine.lru.clone())),
        (
            "vm.min_free_kbytes",
            machine(&|machine| machine.min_free_kbytes.map(count)),
        ),
        (
            "swap",
            machine(&|machine| machine.swap_total_bytes.map(bytes)),
        ),
        ("start", over(&|run| Some(start_of(run)))),
    ] {
        rows.push(vec![name.into(), value]);
    }
    table(text, &["", ""], &rows);
    models(text, &runs);
    devices(text, &runs);
}

fn start_of(run: &Traced<'_>) -> String {
    match (
        run.record.pressure.dropped_caches,
        run.record.pressure.evicted_model,
    ) {
        (true, _) => "page cache of the machine dropped".to_owned(),
        (false, true) => "model evicted".to_owned(),
        (false, false) => "as it was: nothing was evicted".to_owned(),
    }
}

fn models(text: &mut String, runs: &[Traced<'_>]) {
    let rows = distinct(runs.iter().map(|run| {
        let model = &run.model.model;
        let experts = model.experts.map_or_else(
            || "none named".to_owned(),
            |experts| format!("{} of {}", experts.used, experts.count),
        );
        let cells = [
            model.path.clone(),
            bytes(model.size_bytes),
            observed_count(model.extents),
            model.architecture.clone().unwrap_or_else(unobserved),
            observed_count(model.layers),
            experts,
            model.filesystem.clone(),
        ];
        (cells.join("\u{1f}"), run.run.number)
    }));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(cells, runs)| {
            let cells = cells.split('\u{1f}').map(str::to_owned);
            cells.chain([runs.len().to_string()]).collect()
        })
        .collect();
    text.push_str("### Models\n\n");
    table(
        text,
        &[
            "model",
            "size",
            "extents",
            "architecture",
            "layers",
            "experts used",
            "file system",
            "runs",
        ],
        &rows,
    );
}

fn devices(text: &mut String, runs: &[Traced<'_>]) {
    let rows = distinct(runs.iter().flat_map(|run| {
        run.record.devices.iter().map(|device| {
            let cells = [
                device.name.clone(),
                device.device_model.clone().unwrap_or_else(unobserved),
                device.rotational.map_or_else(unobserved, |rotational| {
                    if rotational { "yes" } else { "no" }.to_owned()
                }),
                device.scheduler.clone().unwrap_or_else(unobserved),
                observed_count(device.read_ahead_kb),
                observed_count(device.max_sectors_kb),
            ];
            (cells.join("\u{1f}"), run.run.number)
        })
    }));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(cells, runs)| {
            let cells = cells.split('\u{1f}').map(str::to_owned);
            cells.chain([runs.len().to_string()]).collect()
        })
        .collect();
    text.push_str("### Devices\n\n");
    table(
        text,
        &[
            "device",
            "calls itself",
            "moving parts",
            "scheduler",
            "read_ahead_kb",
            "max_sectors_kb",
            "runs",
        ],
        &rows,
    );
}

/// How many runs were made, which of them count, and what kinds of experiment these are.
pub(super) fn standing(experiment: &ExperimentRecord) -> Vec<String> {
    let with = |outcome| {
        let runs = experiment.runs.iter();
        runs.filter(|run| run.outcome == outcome).count()
    };
    let mut lines = vec![format!(
        "{} runs planned: {} finished, {} failed, {} not made.",
        experiment.runs.len(),
        with(RunOutcome::Finished),
        with(RunOutcome::Failed),
        with(RunOutcome::Missing)
    )];
    let bare = experiment
        .runs
        .iter()
        .filter(|run| run.outcome == RunOutcome::Finished && run.record.is_none());
    let bare = bare.count();
    if bare > 0 {
        lines.push(format!(
            "{bare} finished runs have no record and are in no table."
        ));
    }
    let unsound = experiment.runs.iter().filter_map(|run| {
        let why = unsound(run.record.as_ref()?)?;
        Some(format!("run {}: {why}", run.number))
    });
    let unsound: Vec<String> = unsound.collect();
    if !unsound.is_empty() {
        lines.push(format!(
            "NOT SOUND, shown among the raw data and in no median: {}.",
            unsound.join("; ")
        ));
    }
    let mut kinds: Vec<MemoryClass> = experiment
        .runs
        .iter()
        .map(|run| MemoryClass::of_pressure(run.pressure))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let named: Vec<&str> = kinds.iter().map(|kind| kind.title()).collect();
    lines.push(format!("Pressure: {}.", named.join("; ")));
    if kinds.contains(&MemoryClass::Balloon) && kinds.contains(&MemoryClass::Cgroup) {
        lines.push(
            "Balloon and cgroup are different experiments (the whole machine is short of memory, or the engine alone is): their runs are never pooled or compared here."
                .to_owned(),
        );
    }
    lines
}

/// Runs that have nothing to show, and why.
pub(super) fn failures(text: &mut String, experiment: &ExperimentRecord) {
    let axes = varied(experiment);
    let rows: Vec<Vec<String>> = experiment
        .runs
        .iter()
        .filter(|run| run.outcome != RunOutcome::Finished || run.record.is_none())
        .map(|run| {
            let (what, why) = match run.outcome {
                RunOutcome::Missing => ("not made", "it has not been made"),
                RunOutcome::Failed => ("failed", "no reason is given"),
                RunOutcome::Finished => ("no record", "its run.json is missing"),
            };
            vec![
                run.number.to_string(),
                run.block.to_string(),
                run.cell
                    .get("model")
                    .map_or_else(String::new, |model| short(model).to_owned()),
                pressure(run.pressure),
                values(&run.cell, &axes),
                what.to_owned(),
                run.failure.clone().unwrap_or_else(|| why.to_owned()),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    text.push_str("## Failed and missing runs\n\n");
    table(
        text,
        &["run", "block", "model", "pressure", "cell", "", "why"],
        &rows,
    );
}

/// Lines as a block quote.
pub(super) fn quoted(text: &mut String, lines: &[String]) {
    for line in lines {
        text.push_str("> ");
        text.push_str(&escaped(line));
        text.push_str("  \n");
    }
    text.push('\n');
}
