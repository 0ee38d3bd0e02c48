//! A session: the runs of an experiment that are missing, one after the other, until all are made or something stops it.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};

use crate::{
    advice,
    output::FolderLock,
    process::{Caller, SignalWatch},
    report,
    run::require_machine,
    schema::{EXPERIMENT_SCHEMA_VERSION, ExperimentRecord, RunOutcome},
};

use super::{
    attempt::rest,
    cells::{PlannedRun, expand},
    disk::{
        folder::{ExperimentFolder, PAGE_FILE, PLAN_FILE, REPORT_FILE, is_full_disk},
        fragmented,
        full::DiskFull,
        listing::totals,
        manifest::{Manifest, Software},
    },
    estimate::{RunTimes, estimate},
    machine_check::{self, RUN_BYTES},
    one_run::{OneRun, now},
    plan::Plan,
    progress::Progress,
    search::{
        threshold,
        tuning::{self, Stage, why_over},
    },
    summary::{load, planned, without_records},
};

/// What a search for the fastest settings has found.
const TUNE_FILE: &str = "tune.json";

/// How a session may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct SessionOptions {
    /// Stop at the first failed run, whatever the plan says.
    pub fail_fast: bool,
    /// Go on with another kernel or another tracer than before.
    pub accept_changes: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// All runs have finished.
    AllFinished,
    /// Some run has failed.
    SomeFailed,
    /// A signal came; what is missing can be made by resuming.
    Interrupted,
}

/// Begins the experiment of a plan's text and makes its runs.
///
/// # Errors
/// [`super::PlanErrors`] where the plan cannot be run; [`DiskFull`]; whatever keeps the session from going on.
pub fn begin(
    plan_text: &str,
    plan_directory: &Path,
    out: &Path,
    options: SessionOptions,
    signals: &SignalWatch,
) -> anyhow::Result<SessionEnd> {
    let plan = Plan::parse(plan_text)?;
    let runs = expand(&plan);
    let caller = Caller::of_this_process()?;
    machine_check::check(&plan, &runs, plan_directory, out, &caller)?;
    require_machine()?;
    let software = Software::current()?;
    let (folder, lock) = ExperimentFolder::create(out, caller)?;
    let begun = || -> anyhow::Result<Manifest> {
        folder.write(PLAN_FILE, plan_text.as_bytes())?;
        let manifest = Manifest {
            schema_version: EXPERIMENT_SCHEMA_VERSION,
            plan_digest: plan.digest(),
            plan_directory: plan_directory.to_owned(),
            began_at: now(),
            software,
            accepted_changes: Vec::new(),
            models: fragmented::prepare(&plan, plan_directory, &folder)?,
            runs,
        };
        folder.write_manifest(&manifest)?;
        Ok(manifest)
    };
    let manifest = begun().map_err(|error| of_full_disk(error, folder.path()))?;
    let experiment = planned(&plan, &manifest);
    Session::new(folder, lock, plan, manifest, experiment, options, signals).conduct()
}

/// Goes on with an experiment: makes what is missing.
///
/// # Errors
/// As of [`begin`]; what has changed since the experiment began.
pub fn resume(
    directory: &Path,
    options: SessionOptions,
    signals: &SignalWatch,
) -> anyhow::Result<SessionEnd> {
    let folder = ExperimentFolder::open(directory, Caller::of_this_process()?)?;
    let lock = folder.lock()?;
    let (plan, mut manifest) = folder.read()?;
    for model in &manifest.models {
        model.verify(true)?;
    }
    accept_or_refuse(&mut manifest, &folder, options)?;
    require_machine()?;
    let experiment = load(folder.path())?;
    Session::new(folder, lock, plan, manifest, experiment, options, signals).conduct()
}

