//! How the engine ends, and how the tracer then does: its status, a signal to either.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::LoopDisk,
    model_file::ModelFile,
    reader::{ReadMode, ReaderReport, RunningProgram},
    run_record::RunRecord,
    tracer::TracerCall,
};

use super::{LIMIT, MODEL_BYTES, check_said, check_untouched, direct_reader, plan};
use crate::{
    ground::{Ground, check_content, check_figures, check_no_violation, check_sound},
    shapes,
};

pub(super) fn status_of_the_command(
    ground: &Ground,
    disk: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let reader = direct_reader(ground, file)?.option_with("--exit-with", 7);
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&reader)
        .run()?;
    check_said(&run.finished, 7, &[])?;
    let record = run.record()?;
    ensure!(
        record.count("exit.code")? == 7,
        "exit.code is {}",
        record.value("exit.code")?
    );
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    // The engine's own output is passed through, and kept.
    let report = ReaderReport::find_in(&run.finished.output)?;
    check_content(&report, file, &plan())?;
    let mut kept = 0;
    for entry in fs::read_dir(&run.directory).context("list the run's folder")? {
        let text =
            fs::read_to_string(entry.context("list the run's folder")?.path()).unwrap_or_default();
        kept += u32::from(ReaderReport::find_in(&text).is_ok_and(|kept| kept == report));
    }
    ensure!(
        kept == 1,
        "the engine's output is in {kept} files of the run"
    );
    Ok(())
}

pub(super) fn command_killed_by_a_signal(
    ground: &Ground,
    _: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine(Path::new("/bin/sh"), &["-c", "kill -9 $$"])
        .run()?;
    check_said(&run.finished, 128 + 9, &[])?;
    let record = run.record()?;
    ensure!(
        record.is_null("exit.code")?,
        "exit.code is {}",
        record.value("exit.code")?
    );
    ensure!(
        record.count("exit.signal")? == 9,
        "exit.signal is {}",
        record.value("exit.signal")?
    );
    ensure!(
        record.count("reads.count")? == 0,
        "{} reads",
        record.count("reads.count")?
    );
    Ok(())
}

pub(super) fn command_that_does_not_exist(
    ground: &Ground,
    _: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine(Path::new("/there/is/no/engine"), &["x"])
        .run()?;
    check_said(&run.finished, 127, &["/there/is/no/engine"])?;
    check_untouched(&run.directory)
}

pub(super) fn command_that_cannot_be_run(
    ground: &Ground,
    _: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let program = ground.scratch.fresh_path("no-program");
    fs::write(&program, "not executable").context("write a file")?;
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine(&program, &["x"])
        .run()?;
    check_said(&run.finished, 126, &[&program.to_string_lossy()])?;
    check_untouched(&run.directory)
}

/// Starts a traced reader that reads until it is stopped, and waits until it has read the whole file.
fn start_endless(ground: &Ground, file: &ModelFile) -> Result<(RunningProgram, PathBuf)> {
    let mark = ground.scratch.fresh_path("first-round");
    let reader = direct_reader(ground, file)?
        .option("--until-input-closes")
        .option_with("--mark-round", mark.display());
    let call = TracerCall::launch(&ground.scratch, file.path())?.reader(&reader);
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("the reader has read", LIMIT, |_| mark.exists())?;
    Ok((tracer, directory))
}

pub(super) fn stopped_by(
    ground: &Ground,
    _: &LoopDisk,
    file: &ModelFile,
    signal: Signal,
) -> Result<()> {
    let (tracer, directory) = start_endless(ground, file)?;
    tracer.signal(signal)?;
    // The reader has the tracer's input: closed, it would end by itself.
    let finished = tracer.ended(LIMIT)?;
    check_said(&finished, 128 + signal as i32, &[])?;
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.flag("partial")?,
        "the record does not call itself partial"
    );
    let reason = record.text("partial_reason")?;
    ensure!(reason.contains(signal.as_str()), "the reason is {reason:?}");
    ensure!(
        record.count("reads.unique_bytes")? == MODEL_BYTES,
        "{}",
        record.value("reads")?
    );
    check_no_violation(&record)?;
    let report = fs::read_to_string(directory.join("report.md")).context("read report.md")?;
    ensure!(
        report.to_lowercase().contains("partial"),
        "report.md does not say that it is partial:\n{report}"
    );
    Ok(())
}

/// Killed, it can clean up nothing itself: the kernel must.
pub(super) fn killed_tracer(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let (tracer, directory) = start_endless(ground, file)?;
    tracer.signal(Signal::SIGKILL)?;
    tracer.ended(LIMIT)?;
    ensure!(
        !directory.join("run.json").exists(),
        "a killed tracer wrote a record"
    );
    Ok(())
}
