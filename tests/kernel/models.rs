//! Models with random weights, for engines.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use tests::{disk::MountedDisk, reader::RunningProgram, tracer};

use crate::ground::Ground;

/// The smallest that the tracer makes.
const EXPERT_MODEL_SIZE: &str = "115M";

/// Makes a model of a mixture of experts on a disk.
pub fn make_expert_model(ground: &Ground, disk: &MountedDisk) -> Result<PathBuf> {
    make_model(ground, disk, "experts.gguf", EXPERT_MODEL_SIZE, &[])
}

/// Makes a model on a disk of which each token uses all.
pub fn make_dense_model(ground: &Ground, disk: &MountedDisk) -> Result<PathBuf> {
    let dense = ["--experts", "1"];
    make_model(ground, disk, "dense.gguf", EXPERT_MODEL_SIZE, &dense)
}

/// Makes a model on a disk; `options` are those of `tracer make-model`.
pub fn make_model(
    ground: &Ground,
    disk: &MountedDisk,
    name: &str,
    size: &str,
    options: &[&str],
) -> Result<PathBuf> {
    let path = disk.mount_point().join(name);
    let mut command = Command::new(tracer::binary()?);
    command
        .arg("make-model")
        .arg(&path)
        .args(["--size", size])
        .args(options);
    let finished =
        RunningProgram::start(&ground.scratch, command)?.finish(Duration::from_secs(300))?;
    finished.succeeded().context("make a model")?;
    Ok(path)
}