fn accept_or_refuse(
    manifest: &mut Manifest,
    folder: &ExperimentFolder,
    options: SessionOptions,
) -> anyhow::Result<()> {
    let now_is = Software::current()?;
    let changes = manifest.software.changes(&now_is);
    if changes.is_empty() {
        return Ok(());
    }
    if !options.accept_changes {
        bail!(
            "since the experiment began, {}: its runs would not be comparable. Go back to what was, or go on with --accept-changes, which the report then says",
            changes.join("; ")
        );
    }
    let mut next = manifest
        .runs
        .iter()
        .map(|run| run.number)
        .max()
        .map_or(0, |last| last + 1);
    for run in &manifest.runs {
        if folder.outcome(run, &manifest.plan_digest)?.is_none() {
            next = run.number;
            break;
        }
    }
    manifest.accepted_changes.extend(
        changes
            .iter()
            .map(|change| format!("from run {next} on ({}): {change}", now())),
    );
    manifest.software = now_is;
    folder.write_manifest(manifest)
}

fn of_full_disk(error: anyhow::Error, directory: &Path) -> anyhow::Error {
    if is_full_disk(&error) {
        error.context(DiskFull {
            directory: directory.to_owned(),
        })
    } else {
        error
    }
}

struct Session<'a> {
    folder: ExperimentFolder,
    lock: FolderLock,
    plan: Plan,
    manifest: Manifest,
    experiment: ExperimentRecord,
    times: RunTimes,
    fail_fast: bool,
    signals: &'a SignalWatch,
}

/// A run that was made.
struct Made {
    outcome: RunOutcome,
    failure: Option<String>,
    wall: Duration,
    tokens_per_s: Option<f64>,
}

impl<'a> Session<'a> {
    fn new(
        folder: ExperimentFolder,
        lock: FolderLock,
        plan: Plan,
        manifest: Manifest,
        experiment: ExperimentRecord,
        options: SessionOptions,
        signals: &'a SignalWatch,
    ) -> Self {
        Self {
            fail_fast: options.fail_fast || plan.fail_fast,
            folder,
            lock,
            plan,
            manifest,
            experiment,
            times: RunTimes::default(),
            signals,
        }
    }

    fn conduct(mut self) -> anyhow::Result<SessionEnd> {
        let end = self.make_all();
        let directory = self.folder.path().to_owned();
        let end = end.map_err(|error| of_full_disk(error, &directory))?;
        eprintln!(
            "tracer: {}; report.html (charts), report.md, experiment.json and the runs are in {}",
            totals(&self.experiment),
            directory.display()
        );
        if end == SessionEnd::Interrupted {
            eprintln!(
                "tracer: go on with `tracer experiment resume {}`",
                directory.display()
            );
        }
        Ok(end)
    }

    fn make_all(&mut self) -> anyhow::Result<SessionEnd> {
        self.folder.remove_partial_runs()?;
        self.times = earlier_times(&self.folder, &self.manifest)?;
        let mut progress = Progress::new(self.manifest.runs.len(), self.made());
        let mut rested = true;
        loop {
            while let Some(position) = self.next_missing() {
                let pause = if rested {
                    Duration::ZERO
                } else {
                    self.plan.cool_down
                };
                if rest(pause, self.signals)? {
                    return Ok(SessionEnd::Interrupted);
                }
                rested = false;
                let Some(run) = self.manifest.runs.get(position).cloned() else {
                    break;
                };
                progress.begin(
                    &run.directory(),
                    &run.describe(&self.plan.axes),
                    self.time_left(),
                );
                let Some(made) = self.make(position, &run)? else {
                    return Ok(SessionEnd::Interrupted);
                };
                progress.end(
                    &run.directory(),
                    made.wall,
                    made.failure.as_deref(),
                    made.tokens_per_s,
                );
                self.write_summary()?;
                if made.outcome == RunOutcome::Failed && self.fail_fast {
                    progress.say("tracer: stopped at the first failure, as asked for");
                    return Ok(SessionEnd::SomeFailed);
                }
            }
            if !self.extend(&progress)? {
                break;
            }
            progress.extend(self.manifest.runs.len());
        }
        self.write_summary()?;
        let some_failed = self
            .experiment
            .runs
            .iter()
            .any(|run| run.outcome != RunOutcome::Finished);
        Ok(if some_failed {
            SessionEnd::SomeFailed
        } else {
            SessionEnd::AllFinished
        })
    }

    fn made(&self) -> usize {
        self.experiment
            .runs
            .iter()
            .filter(|run| run.outcome != RunOutcome::Missing)
            .count()
    }

