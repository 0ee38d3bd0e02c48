//! Many tracers, and many events.

use std::{
    env, fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{plan::ReadPlan, reader::ReadMode, run_record::RunRecord};

use super::{LIMIT, MODEL_BYTES, Scene, tracing};
use crate::{
    ground::{check_figures, check_no_violation, check_sound},
    lifecycle::check_said,
    processes::holds_open,
    shapes,
};

/// Of one process: each counts all of it, as if it were alone.
pub(super) fn ten_at_once(scene: &Scene<'_>) -> Result<()> {
    const TRACERS: usize = 10;
    let plan = ReadPlan::random(MODEL_BYTES, 4096, 2000, 13);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option("--start-on-line");
    let mut engine = scene.ground.start_reader(&reader)?;
    engine.wait_until("it has the model open", LIMIT, |engine| {
        holds_open(engine.process_id(), scene.file.path())
    })?;
    let mut tracers = Vec::new();
    for number in 0..TRACERS {
        let detail = if number % 2 == 0 { "counts" } else { "events" };
        let call = scene
            .attach(engine.process_id())?
            .option("--detail", detail);
        tracers.push(tracing(call)?);
    }
    engine.send_line("go")?;
    engine.finish(LIMIT)?.succeeded()?;
    let expected = shapes::expected(&plan, ReadMode::Direct, &scene.file, &scene.disk)?;
    for (number, (tracer, directory)) in tracers.into_iter().enumerate() {
        let later = (TRACERS - 1 - number) as u64;
        let of = || format!("tracer {} of {TRACERS}", number + 1);
        check_said(&tracer.ended(LIMIT)?, 0, &[]).with_context(of)?;
        let record = RunRecord::load(&directory)?;
        check_sound(&record).with_context(of)?;
        if later == 0 {
            check_figures(&record, &expected).with_context(of)?;
            continue;
        }
        // Those that began later have looked at the model's header: reads of it like any other.
        let reads = record.count("reads.count")?;
        let unique = record.count("reads.unique_bytes")?;
        ensure!(
            (expected.reads..=expected.reads + later).contains(&reads)
                && unique == expected.unique_bytes,
            "tracer {} of {TRACERS} counted {reads} reads of {unique} bytes, and there were {} of {}",
            number + 1,
            expected.reads,
            expected.unique_bytes
        );
    }
    Ok(())
}

/// Says how many events instead: in a night there is time for 10^8.
const EVENTS_VARIABLE: &str = "TRACER_TESTS_SOAK_EVENTS";
const EVENTS: u64 = 1_500_000;
/// What allocators may take after the first half, by when all buffers have been full once: that takes some 600,000 events.
const GROWTH_BYTES: u64 = 8 << 20;

/// The tracer's memory does not go with the number of events.
pub(super) fn memory_over_events(scene: &Scene<'_>) -> Result<()> {
    let events = match env::var(EVENTS_VARIABLE) {
        Ok(events) => events
            .parse()
            .with_context(|| format!("{EVENTS_VARIABLE} is {events}: not a number"))?,
        Err(_) => EVENTS,
    };
    let plan = ReadPlan::random(MODEL_BYTES, 4096, 20_000, 17);
    let reader = scene
        .ground
        .reader(&scene.file, &plan, ReadMode::Direct)?
        .option_with("--threads", 2);
    let server = scene.endless_reader(&reader)?;
    let (tracer, directory) = tracing(
        scene
            .attach(server.process_id())?
            .option("--detail", "events")
            .flag("--no-record"),
    )?;
    // An issue and an end for each read.
    let reads_at_start = reads(scene)?;
    let done = || -> Result<u64> { Ok(2 * (reads(scene)? - reads_at_start)) };
    let begun = Instant::now();
    while done()? < events / 2 {
        thread::sleep(Duration::from_millis(100));
    }
    let early = resident_bytes(tracer.process_id())?;
    let mut most = early;
    while done()? < events {
        thread::sleep(Duration::from_millis(100));
        most = most.max(resident_bytes(tracer.process_id())?);
    }
    let took = begun.elapsed();
    tracer.signal(Signal::SIGINT)?;
    check_said(&tracer.ended(LIMIT)?, 0, &[])?;
    server.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    let received = record.count("overhead.ring_buffer_records")?;
    let lost = record.count("loss.ring_buffer_records")?;
    eprintln!(
        "{received} records and {lost} lost in {took:?}: {} KiB resident after a half, {} KiB at most after that",
        early >> 10,
        most >> 10
    );
    ensure!(
        received + lost >= events * 9 / 10,
        "{received} records came and {lost} were lost, of {events}"
    );
    ensure!(
        most <= early + GROWTH_BYTES,
        "the tracer grew from {early} bytes to {most}"
    );
    Ok(())
}

/// Reads that the disk has completed, without waiting for it to come to rest.
fn reads(scene: &Scene<'_>) -> Result<u64> {
    Ok(tests::disk::DeviceStatistics::read(scene.disk.name())?.reads)
}

fn resident_bytes(process_id: u32) -> Result<u64> {
    let path = format!("/proc/{process_id}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kib: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .with_context(|| format!("{path} has no VmRSS"))?;
    Ok(kib << 10)
}
