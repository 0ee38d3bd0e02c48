//! Stopped in the midst of it, and gone on with.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{disk::LoopDisk, model_file::ModelFile};

use super::{Experiment, FAILED, INTERRUPTED, LIMIT, check_said, small_model};
use crate::ground::Ground;

const MATRIX: &str = r#"
name = "matrix"
seed = 5
repetitions = 3
time_limit = "2m"
[engine]
adapter = "built-in"
[axes]
model = ["mö del.gguf"]
pressure = ["none", "memory-max=100M"]
tokens = [2, 6]
threads = [2]
"#;

/// Which files the whole runs are: a run that is made again is another file.
fn identities(experiment: &Experiment<'_>) -> Result<BTreeMap<String, u64>> {
    let mut identities = BTreeMap::new();
    for name in experiment.folders()? {
        if !name.starts_with('.') {
            let path = experiment.out.join("runs").join(&name).join("outcome.json");
            let metadata = path
                .metadata()
                .with_context(|| format!("look at {}", path.display()))?;
            identities.insert(name, metadata.ino());
        }
    }
    Ok(identities)
}

/// Twice killed in a run, so that it can clean up nothing: what was whole stays as it is, the rest is made once.
pub(super) fn killed_twice(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    small_model(ground, disk)?;
    let experiment = Experiment::new(ground, disk, MATRIX)?;
    let mut whole = BTreeMap::new();
    let mut session = experiment.run()?.start()?;
    for number in [2, 7] {
        experiment.wait_until_in_run(&session, number)?;
        session.signal(Signal::SIGKILL)?;
        session.ended(LIMIT)?;
        let now = identities(&experiment)?;
        ensure!(now.len() == number, "{now:?} are whole, in run {number}");
        ensure!(
            whole
                .iter()
                .all(|(name, inode)| now.get(name) == Some(inode)),
            "{whole:?} became {now:?}"
        );
        whole = now;
        session = experiment.resume()?.start()?;
    }
    check_said(&session.ended(LIMIT)?, 0, &["12 of 12 runs finished"])?;
    let now = identities(&experiment)?;
    ensure!(
        whole
            .iter()
            .all(|(name, inode)| now.get(name) == Some(inode)),
        "{whole:?} became {now:?}"
    );
    experiment.check_complete(4, 3)?;
    // The same work in every run of as many tokens, whatever the memory.
    let mut digests: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in experiment.runs()? {
        let digest = run["work"]["output_digest"].as_str().context("no digest")?;
        ensure!(run["work"]["output_kind"] == "token ids", "{run:#}");
        let tokens = run["cell"]["tokens"].as_str().context("no tokens")?;
        ensure!(
            run["work"]["generated_tokens"] == tokens.parse::<u64>().context("no number")?,
            "{run:#}"
        );
        let of_tokens = digests
            .entry(run["cell"]["tokens"].to_string())
            .or_default();
        of_tokens.push(digest.to_owned());
        of_tokens.dedup();
    }
    ensure!(
        digests.len() == 2 && digests.values().all(|digests| digests.len() == 1),
        "{digests:#?}"
    );
    // Nothing is left to do.
    let again = experiment.resume()?.run()?.finished;
    check_said(&again, 0, &["12 of 12 runs finished"])?;
    ensure!(identities(&experiment)? == now, "a run was made again");
    let listed = experiment
        .call(&["list"], &[&experiment.out])?
        .run()?
        .finished;
    let runs = listed
        .succeeded()?
        .lines()
        .filter(|line| line.contains(" block ") && line.contains(" finished "))
        .count();
    ensure!(runs == 12, "{}", listed.output);
    Ok(())
}

/// An engine that works until it is told otherwise, and then notes that it was.
const PATIENT: &str = r#"
name = "patient"
repetitions = 2
time_limit = "2m"
[engine]
adapter = "command"
command = ["sh", "-c", "if test -e go-on; then exit 0; fi; echo at work; sleep 100"]
[axes]
model = ["model.gguf"]
"#;

pub(super) fn interrupt(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let experiment = Experiment::new(ground, disk, PATIENT)?;
    let session = experiment.run()?.start()?;
    experiment.wait_until_in_run(&session, 0)?;
    session.signal(Signal::SIGINT)?;
    let stopped = session.ended(LIMIT)?;
    check_said(
        &stopped,
        INTERRUPTED,
        &["0 of 2 runs finished, 0 failed, 2 missing", "resume"],
    )?;
    ensure!(
        experiment.folders()?.is_empty(),
        "{:?}",
        experiment.folders()?
    );
    fs::write(disk.mount_point().join("go-on"), "").context("let it go on")?;
    check_said(&experiment.resume()?.run()?.finished, 0, &[])?;
    experiment.check_complete(1, 2)
}

pub(super) fn interrupt_of_a_rest(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    fs::write(disk.mount_point().join("go-on"), "").context("let it go on")?;
    let plan = PATIENT.replace("repetitions = 2", "repetitions = 2\ncool_down = \"1h\"");
    let experiment = Experiment::new(ground, disk, &plan)?;
    let session = experiment.run()?.start()?;
    session.wait_until("one run is made", LIMIT, |_| {
        experiment.out.join("experiment.json").is_file() && experiment.made() == 1
    })?;
    session.signal(Signal::SIGTERM)?;
    check_said(
        &session.ended(Duration::from_secs(20))?,
        INTERRUPTED,
        &["1 of 2 runs finished"],
    )?;
    check_said(&experiment.resume()?.run()?.finished, 0, &[])?;
    experiment.check_complete(1, 2)
}

/// The engine of the second run fills the disk that the experiment lies on.
pub(super) fn full_disk(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    let model = ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let plan = r#"
name = "full"
order = "plan"
repetitions = 1
[engine]
adapter = "command"
command = ["sh", "-c", "if test {fill} = yes && ! test -e go-on; then dd if=/dev/zero of=filler bs=1M status=none; fi"]
[axes]
model = ["model.gguf"]
fill = ["no", "yes", "maybe"]
"#;
    let mut experiment = Experiment::new(ground, disk, plan)?;
    experiment.out = disk.mount_point().join("experiment");
    let stopped = experiment.run()?.run()?.finished;
    check_said(&stopped, FAILED, &["is full", "free some space", "resume"])?;
    ensure!(
        experiment.folders()? == ["0000"],
        "{:?}",
        experiment.folders()?
    );
    fs::remove_file(disk.mount_point().join("filler")).context("free some space")?;
    fs::write(disk.mount_point().join("go-on"), "").context("let it go on")?;
    check_said(&experiment.resume()?.run()?.finished, 0, &[])?;
    drop(model);
    experiment.check_complete(3, 1)
}

/// A search is an experiment like others.
pub(super) fn threshold(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    let model = small_model(ground, disk)?;
    let experiment = Experiment::new(ground, disk, "")?;
    let call = experiment
        .call(
            &[
                "threshold",
                "--built-in",
                "--tokens",
                "2",
                "--threads",
                "2",
                "--pressure",
                "memory-max",
                "--from",
                "80M",
                "--to",
                "200M",
                "--points",
                "2",
                "--cool-down",
                "0s",
            ],
            &[],
        )?
        .option("--model", model.path())
        .option("--out", &experiment.out);
    check_said(&call.run()?.finished, 0, &[])?;
    let record = super::read_json(&experiment.out.join("experiment.json"))?;
    ensure!(record["kind"] == "threshold", "{record:#}");
    experiment.check_complete(2, 5)
}
