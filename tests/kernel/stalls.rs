//! Time in which threads wait for the model, beside the times at which perf events saw them leave their processor and
//! come back. The kernel's own delay accounting is no reference on 6.18: a delay is sometimes about the machine's uptime,
//! and on some machines most of them are.

use std::{
    collections::BTreeSet,
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    model_file::{HeldPages, ModelFile},
    plan::ReadPlan,
    reader::{Period, ReadMode, ReaderCommand, RunningProgram},
    reference::has_tracepoint,
    run_record::RunRecord,
    tracer,
};

use crate::ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_sound};

const FILE_BYTES: u64 = 64 << 20;
const READ_BYTES: u64 = 256 << 10;
const ROUNDS: usize = 10;
/// How much longer a wait may be for one of the two, on average.
const SECONDS_APART: f64 = 5e-6;

/// The tracepoint that shows which file a `read()` waited for.
const LOOK_UPS: &str = "filemap/mm_filemap_get_pages";

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for (mode, name) in [(ReadMode::Mmap, "mmap"), (ReadMode::Buffered, "buffered")] {
            cases.push(case(
                format!("stalls::{file_system}::{name}"),
                move |ground, _| as_perf_events_see_it(ground, file_system, mode),
            ));
            cases.push(case(
                format!("stalls::{file_system}::{name}_beside_orphans"),
                move |ground, _| {
                    let _orphans = Orphans::begin()?;
                    as_perf_events_see_it(ground, file_system, mode)
                },
            ));
        }
        cases.push(case(
            format!("stalls::{file_system}::direct_of_another_file"),
            move |ground, _| waits_for_another_file_are_no_stalls(ground, file_system),
        ));
        cases.push(case(
            format!("stalls::{file_system}::from_a_childs_first_read_on"),
            move |ground, _| from_a_childs_first_read_on(ground, file_system),
        ));
        cases.push(case(
            format!("stalls::{file_system}::direct"),
            move |ground, _| direct_reads_are_no_stalls(ground, file_system),
        ));
    }
    cases.push(case("stalls::in_a_pid_namespace", |ground, _| {
        in_a_pid_namespace(ground)
    }));
    cases
}

/// Processes whose parents are gone, one after the other: process 1 is kept busy with taking them in. Some kernels hide
/// from programs what happens while process 1 runs, such as that another thread takes over its processor.
struct Orphans(Child);

impl Orphans {
    fn begin() -> Result<Self> {
        Command::new("sh")
            .args(["-c", "while :; do (:&); done"])
            .spawn()
            .map(Self)
            .context("cannot start sh")
    }
}

impl Drop for Orphans {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
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

/// Both take the time as a thread leaves its processor and as it is back on one, in the same function of the kernel. What
/// lies between them is the same at both ends, up to what interrupts them there.
///
/// On a busy machine a reader may also sleep for something else than its reads, of which there are `waits` (where that is
/// known). Which sleeps those were is not known: they may have been the longest ones.
fn check_agreement(waited_seconds: f64, sleeps: &[Period], waits: Option<usize>) -> Result<()> {
    let mut lengths_ns: Vec<u64> = sleeps.iter().map(Period::length_ns).collect();
    lengths_ns.sort_unstable();
    let asleep_seconds = lengths_ns.iter().sum::<u64>() as f64 / 1e9;
    let least_ns: u64 = lengths_ns.iter().take(waits.unwrap_or(usize::MAX)).sum();
    let (least_seconds, sleeps) = (least_ns as f64 / 1e9, sleeps.len());
    ensure!(
        sleeps > 500 && asleep_seconds > 0.05,
        "the reader slept only {sleeps} times, {asleep_seconds} s: nothing to compare"
    );
    let apart = 0.01 * asleep_seconds + SECONDS_APART * sleeps as f64;
    ensure!(
        (least_seconds - apart..=asleep_seconds + apart).contains(&waited_seconds),
        "waits of {waited_seconds} s by the tracer, {sleeps} sleeps of {asleep_seconds} s by perf events"
    );
    Ok(())
}

fn plan() -> ReadPlan {
    ReadPlan::random(FILE_BYTES, READ_BYTES, 200, 3)
}

/// Reads that find nothing in memory, in all rounds: one request each.
fn cold_reads(plan: &ReadPlan) -> usize {
    let places: BTreeSet<u64> = plan.reads.iter().map(|read| read.offset_bytes).collect();
    ROUNDS * places.len()
}

fn trace(ground: &Ground, file_system: FileSystem, mode: ReadMode) -> Result<Traced> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    // One request for each read.
    disk.set_read_ahead_kb(READ_BYTES >> 10)?;
    let plan = plan();
    file.evict()?;
    let reader = ground
        .reader(&file, &plan, mode)?
        .option_with("--evicted-rounds", ROUNDS)
        .option("--record-sleeps");
    let traced = ground.trace_reader(&file, &reader)?;
    check_sound(&traced.record)?;
    Ok(traced)
}

/// Kernels that do not report look-ups (before 6.12) do not show which file a `read()` waited for.
fn check_unobserved(record: &RunRecord) -> Result<()> {
    let phases = record.value("phases")?;
    ensure!(
        phases.as_array().is_some_and(|phases| {
            !phases.is_empty()
                && phases
                    .iter()
                    .all(|phase| phase["waits"]["stall_s"].is_null())
        }),
        "stalls are claimed on a kernel that does not show them: {phases}"
    );
    Ok(())
}

