//! What was planned, on which machine, with which models.

use std::collections::BTreeMap;

use crate::{
    report::document::{Document, Table},
    schema::{ExperimentRecord, MachineRecord},
    units::{bytes, count, observed_count, unobserved},
};

use super::groups::{Traced, traced};

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

/// The only value, or each with the number of its runs; `None` where no run has one.
fn one_or_several(found: impl Iterator<Item = (String, u64)>) -> Option<String> {
    let found = distinct(found);
    Some(match found.as_slice() {
        [] => return None,
        [(only, _)] => only.clone(),
        several => {
            let named: Vec<String> = several
                .iter()
                .map(|(what, runs)| format!("{what} ({} runs)", runs.len()))
                .collect();
            named.join("; ")
        }
    })
}

pub(super) fn setup(document: &mut Document, experiment: &ExperimentRecord) {
    let runs = traced(experiment);
    let mut table = Table::new(["", ""]);
    table.row([
        "plan".to_owned(),
        format!(
            "{} ({}), digest {}",
            experiment.name, experiment.kind, experiment.plan_digest
        ),
    ]);
    table.row([
        "order".to_owned(),
        format!("{}, seed {}", experiment.order, experiment.seed),
    ]);
    for axis in &experiment.axes {
        table.row([format!("axis {}", axis.name), axis.values.join(" | ")]);
    }
    let mut unseen = Vec::new();
    for (name, value) in ground(&runs) {
        match value {
            Some(value) => {
                table.row([name, &value]);
            }
            None => unseen.push(name),
        }
    }
    if !unseen.is_empty() {
        table.row([unobserved(), unseen.join(", ")]);
    }
    document.heading(3, "Setup");
    document.table(table);
    document.table(models(&runs));
    document.table(devices(&runs));
}

/// What the runs stood on: programs, machine, start.
fn ground(runs: &[Traced<'_>]) -> [(&'static str, Option<String>); 10] {
    let over = |pick: &dyn Fn(&Traced<'_>) -> Option<String>| {
        one_or_several(
            runs.iter()
                .filter_map(|run| Some((pick(run)?, run.run.number))),
        )
    };
    let machine =
        |pick: fn(&MachineRecord) -> Option<String>| over(&|run| pick(&run.record.machine));
    [
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
        ("CPUs", machine(|machine| machine.cpus.map(count))),
        (
            "frequency governor",
            machine(|machine| machine.governor.clone()),
        ),
        ("page ageing", machine(|machine| machine.lru.clone())),
        (
            "vm.min_free_kbytes",
            machine(|machine| machine.min_free_kbytes.map(count)),
        ),
        (
            "swap",
            machine(|machine| machine.swap_total_bytes.map(bytes)),
        ),
        ("start", over(&|run| Some(start_of(run)))),
    ]
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

/// Rows that are alike are one, with the number of their runs at its end.
fn counted<const N: usize>(rows: impl Iterator<Item = [String; N]>) -> Vec<Vec<String>> {
    let mut seen: BTreeMap<[String; N], usize> = BTreeMap::new();
    for row in rows {
        *seen.entry(row).or_default() += 1;
    }
    let mut seen: Vec<_> = seen.into_iter().collect();
    seen.sort_by_key(|(_, runs)| std::cmp::Reverse(*runs));
    seen.into_iter()
        .map(|(row, runs)| row.into_iter().chain([runs.to_string()]).collect())
        .collect()
}

fn models(runs: &[Traced<'_>]) -> Table {
    let rows = runs.iter().map(|run| {
        let model = &run.model.model;
        [
            model.path.clone(),
            bytes(model.size_bytes),
            observed_count(model.extents),
            model.architecture.clone().unwrap_or_else(unobserved),
            observed_count(model.layers),
            model.experts.map_or_else(
                || "none named".to_owned(),
                |experts| format!("{} of {}", experts.used, experts.count),
            ),
            model.filesystem.clone(),
        ]
    });
    Table::new([
        "model",
        "size",
        "extents",
        "architecture",
        "layers",
        "experts used",
        "file system",
        "runs",
    ])
    .with_rows(counted(rows))
}

fn devices(runs: &[Traced<'_>]) -> Table {
    let devices = runs.iter().flat_map(|run| &run.record.devices);
    let rows = devices.map(|device| {
        [
            device.name.clone(),
            device.device_model.clone().unwrap_or_else(unobserved),
            device.rotational.map_or_else(unobserved, |rotational| {
                if rotational { "yes" } else { "no" }.to_owned()
            }),
            device.scheduler.clone().unwrap_or_else(unobserved),
            observed_count(device.read_ahead_kb),
            observed_count(device.max_sectors_kb),
        ]
    });
    Table::new([
        "device",
        "calls itself",
        "moving parts",
        "scheduler",
        "read_ahead_kb",
        "max_sectors_kb",
        "runs",
    ])
    .with_rows(counted(rows))
}
