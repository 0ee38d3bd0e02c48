//! The model's file and its disk, changed or failing under the tracer. (Another file in the model's place:
//! `which_model::replaced_during_the_run`.)

use std::{fs, os::fd::AsRawFd as _, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, umount2};
use tests::{
    model_file::ModelFile,
    reader::{Finished, RunningProgram},
    run_record::RunRecord,
    tracer::TracerCall,
};

use super::{LIMIT, MODEL_BYTES, Scene, tracing};
use crate::{
    ground::{check_no_violation, sectors_between},
    lifecycle::check_said,
    processes::holds_open,
};

const READ_WHOLE: &str = r#"dd if="$1" of=/dev/null bs=4096 iflag=direct status=none"#;

/// A shell that has the model open, and runs a line of its input each time.
fn shell(scene: &Scene<'_>) -> Result<RunningProgram> {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"exec 3<"$1"; while read -r line; do eval "$line"; done"#,
            "sh",
        ])
        .arg(scene.file.path())
        .arg(scene.ground.scratch.fresh_path("done"));
    let program = RunningProgram::start(&scene.ground.scratch, command)?;
    program.wait_until("it has the model open", LIMIT, |program| {
        holds_open(program.process_id(), scene.file.path())
    })?;
    Ok(program)
}

/// Has it run a line to its end.
fn does(engine: &mut RunningProgram, line: &str) -> Result<()> {
    let said = |engine: &RunningProgram| engine.output_so_far().matches("done").count();
    let before = said(engine);
    engine.send_line(&format!("{line}; echo done"))?;
    engine.wait_until("it has done it", LIMIT, |engine| said(engine) > before)
}

/// The record of the tracer that ended.
fn record(tracer: Finished, directory: &std::path::Path) -> Result<RunRecord> {
    check_said(&tracer, 0, &[])?;
    RunRecord::load(directory)
}

/// What was freed of it is given to another file, whose reads are none of the model's: that cannot be told any more, and a
/// check says so.
pub(super) fn truncated(scene: &Scene<'_>) -> Result<()> {
    let mut engine = shell(scene)?;
    let (tracer, directory) = tracing(scene.attach(engine.process_id())?)?;
    does(&mut engine, READ_WHOLE)?;
    let file = fs::OpenOptions::new()
        .write(true)
        .open(scene.file.path())
        .context("open the model")?;
    file.set_len(MODEL_BYTES / 2).context("cut the model")?;
    drop(file);
    let other = ModelFile::contiguous(&scene.disk, "other", MODEL_BYTES / 2)?;
    does(
        &mut engine,
        &format!(
            "dd if={} of=/dev/null bs=4096 iflag=direct status=none",
            other.path().display()
        ),
    )?;
    engine.finish(LIMIT)?.succeeded()?;
    let record = record(tracer.ended(LIMIT)?, &directory)?;
    let checks = record.checks()?;
    ensure!(
        checks.iter().any(|check| check.holds == Some(false)),
        "no check says that the model changed: {checks:#?}"
    );
    let report = fs::read_to_string(directory.join("report.md")).context("read report.md")?;
    ensure!(
        report.contains("moved or rewritten")
            || report.contains("FAILED")
            || report.contains("does not hold"),
        "the report does not say so:\n{report}"
    );
    Ok(())
}

/// By somebody who does not wait: the engine has closed it, and the tracer goes on.
pub(super) fn unmounted(scene: &Scene<'_>) -> Result<()> {
    let mut engine = shell(scene)?;
    let (tracer, directory) = tracing(
        TracerCall::attach(&scene.ground.scratch, engine.process_id())?
            .option("--model", scene.file.path()),
    )?;
    let before = scene.disk.statistics()?;
    does(&mut engine, READ_WHOLE)?;
    let after = scene.disk.statistics()?;
    does(&mut engine, "exec 3<&-")?;
    umount2(scene.disk.mount_point(), MntFlags::MNT_DETACH).context("unmount the disk")?;
    thread::sleep(Duration::from_millis(500));
    ensure!(tracer.is_running()?, "the tracer ended with the mount");
    engine.finish(LIMIT)?.succeeded()?;
    let record = record(tracer.ended(LIMIT)?, &directory)?;
    let bytes = record.count("reads.total_bytes")?;
    ensure!(
        bytes == MODEL_BYTES && sectors_between(&before, &after) * 512 >= bytes,
        "{bytes} bytes were counted"
    );
    check_no_violation(&record)
}