fn as_perf_events_see_it(ground: &Ground, file_system: FileSystem, mode: ReadMode) -> Result<()> {
    let Traced { record, report } = &trace(ground, file_system, mode)?;
    if mode == ReadMode::Buffered && !has_tracepoint(LOOK_UPS)? {
        check_agreement(waited(record, "other_io_threads_s")?, &report.sleeps, None)?;
        return check_unobserved(record);
    }
    let stalls = waited(record, "stall_threads_s")?;
    // A mapped read may wait more than once.
    let waits = (mode == ReadMode::Buffered).then(|| cold_reads(&plan()));
    check_agreement(stalls, &report.sleeps, waits)?;
    // With one thread the union is the sum.
    let union = waited(record, "stall_s")?;
    let other = waited(record, "other_io_threads_s")?;
    ensure!(
        (union - stalls).abs() < 1e-3 && other < 0.1 * stalls,
        "one thread stalled for {stalls} s, the union is {union} s, with {other} s of other I/O"
    );
    Ok(())
}

/// A direct read waits for the device and not for a folio.
fn direct_reads_are_no_stalls(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let Traced { record, report } = &trace(ground, file_system, ReadMode::Direct)?;
    check_agreement(waited(record, "other_io_threads_s")?, &report.sleeps, None)?;
    if !has_tracepoint(LOOK_UPS)? {
        return check_unobserved(record);
    }
    let stalls = waited(record, "stall_threads_s")?;
    ensure!(stalls == 0.0, "direct reads stalled for {stalls} s");
    // Of one thread that waits for nothing else.
    check_agreement(waited(record, "other_io_s")?, &report.sleeps, None)?;
    Ok(())
}

/// The model is in memory. Each of its reads comes right after one for which the thread waits, of another file.
fn waits_for_another_file_are_no_stalls(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let other = ModelFile::contiguous(&disk, "other", FILE_BYTES)?;
    let reader = ground
        .reader(&file, &plan(), ReadMode::Buffered)?
        .option_with("--after-reads-of", other.path().display())
        .option("--record-sleeps");
    let _held = HeldPages::of(file.path())?;
    let Traced { record, report } = &ground.trace_reader(&file, &reader)?;
    let reads = record.count("reads.count")?;
    ensure!(reads == 0, "{reads} reads of a model in memory");
    check_sound(record)?;
    ensure!(
        report.sleeps.len() > 100,
        "the reader slept only {} times",
        report.sleeps.len()
    );
    if !has_tracepoint(LOOK_UPS)? {
        return check_unobserved(record);
    }
    let stalls = waited(record, "stall_threads_s")?;
    ensure!(
        stalls == 0.0,
        "stalls of {stalls} s for a model that is in memory"
    );
    Ok(())
}

/// A shell that has been looked at starts the reader: nobody looks at what processes there are before it has read.
fn from_a_childs_first_read_on(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, READ_BYTES, 1000, 3);
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option("--record-sleeps");
    let mut arguments = vec![
        "-c".into(),
        "sleep 0.05; \"$@\"; exit $?".into(),
        "sh".into(),
    ];
    arguments.push(reader.program().into());
    arguments.extend_from_slice(reader.arguments());
    let shell = ReaderCommand::of("/bin/sh".as_ref(), arguments);
    let Traced { record, report } = &ground.trace_reader(&file, &shell)?;
    check_sound(record)?;
    check_agreement(waited(record, "other_io_threads_s")?, &report.sleeps, None)
}

/// There the tracer does not know its engine by the ids that the kernel has: what it cannot tell it does not claim.
fn in_a_pid_namespace(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    for mode in [ReadMode::Buffered, ReadMode::Mmap] {
        file.evict()?;
        let reader = ground.reader(&file, &plan(), mode)?;
        let directory = ground.scratch.fresh_path("run");
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--mount-proc"])
            .arg(tracer::binary()?)
            .args(["launch", "--no-read-list", "--model"])
            .arg(file.path())
            .arg("--out")
            .arg(&directory)
            .arg("--")
            .arg(reader.program())
            .args(reader.arguments());
        let finished =
            RunningProgram::start(&ground.scratch, command)?.finish(Duration::from_secs(60))?;
        finished.succeeded()?;
        let record = RunRecord::load(&directory)?;
        check_sound(&record)?;
        let waits = record
            .value("phases")?
            .as_array()
            .context("phases is no array")?
            .iter()
            .map(|phase| &phase["waits"])
            .collect::<Vec<_>>();
        for name in ["other_io_threads_s", "reclaim_threads_s", "reclaim_s"] {
            ensure!(
                waits.iter().all(|waits| waits[name].is_null()),
                "{name} is claimed: {waits:?}"
            );
        }
        let stalls: f64 = waits
            .iter()
            .filter_map(|waits| waits["stall_s"].as_f64())
            .sum();
        // Faults on the model are the model's, whoever waits.
        let is_right = match mode {
            ReadMode::Mmap => stalls > 0.0,
            _ => waits.iter().all(|waits| waits["stall_s"].is_null()),
        };
        ensure!(is_right, "{mode:?}: {waits:?}");
        ensure!(
            record.value("notes")?.to_string().contains("--pid=host"),
            "no note says why"
        );
    }
    Ok(())
}
