//! What may become of an engine while it is traced.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    environment::unavailable,
    plan::ReadPlan,
    reader::{ReadMode, RunningProgram},
    run_record::RunRecord,
    tracer::TracerCall,
};

use super::{LIMIT, MODEL_BYTES, Scene, tracing};
use crate::{
    ground::{check_content, check_figures, check_no_violation, check_sound},
    lifecycle::check_said,
    processes::holds_open,
    shapes,
};

const READ_BYTES: u64 = 4096;

/// In the midst of its reads, some of which are in flight.
pub(super) fn killed(scene: &Scene<'_>) -> Result<()> {
    let plan = ReadPlan::random(MODEL_BYTES, READ_BYTES, 2000, 3);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option_with("--threads", 4);
    let server = scene.endless_reader(&reader)?;
    let detail = if scene.attempt.is_multiple_of(2) {
        "counts"
    } else {
        "events"
    };
    let (tracer, directory) = tracing(
        scene
            .attach(server.process_id())?
            .option("--detail", detail),
    )?;
    thread::sleep(Duration::from_millis(37 * u64::from(scene.attempt + 1)));
    server.signal(Signal::SIGKILL)?;
    server.ended(LIMIT)?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.text("exit.description")?.contains("ended"),
        "{}",
        record.value("exit")?
    );
    ensure!(
        record.count("reads.count")? > 0,
        "{}",
        record.value("reads")?
    );
    check_no_violation(&record)
}

/// For lack of memory in its cgroup, after it has read the model.
pub(super) fn out_of_memory(scene: &Scene<'_>) -> Result<()> {
    let script = r#"dd if="$1" of=/dev/null bs=4096 iflag=direct status=none; exec python3 -c 'bytearray(200 << 20)'"#;
    let path = scene.file.path();
    let run = TracerCall::launch(&scene.ground.scratch, path)?
        .option("--memory-max", "64M")
        .engine(
            Path::new("/bin/sh"),
            &[
                "-c".as_ref(),
                script.as_ref(),
                "sh".as_ref(),
                path.as_os_str(),
            ],
        )
        .run()?;
    check_said(&run.finished, 128 + 9, &[])?;
    let record = run.record()?;
    ensure!(
        record.count("exit.signal")? == 9,
        "{}",
        record.value("exit")?
    );
    ensure!(
        record
            .value("notes")?
            .to_string()
            .contains("lack of memory"),
        "{}",
        record.value("notes")?
    );
    let plan = ReadPlan::sequential(MODEL_BYTES, READ_BYTES);
    check_figures(
        &record,
        &shapes::expected(&plan, ReadMode::Direct, &scene.file, &scene.disk)?,
    )?;
    check_sound(&record)
}

/// A shell that has the model open as descriptor 3, and goes on with a script at a line.
fn shell(scene: &Scene<'_>, script: &str) -> Result<RunningProgram> {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &format!(r#"exec 3<"$1"; read -r line; {script}"#),
            "sh",
        ])
        .arg(scene.file.path());
    let program = RunningProgram::start(&scene.ground.scratch, command)?;
    program.wait_until("it has the model open", LIMIT, |program| {
        holds_open(program.process_id(), scene.file.path())
    })?;
    Ok(program)
}

/// Its children read, and end before it.
pub(super) fn forks(scene: &Scene<'_>) -> Result<()> {
    const CHILDREN: u64 = 3;
    let read = r#"dd if="$1" of=/dev/null bs=4096 iflag=direct status=none"#;
    let mut engine = shell(scene, &format!("{read} & {read} & ({read}) & wait"))?;
    let (tracer, directory) = tracing(scene.attach(engine.process_id())?)?;
    engine.send_line("go")?;
    engine.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    let (bytes, unique) = (
        record.count("reads.total_bytes")?,
        record.count("reads.unique_bytes")?,
    );
    ensure!(
        bytes == CHILDREN * MODEL_BYTES && unique == MODEL_BYTES,
        "{bytes} bytes were read, {unique} of them once, by {CHILDREN} children"
    );
    check_sound(&record)
}

