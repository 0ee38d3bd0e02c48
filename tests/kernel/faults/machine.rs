//! The machine under the tracer: a processor that goes and comes back, a clock that is set.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::{
        signal::Signal,
        time::{TimeSpec, TimeValLike as _},
    },
    time::{ClockId, clock_gettime, clock_settime},
};
use tests::{
    environment::{Cleanup, on_exit, unavailable},
    plan::ReadPlan,
    reader::ReadMode,
    run_record::RunRecord,
};

use super::{LIMIT, MODEL_BYTES, Scene, tracing};
use crate::{ground::check_no_violation, lifecycle::check_said};

const PROCESSOR: &str = "/sys/devices/system/cpu/cpu1/online";

/// The second processor without work; back on drop.
struct Offline(#[expect(dead_code, reason = "it is dropped")] Cleanup);

impl Offline {
    fn new() -> Result<Self> {
        let back = on_exit(|| {
            // Nobody is left to be told.
            let _ = fs::write(PROCESSOR, "1");
        });
        fs::write(PROCESSOR, "0").context("take processor 1 offline")?;
        Ok(Self(back))
    }
}

fn check_back() -> Result<()> {
    let now = fs::read_to_string(PROCESSOR).context("ask for processor 1")?;
    ensure!(now.trim() == "1", "processor 1 did not come back");
    Ok(())
}

/// Each has records of its own: none is lost with it, and one that comes counts from its first event on.
pub(super) fn processor(scene: &Scene<'_>) -> Result<()> {
    if !Path::new(PROCESSOR).exists() {
        return Err(unavailable("no second processor can be taken offline here"));
    }
    let plan = ReadPlan::random(MODEL_BYTES, 4096, 2000, 7);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option_with("--threads", 4);
    let server = scene.endless_reader(&reader)?;
    let began_without = scene.attempt % 2 == 1;
    let offline = began_without.then(Offline::new).transpose()?;
    let (tracer, directory) = tracing(
        scene
            .attach(server.process_id())?
            .option("--detail", "events")
            .flag("--no-record"),
    )?;
    thread::sleep(Duration::from_millis(300));
    let offline = match offline {
        Some(offline) => offline,
        None => Offline::new()?,
    };
    thread::sleep(Duration::from_millis(300));
    drop(offline);
    check_back()?;
    thread::sleep(Duration::from_millis(300));
    tracer.signal(Signal::SIGINT)?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    server.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    let lost = record.count("loss.ring_buffer_records")?;
    ensure!(lost == 0, "{lost} records were lost");
    Ok(())
}

/// Back on drop, by the clock that nobody sets.
struct SetBack {
    monotonic_before: TimeSpec,
    real_before: TimeSpec,
}

impl SetBack {
    fn by_a_second() -> Result<Self> {
        let before = Self {
            monotonic_before: clock_gettime(ClockId::CLOCK_MONOTONIC)?,
            real_before: clock_gettime(ClockId::CLOCK_REALTIME)?,
        };
        clock_settime(
            ClockId::CLOCK_REALTIME,
            before.real_before - TimeSpec::seconds(1),
        )
        .map_err(|error| unavailable(format!("the clock cannot be set: {error}")))?;
        Ok(before)
    }
}

impl Drop for SetBack {
    fn drop(&mut self) {
        if let Ok(now) = clock_gettime(ClockId::CLOCK_MONOTONIC) {
            let passed = now - self.monotonic_before;
            let _ = clock_settime(ClockId::CLOCK_REALTIME, self.real_before + passed);
        }
    }
}

/// Nothing of a run goes by the clock that people set.
pub(super) fn clock_set_back(scene: &Scene<'_>) -> Result<()> {
    let plan = ReadPlan::random(MODEL_BYTES, 4096, 2000, 7);
    let reader = scene.ground.reader(&scene.file, &plan, ReadMode::Direct)?;
    let server = scene.endless_reader(&reader)?;
    let detail = if scene.attempt.is_multiple_of(2) {
        "events"
    } else {
        "counts"
    };
    let (tracer, directory) = tracing(
        scene
            .attach(server.process_id())?
            .option("--detail", detail)
            .option("--duration", "2s"),
    )?;
    thread::sleep(Duration::from_millis(500));
    let set_back = SetBack::by_a_second()?;
    thread::sleep(Duration::from_millis(30));
    drop(set_back);
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    server.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    let seconds = record.number("time.wall_s")?;
    ensure!(
        (1.9..3.5).contains(&seconds),
        "a run of 2 s took {seconds} s by its record"
    );
    check_no_violation(&record)
}