/// From its middle on the model cannot be read any more: what failed is counted as failed, and has not arrived.
pub(super) fn disk_fails(scene: &Scene<'_>) -> Result<()> {
    let mut engine = shell(scene)?;
    let (tracer, directory) = tracing(scene.attach(engine.process_id())?)?;
    let path = format!("/sys/block/{}/loop/backing_file", scene.disk.name());
    let image = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let start = scene
        .file
        .extents()
        .first()
        .context("the model lies nowhere")?
        .device_offset_bytes;
    // What lies behind the model is empty, and what is written there later is there again.
    fs::OpenOptions::new()
        .write(true)
        .open(image.trim_end())
        .and_then(|image| image.set_len(start + MODEL_BYTES / 2))
        .context("cut the disk's image")?;
    does(
        &mut engine,
        r#"dd if="$1" of=/dev/null bs=4096 iflag=direct status=none conv=noerror 2>&1 | tail -n 0"#,
    )?;
    engine.finish(LIMIT)?.succeeded()?;
    let record = record(tracer.ended(LIMIT)?, &directory)?;
    let (failed, failed_bytes, unique) = (
        record.count("reads.failed")?,
        record.count("reads.failed_bytes")?,
        record.count("reads.unique_bytes")?,
    );
    ensure!(
        failed > 0 && failed_bytes >= MODEL_BYTES / 2 && unique == MODEL_BYTES / 2,
        "{failed} reads of {failed_bytes} bytes failed, and {unique} arrived"
    );
    check_no_violation(&record)
}

/// It is taken away in the midst: its size becomes one sector, as the kernel makes that of a disk that is pulled out zero
/// (`blk_mark_disk_dead`). What is asked for then never gets to the disk, and is in no figure.
pub(super) fn disk_goes(scene: &Scene<'_>) -> Result<()> {
    let mut engine = shell(scene)?;
    let (tracer, directory) = tracing(scene.attach(engine.process_id())?)?;
    let half = MODEL_BYTES / 2;
    let before = scene.disk.statistics()?;
    does(
        &mut engine,
        &format!(
            r#"dd if="$1" of=/dev/null bs=4096 count={} iflag=direct status=none"#,
            half / 4096
        ),
    )?;
    let node = scene.disk.node();
    limit_size(&node, 512).context("make the disk small")?;
    let rest = does(
        &mut engine,
        &format!(
            r#"dd if="$1" of=/dev/null bs=4096 skip={} iflag=direct status=none 2>&1 || echo refused"#,
            half / 4096
        ),
    );
    let after = scene.disk.statistics()?;
    // The file system is left in peace.
    limit_size(&node, 0).context("give the disk its size back")?;
    rest?;
    let said = engine.output_so_far();
    ensure!(said.contains("refused"), "the engine could read on: {said}");
    engine.finish(LIMIT)?.succeeded()?;
    let record = record(tracer.ended(LIMIT)?, &directory)?;
    let (unique, bytes) = (
        record.count("reads.unique_bytes")?,
        record.count("devices.0.read_bytes")?,
    );
    ensure!(
        unique == half && bytes == sectors_between(&before, &after) * 512,
        "{unique} bytes of the model arrived, and {bytes} were read from the disk, {} by its own counter",
        sectors_between(&before, &after) * 512
    );
    check_no_violation(&record)
}

/// Has a loop device show no more than so many bytes of its image; 0: all of them.
fn limit_size(node: &Path, bytes: u64) -> Result<()> {
    // linux/loop.h; `struct loop_info64` is 232 bytes, its fifth number the limit.
    const LOOP_SET_STATUS64: libc::c_ulong = 0x4c04;
    const LOOP_GET_STATUS64: libc::c_ulong = 0x4c05;
    let device = fs::File::open(node).with_context(|| format!("open {}", node.display()))?;
    let mut status = [0_u64; 29];
    let call = |request: libc::c_ulong, status: &mut [u64; 29]| {
        // SAFETY: the buffer is as large as the struct that both calls take.
        let result = unsafe { libc::ioctl(device.as_raw_fd(), request as _, status.as_mut_ptr()) };
        nix::errno::Errno::result(result)
    };
    call(LOOP_GET_STATUS64, &mut status)?;
    status[4] = bytes;
    call(LOOP_SET_STATUS64, &mut status)?;
    Ok(())
}