/// It becomes another program, which reads.
pub(super) fn execs(scene: &Scene<'_>) -> Result<()> {
    let mut engine = shell(
        scene,
        r#"exec dd if="$1" of=/dev/null bs=4096 iflag=direct status=none"#,
    )?;
    let (tracer, directory) = tracing(scene.attach(engine.process_id())?)?;
    engine.send_line("go")?;
    engine.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    let plan = ReadPlan::sequential(MODEL_BYTES, READ_BYTES);
    check_figures(
        &record,
        &shapes::expected(&plan, ReadMode::Direct, &scene.file, &scene.disk)?,
    )?;
    check_sound(&record)
}

/// Stopped in the midst of its reads, for longer than the tracer looks away.
pub(super) fn stopped(scene: &Scene<'_>) -> Result<()> {
    let plan = ReadPlan::random(MODEL_BYTES, READ_BYTES, 20_000, 5);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option("--start-on-line");
    let mut engine = scene.ground.start_reader(&reader)?;
    engine.wait_until("it has the model open", LIMIT, |engine| {
        holds_open(engine.process_id(), scene.file.path())
    })?;
    // A time that is up meanwhile ends a run all the same.
    let (short, of_short) = tracing(
        scene
            .attach(engine.process_id())?
            .option("--duration", "1s"),
    )?;
    let (tracer, directory) = tracing(scene.attach(engine.process_id())?)?;
    engine.send_line("go")?;
    thread::sleep(Duration::from_millis(60));
    engine.signal(Signal::SIGSTOP)?;
    check_said(&short.ended(Duration::from_secs(20))?, 0, &[])?;
    check_no_violation(&RunRecord::load(&of_short)?)?;
    ensure!(
        tracer.is_running()?,
        "the tracer ended with a stopped engine"
    );
    engine.signal(Signal::SIGCONT)?;
    let read = engine.finish(LIMIT)?;
    check_content(
        &tests::reader::ReaderReport::find_in(read.succeeded()?)?,
        &scene.file,
        &plan,
    )?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan, ReadMode::Direct, &scene.file, &scene.disk)?,
    )?;
    check_sound(&record)
}

/// It ends while the tracer does not look, and another process gets its id before the tracer looks again.
pub(super) fn id_used_again(scene: &Scene<'_>) -> Result<()> {
    let plan = ReadPlan::sequential(MODEL_BYTES, READ_BYTES);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option("--start-on-line");
    let engine = scene.ground.start_reader(&reader)?;
    let process_id = engine.process_id();
    engine.wait_until("it has the model open", LIMIT, |_| {
        holds_open(process_id, scene.file.path())
    })?;
    let (tracer, directory) = tracing(scene.attach(process_id)?)?;
    tracer.signal(Signal::SIGSTOP)?;
    engine.signal(Signal::SIGKILL)?;
    engine.ended(LIMIT)?;
    let stranger = with_id(scene, process_id)?;
    tracer.signal(Signal::SIGCONT)?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    ensure!(stranger.is_running()?, "the other process has ended too");
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.text("exit.description")?.contains("ended"),
        "the other process was taken for the engine: {}",
        record.value("exit")?
    );
    check_no_violation(&record)
}

/// Another program with this id, which is free.
fn with_id(scene: &Scene<'_>, process_id: u32) -> Result<RunningProgram> {
    const LAST: &str = "/proc/sys/kernel/ns_last_pid";
    if !Path::new(LAST).exists() {
        return Err(unavailable(format!("this kernel has no {LAST}")));
    }
    for _ in 0..200 {
        fs::write(LAST, (process_id - 1).to_string()).with_context(|| format!("write {LAST}"))?;
        let mut command = Command::new("sleep");
        command.arg("60");
        let program = RunningProgram::start(&scene.ground.scratch, command)?;
        if program.process_id() == process_id {
            return Ok(program);
        }
    }
    Err(unavailable(
        "others start so many processes that none here gets an id of its choice",
    ))
}
