//! What direct reads cost with and without tracers.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    priority::{goes_first, keep_first},
    processor_time::busy_seconds,
    random_reads::{RandomReads, ReadLoad},
};
use crate::bench::{
    bpf::{ProgramTime, RunTimeStatistics, run_times},
    compared::{Rounds, Running, Traced, Turn, Variants},
    ground::BenchGround,
    record::{Figure, MeasurementRecord, ProgramRecord, RoundRecord, WorkRecord},
};
use crate::{disk::DeviceStatistics, model_file::extents_of};

/// Where programs that do nothing sit: what every tracer of reads needs.
const HOOKS: [&str; 2] = ["block_rq_issue", "block_rq_complete"];

/// Measures all variants at one kind of reads.
///
/// # Errors
/// A variant cannot be started, or a read fails.
pub fn measure_reads(
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
    variants: &Variants,
    load: ReadLoad,
    rounds: Rounds,
    window: Duration,
) -> Result<MeasurementRecord> {
    Ok(MeasurementRecord {
        work: WorkRecord::Reads {
            threads: load.threads,
            read_bytes: load.read_bytes,
            extents: extents_of(traced.model)?.len(),
            model_bytes: traced.model.metadata()?.len(),
            processors: thread::available_parallelism()?.get(),
            engine_reads: traced.process_id == std::process::id(),
            went_first: goes_first(),
        },
        variants: rounds.take(variants, |turn| {
            one_turn(turn, ground, traced, load, window)
        })?,
    })
}

fn one_turn(
    turn: Turn<'_>,
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
    load: ReadLoad,
    window: Duration,
) -> Result<RoundRecord> {
    let running = Running::start(turn, ground, traced, &HOOKS)?;
    let reads = RandomReads::start(
        traced.model,
        ReadLoad {
            seed: load.seed.wrapping_add(turn.round << 32),
            ..load
        },
    )?;
    keep_first();
    thread::sleep(window / 8);

    let (busy, before, start) = (busy_seconds()?, reads.done(), Instant::now());
    thread::sleep(window);
    let (seconds, done, busy) = (
        start.elapsed().as_secs_f64(),
        reads.done() - before,
        busy_seconds()? - busy,
    );

    let (programs, requests) = timed(&running, ground, || {
        thread::sleep(window);
        Ok(())
    })?;
    reads.stop()?;
    let mut figures = running.finish()?;
    figures.insert(Figure::ReadsPerSecond, done as f64 / seconds);
    if done > 0 {
        figures.insert(Figure::ProcessorNsARead, busy * 1e9 / done as f64);
    }
    Ok(RoundRecord {
        figures,
        programs,
        requests,
    })
}

/// Has the kernel time programs meanwhile; what they did, and the requests that the device completed.
pub(super) fn timed(
    running: &Running<'_>,
    ground: &BenchGround<'_>,
    meanwhile: impl FnOnce() -> Result<()>,
) -> Result<(Vec<ProgramRecord>, u64)> {
    let device = ground.disk().name();
    let programs = running.programs()?;
    let statistics = RunTimeStatistics::enable()?;
    let requests = DeviceStatistics::read(device)?.reads;
    let times = run_times(&programs)?;
    meanwhile()?;
    let programs = difference(&times, &run_times(&programs)?);
    let requests = DeviceStatistics::read(device)?.reads - requests;
    drop(statistics);
    Ok((programs, requests))
}

/// What programs did between two looks; those that did nothing are left out.
fn difference(
    before: &BTreeMap<u32, ProgramTime>,
    after: &BTreeMap<u32, ProgramTime>,
) -> Vec<ProgramRecord> {
    after
        .iter()
        .map(|(id, now)| {
            let then = before.get(id);
            let since = |of: fn(&ProgramTime) -> u64| of(now) - then.map_or(0, of);
            ProgramRecord {
                name: now.name.clone(),
                runs: since(|time| time.runs),
                time_ns: since(|time| time.time_ns),
                skipped: since(|time| time.skipped),
            }
        })
        .filter(|program| program.runs > 0 || program.skipped > 0)
        .collect()
}