    fn next_missing(&self) -> Option<usize> {
        self.experiment
            .runs
            .iter()
            .position(|run| run.outcome == RunOutcome::Missing)
    }

    fn time_left(&self) -> Option<Duration> {
        if self.times.count() == 0 {
            return None;
        }
        let missing: Vec<&PlannedRun> = self
            .manifest
            .runs
            .iter()
            .zip(&self.experiment.runs)
            .filter(|(_, made)| made.outcome == RunOutcome::Missing)
            .map(|(run, _)| run)
            .collect();
        Some(estimate(&self.plan, &missing, &self.times, |_| 0).about)
    }

    /// Adds the next stage of a search. False: there is none.
    fn extend(&mut self, progress: &Progress) -> anyhow::Result<bool> {
        let more = match &self.plan.tune {
            None => threshold::next_stage(&self.plan, &self.manifest, &self.experiment),
            Some(tune) => {
                let (planned, known) = (&self.manifest.runs, &self.experiment);
                match tuning::next_stage(&self.plan, tune, planned, known, &self.times) {
                    Stage::Runs(runs) => runs,
                    Stage::Over(over) => {
                        progress.say(&format!("tracer: {}", why_over(over)));
                        Vec::new()
                    }
                }
            }
        };
        if more.is_empty() {
            return Ok(false);
        }
        self.manifest.runs.extend(more);
        self.folder.write_manifest(&self.manifest)?;
        let planned = planned(&self.plan, &self.manifest);
        self.experiment.axes = planned.axes;
        let known = self.experiment.runs.len();
        self.experiment
            .runs
            .extend(planned.runs.into_iter().skip(known));
        Ok(true)
    }

    fn write_summary(&self) -> anyhow::Result<()> {
        self.folder
            .write_experiment(&without_records(&self.experiment))?;
        if self.plan.tune.is_some() {
            let mut json = serde_json::to_vec_pretty(&advice::tuning(&self.experiment))
                .context("cannot write what was found as JSON")?;
            json.push(b'\n');
            self.folder.write(TUNE_FILE, &json)?;
        }
        let report = report::experiment_markdown(&self.experiment);
        self.folder.write(REPORT_FILE, report.as_bytes())?;
        let page = report::experiment_page(&self.experiment);
        self.folder.write(PAGE_FILE, page.as_bytes())
    }

    /// Makes a run. `None`: a signal came, and nothing of it is kept.
    fn make(&mut self, position: usize, run: &PlannedRun) -> anyhow::Result<Option<Made>> {
        if self
            .folder
            .free_bytes()
            .context("cannot look at the disk")?
            < RUN_BYTES
        {
            return Err(DiskFull {
                directory: self.folder.path().to_owned(),
            }
            .into());
        }
        let made = OneRun {
            folder: &self.folder,
            lock: &self.lock,
            plan: &self.plan,
            manifest: &self.manifest,
            signals: self.signals,
        }
        .make(run);
        if !matches!(made, Ok(Some(_))) {
            // The first error is the one to tell.
            let _ = self.folder.abandon_run(run);
        }
        let Some((outcome, record)) = made? else {
            return Ok(None);
        };
        self.times.add(run, outcome.wall_s);
        let made = Made {
            outcome: outcome.run.outcome,
            failure: outcome.run.failure.clone(),
            wall: Duration::try_from_secs_f64(outcome.wall_s).unwrap_or_default(),
            tokens_per_s: record
                .as_ref()
                .and_then(|record| record.engine.tokens_per_s),
        };
        if let Some(slot) = self.experiment.runs.get_mut(position) {
            *slot = outcome.run;
            slot.record = record;
        }
        Ok(Some(made))
    }
}

/// How long the runs took that were made.
///
/// # Errors
/// A run's folder that holds something else.
pub(super) fn earlier_times(
    folder: &ExperimentFolder,
    manifest: &Manifest,
) -> anyhow::Result<RunTimes> {
    let mut times = RunTimes::default();
    for run in &manifest.runs {
        if let Some(outcome) = folder.outcome(run, &manifest.plan_digest)? {
            times.add(run, outcome.wall_s);
        }
    }
    Ok(times)
}
