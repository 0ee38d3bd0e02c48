//! The place for what a run leaves: full, full for a time, gone.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{
    disk::Mount,
    plan::ReadPlan,
    reader::{Finished, ReadMode, ReaderReport, RunningProgram},
    run_record::RunRecord,
    tracer::{self, TracerCall},
};

use super::{FAILED, LIMIT, MODEL_BYTES, Scene};
use crate::{ground::check_no_violation, lifecycle::check_said};

/// The tracer leaves 256 MiB free for the record: a recording begins where there is more.
const PLACE_MIB: u64 = 320;

/// An engine that reads on and on under a tracer that records into this folder.
fn recording_into(scene: &Scene<'_>, directory: PathBuf) -> Result<RunningProgram> {
    let mark = scene.ground.scratch.fresh_path("first-round");
    let plan = ReadPlan::random(MODEL_BYTES, 4096, 2000, 11);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option("--until-input-closes")
        .option_with("--mark-round", mark.display());
    let mut command = Command::new(tracer::binary()?);
    command.arg("launch");
    let tracer = TracerCall::of_copy(&scene.ground.scratch, command, directory)
        .flag("--record")
        .option("--model", scene.file.path())
        .reader(&reader)
        .start()?;
    tracer.wait_until("the engine reads", LIMIT, |_| mark.exists())?;
    Ok(tracer)
}

/// Takes every byte that is left.
fn fill(path: &Path) -> Result<()> {
    let mut file = File::create(path).context("make a file")?;
    let block = vec![0; 1 << 16];
    // As long as it takes: the recorder frees nothing, but may be about to write.
    for length in [1 << 16, 4096, 512, 1] {
        loop {
            match file.write_all(&block[..length]) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => bail!("fill the disk: {error}"),
            }
        }
    }
    Ok(())
}

/// The engine has read what it would have read.
fn check_engine(finished: &Finished) -> Result<()> {
    let report = ReaderReport::find_in(&finished.output)?;
    ensure!(report.bytes > 0, "the engine read nothing: {report:?}");
    Ok(())
}

/// To the end: the engine is not disturbed, and that there is no record is an error.
pub(super) fn disk_full(scene: &Scene<'_>) -> Result<()> {
    let place = Mount::tmpfs_of(&scene.ground.scratch, PLACE_MIB)?;
    let directory = place.mount_point().join("run");
    let tracer = recording_into(scene, directory.clone())?;
    fill(&place.mount_point().join("filler"))?;
    thread::sleep(Duration::from_secs(1));
    ensure!(
        tracer.is_running()?,
        "the tracer ended with the disk's room"
    );
    let finished = tracer.finish(LIMIT)?;
    check_engine(&finished)?;
    check_said(
        &finished,
        FAILED,
        &["No space left", &directory.to_string_lossy()],
    )?;
    ensure!(
        !directory.join("run.json").exists(),
        "there is a record, on a full disk"
    );
    Ok(())
}

/// What was not recorded meanwhile is missing, and the record says so; its figures are whole.
pub(super) fn disk_full_for_a_time(scene: &Scene<'_>) -> Result<()> {
    let place = Mount::tmpfs_of(&scene.ground.scratch, PLACE_MIB)?;
    let directory = place.mount_point().join("run");
    let filler = place.mount_point().join("filler");
    let tracer = recording_into(scene, directory.clone())?;
    fill(&filler)?;
    // Longer than a segment is open, at whose end it is written.
    thread::sleep(Duration::from_secs(7));
    fs::remove_file(&filler).context("free the disk")?;
    let finished = tracer.finish(LIMIT)?;
    check_engine(&finished)?;
    check_said(&finished, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    let notes = record.value("notes")?.to_string();
    ensure!(
        notes.contains("the recording is not whole")
            && (notes.contains("No space left") || notes.contains("256 MiB are free")),
        "nothing says that events are missing: {notes}"
    );
    let validated = Command::new(tracer::binary()?)
        .arg("validate")
        .arg(&directory)
        .output()
        .context("run validate")?;
    ensure!(
        validated.status.code() == Some(1),
        "validate ends with {:?}: {}",
        validated.status,
        String::from_utf8_lossy(&validated.stdout)
    );
    Ok(())
}

/// There was too little room from the start: nothing is recorded, and the record says why.
pub(super) fn too_little_room(scene: &Scene<'_>) -> Result<()> {
    let place = Mount::tmpfs(&scene.ground.scratch)?;
    let directory = place.mount_point().join("run");
    let finished = recording_into(scene, directory.clone())?.finish(LIMIT)?;
    check_engine(&finished)?;
    check_said(&finished, 0, &["nothing is recorded"])?;
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    let notes = record.value("notes")?.to_string();
    ensure!(
        record.is_null("recording")?
            && notes.contains("nothing is recorded")
            && notes.contains("less than 256 MiB are free"),
        "nothing says why there is no recording: {notes}"
    );
    Ok(())
}

/// With all that was in it.
pub(super) fn folder_removed(scene: &Scene<'_>) -> Result<()> {
    let directory = scene.ground.scratch.fresh_path("run");
    let tracer = recording_into(scene, directory.clone())?;
    fs::remove_dir_all(&directory).context("remove the run's folder")?;
    thread::sleep(Duration::from_millis(300));
    ensure!(tracer.is_running()?, "the tracer ended with its folder");
    let finished = tracer.finish(LIMIT)?;
    check_engine(&finished)?;
    check_said(&finished, FAILED, &[&directory.to_string_lossy()])
}
