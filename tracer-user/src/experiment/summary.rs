//! The record of an experiment, put together from its folder.

use std::path::Path;

use crate::{
    process::Caller,
    schema::{EXPERIMENT_SCHEMA_VERSION, ExperimentRecord, ExperimentRunRecord, TunePlanRecord},
};

use super::{
    cells::PlannedRun,
    disk::{folder::ExperimentFolder, manifest::Manifest},
    plan::Plan,
};

/// Reads an experiment whole: every planned run, with its record where it has one.
///
/// # Errors
/// No experiment is there, or something in it was changed.
pub fn load(directory: &Path) -> anyhow::Result<ExperimentRecord> {
    let folder = ExperimentFolder::open(directory, Caller::of_this_process()?)?;
    let (plan, manifest) = folder.read()?;
    let mut experiment = planned(&plan, &manifest);
    for (run, made) in manifest.runs.iter().zip(&mut experiment.runs) {
        if let Some(outcome) = folder.outcome(run, &manifest.plan_digest)? {
            *made = ExperimentRunRecord {
                record: folder.run_record(run)?,
                ..outcome.run
            };
        }
    }
    Ok(experiment)
}

/// The record before any run was made.
#[must_use]
pub fn planned(plan: &Plan, manifest: &Manifest) -> ExperimentRecord {
    let mut axes = plan.axis_records();
    // A search for a threshold has looked at more than its plan says.
    for axis in &mut axes {
        for run in &manifest.runs {
            if let Some(value) = run.cell.get(&axis.name)
                && !axis.values.contains(value)
            {
                axis.values.push(value.clone());
            }
        }
    }
    ExperimentRecord {
        schema_version: EXPERIMENT_SCHEMA_VERSION,
        name: plan.name.clone(),
        kind: plan.kind.name().to_owned(),
        plan_digest: manifest.plan_digest.clone(),
        seed: plan.seed,
        order: plan.order.name().to_owned(),
        axes,
        runs: manifest.runs.iter().map(PlannedRun::record).collect(),
        notes: manifest.accepted_changes.clone(),
        tune: plan.tune.as_ref().map(|tune| TunePlanRecord {
            goal: tune.goal,
            budget_s: tune.budget.as_secs_f64(),
            read_ahead_now_kb: tune.read_ahead_now.map(|bytes| bytes >> 10),
            pin_budget_bytes: tune.pin_budget,
        }),
    }
}

/// The same without the records of the runs, which lie in their own files.
#[must_use]
pub fn without_records(experiment: &ExperimentRecord) -> ExperimentRecord {
    ExperimentRecord {
        runs: experiment
            .runs
            .iter()
            .map(|run| ExperimentRunRecord {
                number: run.number,
                directory: run.directory.clone(),
                block: run.block,
                cell: run.cell.clone(),
                pressure: run.pressure,
                outcome: run.outcome,
                failure: run.failure.clone(),
                work: run.work.clone(),
                record: None,
            })
            .collect(),
        schema_version: experiment.schema_version,
        name: experiment.name.clone(),
        kind: experiment.kind.clone(),
        plan_digest: experiment.plan_digest.clone(),
        seed: experiment.seed,
        order: experiment.order.clone(),
        axes: experiment.axes.clone(),
        notes: experiment.notes.clone(),
        tune: experiment.tune,
    }
}
