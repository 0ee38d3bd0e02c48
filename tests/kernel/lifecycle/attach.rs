//! Tracing a process that runs already, and leaving it as it was.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::LoopDisk,
    environment::page_bytes,
    model_file::ModelFile,
    reader::{ReadMode, ReaderReport, RunningProgram},
    run_record::RunRecord,
    tracer::TracerCall,
};

use super::{FAILED, LIMIT, MODEL_BYTES, check_said, check_untouched, direct_reader, plan};
use crate::{
    ground::{Ground, check_content, check_figures, check_no_violation, check_sound},
    processes::holds_open,
    shapes,
};

/// A reader that runs, has its file open, and waits for a line.
fn waiting_reader(ground: &Ground, file: &ModelFile, options: &[&str]) -> Result<RunningProgram> {
    let reader = options.iter().fold(
        direct_reader(ground, file)?.option("--start-on-line"),
        |reader, option| reader.option(option),
    );
    let program = ground.start_reader(&reader)?;
    program.wait_until("it has the model open", LIMIT, |program| {
        holds_open(program.process_id(), file.path())
    })?;
    Ok(program)
}

/// Attaches, and waits until the tracer says that it traces.
fn attached(call: TracerCall<'_>) -> Result<(RunningProgram, PathBuf)> {
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    Ok((tracer, directory))
}

pub(super) fn attach_for_a_time(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut program = waiting_reader(ground, file, &["--hold", "30"])?;
    let (tracer, directory) = attached(
        TracerCall::attach(&ground.scratch, program.process_id())?
            .option("--model", file.path())
            .option("--duration", "3s"),
    )?;
    program.send_line("go")?;
    let finished = tracer.finish(LIMIT)?;
    check_said(&finished, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    // Left as it was: it runs, nobody traces or stops it.
    ensure!(program.is_running()?, "the process ended with the tracer");
    let status = fs::read_to_string(format!("/proc/{}/status", program.process_id()))
        .context("read its status")?;
    ensure!(
        status.contains("TracerPid:\t0") && status.contains("State:\tS"),
        "the process is not as it was:\n{status}"
    );
    check_content(
        &ReaderReport::find_in(&program.output_so_far())?,
        file,
        &plan(),
    )
}

pub(super) fn attach_to_the_end(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut program = waiting_reader(ground, file, &[])?;
    let (tracer, directory) = attached(
        TracerCall::attach(&ground.scratch, program.process_id())?.option("--model", file.path()),
    )?;
    program.send_line("go")?;
    program.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)
}

pub(super) fn attach_until_interrupt(
    ground: &Ground,
    _: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let mark = ground.scratch.fresh_path("first-round");
    let mut program = waiting_reader(
        ground,
        file,
        &[
            "--until-input-closes",
            "--mark-round",
            &mark.to_string_lossy(),
        ],
    )?;
    let (tracer, directory) = attached(
        TracerCall::attach(&ground.scratch, program.process_id())?.option("--model", file.path()),
    )?;
    program.send_line("go")?;
    program.wait_until("it has read", LIMIT, |_| mark.exists())?;
    tracer.signal(Signal::SIGINT)?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    ensure!(program.is_running()?, "the process ended with the tracer");
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.flag("partial")?,
        "the record does not call itself partial"
    );
    ensure!(
        record.count("reads.unique_bytes")? == MODEL_BYTES,
        "{}",
        record.value("reads")?
    );
    check_no_violation(&record)?;
    let finished = program.finish(LIMIT)?;
    finished.succeeded()?;
    Ok(())
}

pub(super) fn attach_finds_the_model(
    ground: &Ground,
    disk: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let mut program = waiting_reader(ground, file, &[])?;
    let (tracer, directory) = attached(TracerCall::attach(&ground.scratch, program.process_id())?)?;
    program.send_line("go")?;
    program.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    let path = record.text("model.path")?;
    ensure!(path == file.path().to_string_lossy(), "the model is {path}");
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )
}

pub(super) fn attach_without_model_files(
    ground: &Ground,
    _: &LoopDisk,
    _: &ModelFile,
) -> Result<()> {
    let mut command = Command::new("/bin/sleep");
    command.arg("60");
    let program = RunningProgram::start(&ground.scratch, command)?;
    let run = TracerCall::attach(&ground.scratch, program.process_id())?.run()?;
    check_said(&run.finished, FAILED, &["no model file", "--model"])?;
    check_untouched(&run.directory)
}

pub(super) fn attach_to_nobody(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut command = Command::new("/bin/true");
    command.arg("x");
    let program = RunningProgram::start(&ground.scratch, command)?;
    let process_id = program.process_id();
    program.finish(LIMIT)?;
    let run = TracerCall::attach(&ground.scratch, process_id)?
        .option("--model", file.path())
        .run()?;
    check_said(&run.finished, FAILED, &[&process_id.to_string()])?;
    check_untouched(&run.directory)
}

/// A process sees another file under the model's path than everybody else: the one that it reads is traced.
pub(super) fn attach_in_other_mounts(
    ground: &Ground,
    disk: &LoopDisk,
    file: &ModelFile,
) -> Result<()> {
    let own = ModelFile::contiguous(disk, "own.gguf", 2 * MODEL_BYTES)?;
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(r#"mount --bind "$1" "$2" && exec 3<"$2" && read -r line && cat <&3 >/dev/null && read -r line"#)
        .arg("sh")
        .args([own.path(), file.path()]);
    let mut program = RunningProgram::start(&ground.scratch, command)?;
    program.wait_until("it has its model open", LIMIT, |program| {
        fs::read_link(format!("/proc/{}/fd/3", program.process_id())).is_ok()
    })?;
    let (tracer, directory) = attached(TracerCall::attach(&ground.scratch, program.process_id())?)?;
    program.send_line("go")?;
    program.wait_until("it has read", LIMIT, |_| {
        tests::model_file::resident_pages(own.path())
            .is_ok_and(|pages| pages * page_bytes() >= 2 * MODEL_BYTES)
    })?;
    program.send_line("end")?;
    program.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    let inode = record.count("model.files.0.inode")?;
    ensure!(
        inode == own.inode()?,
        "inode {inode} was traced, and {} was read",
        own.inode()?
    );
    ensure!(
        record.count("reads.unique_bytes")? == 2 * MODEL_BYTES,
        "{}",
        record.value("reads")?
    );
    check_no_violation(&record)
}
