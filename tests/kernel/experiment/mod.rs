//! Experiments: many runs of a plan, stopped in every way, gone on with, and each run there once.

mod failures;
mod killed;
mod refused;
mod server;
mod stopped;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    reader::{Finished, RunningProgram},
    surroundings::Surroundings,
    tracer::{self, TracerCall},
};

use crate::ground::{Case, Ground, case};

const LIMIT: Duration = Duration::from_secs(240);
/// The plan is wrong.
const WRONG: i32 = 2;
/// Some run has failed.
const SOME_FAILED: i32 = 1;
/// The experiment could not go on.
const FAILED: i32 = 125;
/// A signal stopped it.
const INTERRUPTED: i32 = 130;

type Test = fn(&Ground, &LoopDisk) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 13] = [
        ("killed_twice", stopped::killed_twice),
        ("killed_at_random", killed::killed_at_random),
        ("interrupt", stopped::interrupt),
        ("interrupt_of_a_rest", stopped::interrupt_of_a_rest),
        ("full_disk", stopped::full_disk),
        ("failed_runs", failures::failed_runs),
        ("fail_fast", failures::fail_fast),
        ("out_of_memory", failures::out_of_memory),
        ("two_at_once", refused::two_at_once),
        ("wrong_plan", refused::wrong_plan),
        ("changed_model", refused::changed_model),
        ("threshold", stopped::threshold),
        ("llama_server", server::llama_server),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            case(format!("experiment::{name}"), move |ground, _| {
                let disk = ground.disk(FileSystem::Ext4)?;
                let before = Surroundings::observe()?;
                test(ground, &disk)?;
                Surroundings::check_nothing_left_since(&before)
            })
        })
        .collect()
}

/// An experiment with its plan, in a folder with an odd name.
struct Experiment<'ground> {
    ground: &'ground Ground,
    plan: PathBuf,
    out: PathBuf,
}

impl<'ground> Experiment<'ground> {
    /// Writes the plan beside the model.
    fn new(ground: &'ground Ground, disk: &LoopDisk, plan: &str) -> Result<Self> {
        let path = disk.mount_point().join("plan ü.toml");
        fs::write(&path, plan).context("write the plan")?;
        Ok(Self {
            ground,
            plan: path,
            out: ground.scratch.fresh_path("experiment ö"),
        })
    }

    fn call(&self, arguments: &[&str], paths: &[&Path]) -> Result<TracerCall<'ground>> {
        let mut all = vec!["experiment"];
        all.extend(arguments);
        let call = TracerCall::bare(&self.ground.scratch, &all)?;
        Ok(call.adjusted(|command| {
            command.args(paths);
        }))
    }

    fn run(&self) -> Result<TracerCall<'ground>> {
        self.call(&["run"], &[&self.plan, Path::new("--out"), &self.out])
    }

    fn resume(&self) -> Result<TracerCall<'ground>> {
        self.call(&["resume"], &[&self.out])
    }

    /// What the experiment says of its runs.
    fn runs(&self) -> Result<Vec<Value>> {
        let record = read_json(&self.out.join("experiment.json"))?;
        let runs = record.get("runs").and_then(Value::as_array);
        Ok(runs.context("experiment.json has no runs")?.clone())
    }

    /// Every run has finished, is there once, and is whole; every block holds every cell once.
    fn check_complete(&self, cells: usize, blocks: usize) -> Result<()> {
        let runs = self.runs()?;
        ensure!(runs.len() == cells * blocks, "{} runs", runs.len());
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for run in &runs {
            ensure!(run["outcome"] == "finished", "{run:#}");
            let directory = self
                .out
                .join(run["directory"].as_str().context("no folder")?);
            let record = read_json(&directory.join("run.json"))?;
            ensure!(
                record["partial"] == false,
                "{} is partial",
                directory.display()
            );
            ensure!(
                directory.join("engine.stdout").is_file() && directory.join("report.md").is_file(),
                "{} is not whole",
                directory.display()
            );
            *seen
                .entry(format!("{} {}", run["block"], run["cell"]))
                .or_default() += 1;
        }
        ensure!(
            seen.len() == runs.len() && seen.values().all(|count| *count == 1),
            "{seen:#?}"
        );
        let folders = self.folders()?;
        ensure!(folders.len() == runs.len(), "{folders:?}");
        Ok(())
    }

    /// Names of the folders of runs, begun ones too.
    fn folders(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.out.join("runs")).context("list the runs")? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Runs that are whole.
    fn made(&self) -> usize {
        self.folders()
            .unwrap_or_default()
            .iter()
            .filter(|name| !name.starts_with('.'))
            .count()
    }

    /// Waits until so many runs are whole, and the engine of the next one is at work.
    fn wait_until_in_run(&self, session: &RunningProgram, number: usize) -> Result<()> {
        let output = self
            .out
            .join(format!("runs/.{number:04}.partial/engine.stdout"));
        session.wait_until(&format!("run {number} is at work"), LIMIT, |_| {
            output.is_file()
        })
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The smallest model that the built-in engine runs.
fn small_model(ground: &Ground, disk: &LoopDisk) -> Result<ModelFile> {
    let path = disk.mount_point().join("mö del.gguf");
    let mut command = Command::new(tracer::binary()?);
    command
        .arg("make-model")
        .arg(&path)
        .args(["--size", "115M"]);
    let finished = RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)?;
    finished.succeeded().context("make a model")?;
    ModelFile::existing(path)
}

/// It ended with this status and said these things.
fn check_said(finished: &Finished, code: i32, words: &[&str]) -> Result<()> {
    ensure!(
        finished.code() == code,
        "the status is {}, not {code}:\n{}\n{}",
        finished.code(),
        finished.output.trim_end(),
        finished.errors.trim_end()
    );
    for word in words {
        ensure!(
            finished.errors.contains(word),
            "it does not say {word:?}:\n{}",
            finished.errors
        );
    }
    Ok(())
}
