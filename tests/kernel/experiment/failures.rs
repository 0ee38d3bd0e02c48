//! Runs that fail: each with its reason and its output, and the others are made.

use std::{collections::BTreeMap, fs};

use anyhow::{Context as _, Result, ensure};
use tests::{disk::LoopDisk, model_file::ModelFile};

use super::{Experiment, SOME_FAILED, check_said, read_json};
use crate::ground::Ground;

const FAILING: &str = r#"
name = "failing"
order = "plan"
repetitions = 1
time_limit = "4s"
[engine]
adapter = "command"
command = ["sh", "-c", "echo 12.5 tok/s; echo said >&2; {do}"]
tokens_per_s = '([\d.]+) tok/s'
[axes]
model = ["model.gguf"]
do = ["true", "exit 7", "kill -9 $$", "sleep 100", "exit 0"]
"#;

pub(super) fn failed_runs(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let experiment = Experiment::new(ground, disk, FAILING)?;
    let finished = experiment.run()?.run()?.finished;
    check_said(
        &finished,
        SOME_FAILED,
        &["2 of 5 runs finished, 3 failed, 0 missing"],
    )?;
    let reasons: BTreeMap<&str, &str> = [
        ("exit 7", "status 7"),
        ("kill -9 $$", "signal 9 (SIGKILL)"),
        ("sleep 100", "the time limit of 4s"),
    ]
    .into();
    for run in experiment.runs()? {
        let done = run["cell"]["do"].as_str().context("no axis")?.to_owned();
        let reason = run["failure"].as_str();
        match reasons.get(done.as_str()) {
            Some(words) => ensure!(
                run["outcome"] == "failed" && reason.is_some_and(|reason| reason.contains(words)),
                "{run:#}"
            ),
            None => ensure!(run["outcome"] == "finished" && reason.is_none(), "{run:#}"),
        }
        let directory = experiment
            .out
            .join(run["directory"].as_str().context("no folder")?);
        let said = |name: &str| fs::read_to_string(directory.join(name)).unwrap_or_default();
        ensure!(
            said("engine.stdout") == "12.5 tok/s\n" && said("engine.stderr") == "said\n",
            "the output of {done} is not kept"
        );
        let record = read_json(&directory.join("run.json"))?;
        ensure!(
            record["engine"]["tokens_per_s"] == 12.5,
            "{:#}",
            record["engine"]
        );
        ensure!(said("report.md").contains("12.5"), "{}", said("report.md"));
    }
    // A failed run is an answer: it is not made again.
    check_said(
        &experiment.resume()?.run()?.finished,
        SOME_FAILED,
        &["2 of 5 runs finished, 3 failed"],
    )
}

pub(super) fn fail_fast(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let experiment = Experiment::new(ground, disk, FAILING)?;
    let finished = experiment.run()?.flag("--fail-fast").run()?.finished;
    check_said(
        &finished,
        SOME_FAILED,
        &["1 of 5 runs finished, 1 failed, 3 missing"],
    )?;
    ensure!(experiment.made() == 2, "{:?}", experiment.folders()?);
    Ok(())
}

pub(super) fn out_of_memory(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let (start, _) = FAILING
        .split_once("do = [")
        .context("the plan's last axis")?;
    let axes = r#"
pressure = ["memory-max=30M"]
do = ["true", "exec python3 -c 'bytearray(100 << 20)'"]
"#;
    let plan = format!("{start}{axes}");
    let experiment = Experiment::new(ground, disk, &plan)?;
    let finished = experiment.run()?.run()?.finished;
    check_said(
        &finished,
        SOME_FAILED,
        &["1 of 2 runs finished, 1 failed", "out of memory"],
    )
}
