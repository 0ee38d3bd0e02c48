//! Time in which threads wait for the model, beside the kernel's own delay accounting.

use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use tests::{
    disk::FileSystem,
    environment::{Cleanup, on_exit, unavailable},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{ReadMode, ThreadTimes},
    run_record::RunRecord,
};

use crate::ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_sound};

const FILE_BYTES: u64 = 64 << 20;
const READ_BYTES: u64 = 256 << 10;
const SWITCH: &str = "/proc/sys/kernel/task_delayacct";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for (mode, name) in [(ReadMode::Mmap, "mmap"), (ReadMode::Buffered, "buffered")] {
            cases.push(case(
                format!("stalls::{file_system}::{name}"),
                move |ground, _| as_delay_accounting(ground, file_system, mode),
            ));
        }
        cases.push(case(
            format!("stalls::{file_system}::direct"),
            move |ground, _| direct_reads_are_no_stalls(ground, file_system),
        ));
    }
    cases
}

/// Switches delay accounting on, for processes that start from now on.
fn delay_accounting() -> Result<Cleanup> {
    let before = fs::read_to_string(SWITCH)
        .map_err(|error| unavailable(format!("{SWITCH} cannot be read: {error}")))?;
    let cleanup = on_exit(move || {
        if let Err(error) = fs::write(SWITCH, before.trim()) {
            eprintln!("cannot put {SWITCH} back to {before:?}: {error}");
        }
    });
    fs::write(SWITCH, "1").with_context(|| format!("write 1 to {SWITCH}"))?;
    Ok(cleanup)
}

/// Seconds that a wait makes over all phases.
fn waited(record: &RunRecord, wait: &str) -> Result<f64> {
    let phases = record
        .value("phases")?
        .as_array()
        .context("phases is no array")?;
    phases
        .iter()
        .map(|phase| {
            phase
                .get("waits")
                .and_then(|waits| waits.get(wait)?.as_f64())
                .with_context(|| format!("a phase has no {wait}: {phase}"))
        })
        .sum()
}

/// Waits for block I/O that the kernel accounted to the reading thread, seconds; known to a clock tick.
fn block_io_delay_seconds(times: &ThreadTimes) -> Result<f64> {
    // SAFETY: it only asks for a constant of the system.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ensure!(ticks_per_second > 0, "the clock has no ticks");
    Ok(times.block_io_delay_ticks as f64 / ticks_per_second as f64)
}

/// Asleep, or waiting for a processor.
fn off_processor_seconds(times: &ThreadTimes) -> f64 {
    times.wall_ns.saturating_sub(times.running_ns) as f64 / 1e9
}

/// The kernel's delay ends when the thread is woken, the tracer's wait when the thread is on a processor again. In
/// between the thread is on its way to a processor, which may be asleep itself, and then waits for it; the kernel accounts
/// for the second part only, so what is sure is that a wait is no longer than the thread was off its processor.
fn check_agreement(by_tracer: f64, times: &ThreadTimes) -> Result<()> {
    let by_kernel = block_io_delay_seconds(times)?;
    ensure!(
        by_kernel > 0.1,
        "the kernel accounted only {by_kernel} s: nothing to compare: {times:?}"
    );
    let off_processor = off_processor_seconds(times);
    ensure!(
        (0.9 * by_kernel - 0.02..=1.1 * off_processor + 0.02).contains(&by_tracer),
        "waits of {by_tracer} s by the tracer, by the kernel {by_kernel} s, off the processor {off_processor} s"
    );
    Ok(())
}

/// Traces a reader whose delays the kernel has accounted for.
///
/// On Linux 6.18 the kernel's figure is sometimes about the machine's uptime, or more than the thread was off its
/// processor: as if `delayacct_blkio_end` had subtracted an older begin, or none. Such a run says nothing, and there is
/// another one.
fn trace(ground: &Ground, file_system: FileSystem, mode: ReadMode) -> Result<Traced> {
    let _accounting = delay_accounting()?;
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    // Waits of some 100 µs: at each the tracer counts the few microseconds more that a processor takes to wake up.
    disk.set_read_ahead_kb(READ_BYTES >> 10)?;
    let plan = ReadPlan::random(FILE_BYTES, READ_BYTES, 200, 3);
    for _ in 0..8 {
        file.evict()?;
        let reader = ground
            .reader(&file, &plan, mode)?
            .option_with("--evicted-rounds", 10);
        let traced = ground.trace_reader(&file, &reader)?;
        check_sound(&traced.record)?;
        let times = &traced.report.times;
        if block_io_delay_seconds(times)? <= 1.05 * off_processor_seconds(times) + 0.01 {
            return Ok(traced);
        }
    }
    bail!("the kernel accounts for longer delays than the reader was off its processor")
}

fn as_delay_accounting(ground: &Ground, file_system: FileSystem, mode: ReadMode) -> Result<()> {
    let traced = trace(ground, file_system, mode)?;
    let stalls = waited(&traced.record, "stall_threads_s")?;
    check_agreement(stalls, &traced.report.times)?;
    // With one thread the union is the sum.
    let union = waited(&traced.record, "stall_s")?;
    let other = waited(&traced.record, "other_io_threads_s")?;
    ensure!(
        (union - stalls).abs() < 1e-3 && other < 0.1 * stalls,
        "one thread stalled for {stalls} s, the union is {union} s, with {other} s of other I/O"
    );
    Ok(())
}

/// A direct read waits for the device and not for a folio.
fn direct_reads_are_no_stalls(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let traced = trace(ground, file_system, ReadMode::Direct)?;
    let other = waited(&traced.record, "other_io_threads_s")?;
    check_agreement(other, &traced.report.times)?;
    let stalls = waited(&traced.record, "stall_threads_s")?;
    ensure!(stalls == 0.0, "direct reads stalled for {stalls} s");
    Ok(())
}
