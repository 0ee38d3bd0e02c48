//! What is refused, before anything is run.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{disk::LoopDisk, model_file::ModelFile};

use super::{Experiment, FAILED, INTERRUPTED, LIMIT, WRONG, check_said};
use crate::ground::Ground;

const SLEEPING: &str = r#"
name = "sleeping"
repetitions = 1
time_limit = "2m"
[engine]
adapter = "command"
command = ["sh", "-c", "echo at work; exec sleep {time}"]
[axes]
model = ["model.gguf"]
time = [100]
"#;

pub(super) fn two_at_once(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let experiment = Experiment::new(ground, disk, SLEEPING)?;
    let session = experiment.run()?.start()?;
    experiment.wait_until_in_run(&session, 0)?;
    let holder = format!("process {} is at work", session.process_id());
    let second = experiment.resume()?.run()?.finished;
    check_said(&second, FAILED, &[&holder])?;
    // A folder that holds an experiment is no place for another one.
    let third = experiment.run()?.run()?.finished;
    check_said(&third, FAILED, &["holds an experiment already", "resume"])?;
    ensure!(session.is_running()?, "the first session was disturbed");
    session.signal(Signal::SIGINT)?;
    check_said(&session.ended(LIMIT)?, INTERRUPTED, &[])
}

/// All mistakes at once, with their lines; nothing is made. What is right is printed by a dry run, which makes nothing either.
pub(super) fn wrong_plan(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    for (plan, words) in [
        (
            SLEEPING.replace("name =", "nane ="),
            vec!["2:1: \"nane\" is no key"],
        ),
        (
            SLEEPING
                .replace("{time}", "{tine}")
                .replace("\"2m\"", "\"soon\""),
            vec!["4:14: ", "{tine}", "`time` changes nothing"],
        ),
        (
            SLEEPING
                .replace("\"sh\"", "\"there-is-no-engine\"")
                .replace(
                    "[\"model.gguf\"]",
                    "[\"model.gguf\", \"none.gguf\"]\npressure = [\"lock=900T\"]",
                )
                .replace("{time}", "{time} {model}"),
            vec!["there-is-no-engine", "none.gguf", "lock=900T"],
        ),
    ] {
        let experiment = Experiment::new(ground, disk, &plan)?;
        check_said(&experiment.run()?.run()?.finished, WRONG, &words)?;
        check_said(
            &experiment.run()?.flag("--dry-run").run()?.finished,
            WRONG,
            &words,
        )?;
        ensure!(!experiment.out.exists(), "something was made");
    }
    let plan = SLEEPING.replace("[100]", "[100, 200]");
    let experiment = Experiment::new(ground, disk, &plan)?;
    let dry = experiment.run()?.flag("--dry-run").run()?.finished;
    let said = dry.succeeded()?;
    ensure!(
        said.contains("time 100") && said.contains("time 200") && said.contains("2 runs, about"),
        "{said}"
    );
    ensure!(said.contains("at most 4m (the time limit)"), "{said}");
    ensure!(!experiment.out.exists(), "something was made");
    Ok(())
}

pub(super) fn changed_model(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    let model = ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let plan = SLEEPING
        .replace("[100]", "[0]")
        .replace("repetitions = 1", "repetitions = 2\ncool_down = \"1h\"");
    let experiment = Experiment::new(ground, disk, &plan)?;
    let session = experiment.run()?.start()?;
    session.wait_until("one run is made", LIMIT, |_| experiment.made() == 1)?;
    session.signal(Signal::SIGINT)?;
    check_said(&session.ended(LIMIT)?, INTERRUPTED, &[])?;
    let time = model.path().metadata()?.modified()?;
    let mut content = fs::read(model.path()).context("read the model")?;
    if let Some(last) = content.last_mut() {
        *last ^= 1;
    }
    fs::write(model.path(), &content).context("change the model")?;
    // Even where size and time say that nothing was changed.
    fs::File::options()
        .write(true)
        .open(model.path())?
        .set_modified(time)?;
    let refused = experiment.resume()?.run()?.finished;
    check_said(
        &refused,
        FAILED,
        &["model.gguf has changed since the experiment began"],
    )?;
    ensure!(experiment.made() == 1, "{:?}", experiment.folders()?);

    // The plan's own copy, likewise.
    if let Some(last) = content.last_mut() {
        *last ^= 1;
    }
    fs::write(model.path(), &content).context("change the model back")?;
    fs::File::options()
        .write(true)
        .open(model.path())?
        .set_modified(time)?;
    let copy = experiment.out.join("plan.toml");
    fs::write(&copy, plan.replace("\"1h\"", "\"0s\"")).context("change the plan")?;
    check_said(
        &experiment.resume()?.run()?.finished,
        FAILED,
        &["is not the plan that the experiment began with"],
    )?;
    fs::write(&copy, &plan).context("change the plan back")?;
    // Another kernel: refused, unless it is accepted, and then noted.
    let manifest = experiment.out.join("manifest.json");
    let text = fs::read_to_string(&manifest).context("read the manifest")?;
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("ask for the kernel")?;
    let other = text.replace(&format!("\"{}\"", release.trim()), "\"5.0-other\"");
    ensure!(other != text, "{text}");
    fs::write(&manifest, other).context("change the kernel")?;
    check_said(
        &experiment.resume()?.run()?.finished,
        FAILED,
        &["the kernel was 5.0-other", "--accept-changes"],
    )?;
    let session = experiment
        .resume()?
        .flag("--accept-changes")
        .run()?
        .finished;
    check_said(&session, 0, &["2 of 2 runs finished"])?;
    let report = fs::read_to_string(experiment.out.join("report.md")).context("read report.md")?;
    ensure!(report.contains("the kernel was 5.0-other"), "{report}");
    experiment.check_complete(1, 2)
}
