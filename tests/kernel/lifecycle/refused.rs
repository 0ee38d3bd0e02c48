//! What cannot be traced is refused before anything is touched.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{disk::LoopDisk, model_file::ModelFile, tracer::TracerCall};

use super::{FAILED, check_said, check_untouched, direct_reader};
use crate::ground::Ground;

/// The engine must not even start on a model that is none.
fn refused_model(ground: &Ground, model: &Path, words: &[&str]) -> Result<()> {
    let mark = ground.scratch.fresh_path("the-engine-ran");
    let run = TracerCall::launch(&ground.scratch, model)?
        .engine(Path::new("/bin/touch"), &[&mark])
        .run()?;
    let path = model.to_string_lossy();
    check_said(&run.finished, FAILED, &[&[path.as_ref()], words].concat())?;
    ensure!(!mark.exists(), "the engine was started");
    check_untouched(&run.directory)
}

pub(super) fn model_that_does_not_exist(
    ground: &Ground,
    disk: &LoopDisk,
    _: &ModelFile,
) -> Result<()> {
    refused_model(
        ground,
        &disk.mount_point().join("none.gguf"),
        &["does not exist"],
    )
}

pub(super) fn model_that_is_a_directory(
    ground: &Ground,
    disk: &LoopDisk,
    _: &ModelFile,
) -> Result<()> {
    refused_model(ground, disk.mount_point(), &["directory"])
}

pub(super) fn model_that_is_empty(ground: &Ground, disk: &LoopDisk, _: &ModelFile) -> Result<()> {
    let path = disk.mount_point().join("empty.gguf");
    fs::write(&path, "").context("make an empty file")?;
    refused_model(ground, &path, &["empty"])
}

pub(super) fn out_with_a_run_in_it(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let call =
        TracerCall::launch(&ground.scratch, file.path())?.reader(&direct_reader(ground, file)?);
    let directory = call.directory().to_owned();
    fs::create_dir(&directory).context("make the folder")?;
    fs::write(directory.join("run.json"), "kept").context("write a record")?;
    let run = call.run()?;
    check_said(
        &run.finished,
        FAILED,
        &[&directory.to_string_lossy(), "--out"],
    )?;
    let kept = fs::read_to_string(directory.join("run.json")).context("read the record")?;
    ensure!(
        kept == "kept",
        "the record of an earlier run was overwritten"
    );
    Ok(())
}
