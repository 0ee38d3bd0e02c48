//! SIGKILL at any moment of an experiment: nothing of the run that it was in is left, and it is gone on with.

use std::{cell::Cell, fs, time::Instant};

use anyhow::{Context as _, Result, ensure};
use tests::{disk::LoopDisk, model_file::ModelFile, surroundings::Surroundings};

use super::{Experiment, check_said};
use crate::{ground::Ground, lifecycle::kill_often};

/// Where nobody says otherwise.
const KILLS: u32 = 8;

/// Two short runs, each with a cgroup and the disk's read-ahead set.
const SHORT: &str = r#"
name = "short"
repetitions = 2
time_limit = "1m"
[engine]
adapter = "command"
command = ["dd", "if={model}", "of=/dev/null", "bs=4096", "status=none"]
[axes]
model = ["model.gguf"]
pressure = ["memory-max=64M"]
read_ahead = ["64K"]
"#;

pub(super) fn killed_at_random(ground: &Ground, disk: &LoopDisk) -> Result<()> {
    ModelFile::contiguous(disk, "model.gguf", 1 << 20)?;
    let read_ahead = disk.read_ahead_kb()?;
    let whole = Experiment::new(ground, disk, SHORT)?;
    let begun = Instant::now();
    check_said(&whole.run()?.run()?.finished, 0, &["2 of 2 runs finished"])?;
    let took = begun.elapsed();
    let before = Surroundings::observe()?;
    let last = Cell::new(None);
    kill_often(KILLS, took, &before, || {
        let experiment = Experiment::new(ground, disk, SHORT)?;
        let session = experiment.run()?.start()?;
        last.set(Some(experiment));
        Ok(session)
    })?;
    // The last one that was killed goes on; killed before it had noted its plan, it is begun anew.
    let last = last.take().context("nothing was killed")?;
    let again = if last.out.join("experiment.json").is_file() {
        last.resume()?
    } else {
        if last.out.exists() {
            fs::remove_dir_all(&last.out).context("remove what was begun")?;
        }
        last.run()?
    };
    check_said(&again.run()?.finished, 0, &["2 of 2 runs finished"])?;
    last.check_complete(1, 2)?;
    let now = disk.read_ahead_kb()?;
    ensure!(
        now == read_ahead,
        "the read-ahead is {now}, and was {read_ahead}"
    );
    Ok(())
}
