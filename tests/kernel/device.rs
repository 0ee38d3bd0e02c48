//! `tracer device`: what it reads, what it leaves alone, and what it says of itself. Speeds are nobody's to assert.

use std::{fs, path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::{DeviceStatistics, FileSystem, LoopDisk},
    model_file::{ModelFile, resident_pages},
    plan::ReadPlan,
    reader::ReadMode,
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, Traced, case, sectors_between},
    shapes::FILE_BYTES,
};

const LIMIT: Duration = Duration::from_secs(60);

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("device::{file_system}::replays_a_run"),
            move |ground, _| replays_a_run(ground, file_system),
        ));
    }
    cases.push(case("device::without_a_run", |ground, _| {
        without_a_run(ground)
    }));
    cases.push(case("device::memory_is_no_device", |ground, _| {
        memory_is_no_device(ground)
    }));
    cases.push(case("device::others_are_seen", |ground, _| {
        others_are_seen(ground)
    }));
    cases.push(case("device::interrupted", |ground, _| interrupted(ground)));
    cases.push(case("device::refused", |ground, _| refused(ground)));
    cases
}

fn call<'ground>(
    ground: &'ground Ground,
    file: &Path,
    seconds: u64,
) -> Result<TracerCall<'ground>> {
    Ok(TracerCall::bare(&ground.scratch, &["device", "--json"])?
        .adjusted(|command| {
            command.arg(file);
        })
        .option("--seconds", seconds.to_string()))
}

fn run(call: TracerCall<'_>) -> Result<RunRecord> {
    RunRecord::parse(call.run()?.finished.succeeded()?)
}

fn count(record: &RunRecord, list: &str) -> Result<usize> {
    Ok(record
        .value(list)?
        .as_array()
        .with_context(|| format!("{list} is no list"))?
        .len())
}

/// Orders and queue depths of the patterns; each has its rounds, and figures in order.
fn patterns(record: &RunRecord) -> Result<Vec<(String, u64)>> {
    // On a machine that is busy there may be fewer than 6; then it must say so.
    let whole = record.count("rounds")?;
    ensure!(
        (1..=6).contains(&whole) && record.flag("partial")? == (whole < 6),
        "{whole} rounds, and partial is {}",
        record.value("partial")?
    );
    (0..count(record, "patterns")?)
        .map(|index| {
            let member = |name: &str| format!("patterns.{index}.{name}");
            let rounds = count(record, &member("rounds"))?;
            ensure!(
                rounds as u64 == whole || rounds as u64 == whole + 1,
                "pattern {index} has {rounds} rounds, the test {whole}"
            );
            for figure in ["bytes_per_s", "reads_per_s", "median_latency_us"] {
                let part = |part: &str| record.number(&member(&format!("{figure}.{part}")));
                let (least, median, largest) = (part("least")?, part("median")?, part("largest")?);
                ensure!(
                    0.0 < least && least <= median && median <= largest,
                    "{figure} of pattern {index}: {least}, {median}, {largest}"
                );
            }
            Ok((
                record.text(&member("order"))?.to_owned(),
                record.count(&member("queue_depth"))?,
            ))
        })
        .collect()
}

/// The device's own counters around a test: all that was read is in its account, and nothing was written.
fn test_with_account(disk: &LoopDisk, file: &ModelFile, call: TracerCall<'_>) -> Result<RunRecord> {
    disk.synchronise()?;
    file.evict()?;
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    let (modified_before, before) = (modified(file.path())?, disk.statistics()?);
    let record = run(call)?;
    let after = disk.statistics()?;
    let read = sectors_between(&before, &after) * 512;
    let accounted = record.count("others.own_bytes")? + record.count("others.read_bytes")?;
    ensure!(
        accounted <= read && read - accounted <= 1 << 20,
        "the device read {read} bytes, the test accounts for {accounted}"
    );
    ensure!(
        record.count("others.missing_bytes")? == 0,
        "reads did not reach the device"
    );
    ensure!(
        after.sectors_written == before.sectors_written,
        "something was written"
    );
    ensure!(
        modified(file.path())? == modified_before,
        "the file was changed"
    );
    let cached = resident_pages(file.path())?;
    ensure!(cached == 0, "{cached} pages came into the page cache");
    Ok(record)
}

fn replays_a_run(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    // A size that is no multiple of a block, so that the last read is cut at the file's end.
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES + 777)?;
    let mut plan = ReadPlan::random(FILE_BYTES, 16 << 10, 3000, 3);
    plan.reads
        .extend(ReadPlan::sequential(FILE_BYTES + 777, 16 << 10).reads);
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option_with("--threads", 4);
    let traced = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&reader)
        .run()?;
    let directory = traced.directory.clone();
    let of_run = Traced::of(traced)?.record;

    let call = call(ground, file.path(), 8)?
        .option("--run", &directory)
        .option("--out", &directory);
    let record = test_with_account(&disk, &file, call)?;
    ensure!(
        count(&record, "doubts")? == 0,
        "{}",
        record.value("doubts")?
    );
    ensure!(record.text("device.name")? == disk.name(), "another device");
    let depth = of_run.number("gaps.mean_queue_depth")?.round() as u64;
    let found = patterns(&record)?;
    for order in ["recorded", "sorted", "shuffled", "random"] {
        ensure!(
            found.contains(&(order.to_owned(), depth)),
            "no {order} at {depth}: {found:?}"
        );
    }
    ensure!(
        found.contains(&("sequential".to_owned(), 1)),
        "nothing sequential: {found:?}"
    );
    let reads = of_run.count("reads.count")?;
    ensure!(
        record.count("run.listed_reads")? == reads && record.count("run.left_out_reads")? == 0,
        "{} of {reads} reads are replayed",
        record.value("run.listed_reads")?
    );
    for cost in ["recorded_to_sorted", "shuffled_to_sorted"] {
        ensure!(
            record.number(&format!("order.{cost}.median"))? > 0.0,
            "no {cost}"
        );
    }
    // The windows of all rounds, and in each the same bytes whatever the order.
    let replays: Vec<usize> = found
        .iter()
        .enumerate()
        .filter(|(_, pattern)| ["recorded", "sorted", "shuffled"].contains(&pattern.0.as_str()))
        .map(|(index, _)| index)
        .collect();
    for round in 0..record.count("rounds")? {
        let cut_short = replays
            .iter()
            .map(|index| record.flag(&format!("patterns.{index}.rounds.{round}.cut_short")))
            .collect::<Result<Vec<_>>>()?;
        if cut_short.contains(&true) {
            continue;
        }
        let bytes = replays
            .iter()
            .map(|index| record.count(&format!("patterns.{index}.rounds.{round}.bytes")))
            .collect::<Result<Vec<_>>>()?;
        ensure!(
            bytes.windows(2).all(|pair| pair[0] == pair[1]),
            "round {round} read {bytes:?}"
        );
    }
    let best = record.number("used.best_bytes_per_s")?;
    let busy = of_run.number("bandwidth.busy_bytes_per_s")?;
    ensure!(
        (record.number("used.busy_share")? - busy / best).abs() < 1e-9,
        "the run's share is not {busy} of {best}"
    );
    let kept = fs::read_to_string(directory.join("device.json")).context("read device.json")?;
    ensure!(
        RunRecord::parse(&kept)?.value("patterns")? == record.value("patterns")?,
        "device.json is another test"
    );
    let text = fs::read_to_string(directory.join("device.txt")).context("read device.txt")?;
    ensure!(text.contains("shuffled"), "{text}");
    ensure!(
        RunRecord::load(&directory)?.value("reads")? == of_run.value("reads")?,
        "the run's record was changed"
    );
    Ok(())
}

fn without_a_run(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let hole = 1 << 20..2 << 20;
    let file = ModelFile::sparse(&disk, "model", FILE_BYTES, std::slice::from_ref(&hole))?;
    let record = test_with_account(&disk, &file, call(ground, file.path(), 8)?)?;
    let found = patterns(&record)?;
    for depth in [1, 4, 16] {
        let random = found
            .iter()
            .filter(|pattern| **pattern == ("random".to_owned(), depth))
            .count();
        ensure!(random == 3, "{random} random patterns at {depth}");
    }
    for absent in ["run", "order", "used"] {
        ensure!(record.is_null(absent)?, "{absent} without a run");
    }
    Ok(())
}

fn memory_is_no_device(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    disk.set_loop_direct_io(false)?;
    let record = run(call(ground, file.path(), 1)?)?;
    let doubts = record.value("doubts")?.to_string();
    ensure!(
        doubts.contains("without direct I/O") && doubts.contains("memory"),
        "{doubts}"
    );
    Ok(())
}

fn others_are_seen(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let other = ModelFile::contiguous(&disk, "other", FILE_BYTES)?;
    // More than it will come to; it is ended with the case.
    let plan = ReadPlan::random(FILE_BYTES, 64 << 10, 500_000, 3);
    let reader = ground.start_reader(&ground.reader(&other, &plan, ReadMode::Direct)?)?;
    let idle = DeviceStatistics::read(disk.name())?;
    reader.wait_until("it reads", LIMIT, |_| {
        DeviceStatistics::read(disk.name())
            .is_ok_and(|now| now.sectors_read > idle.sectors_read + 1_000)
    })?;
    let before = DeviceStatistics::read(disk.name())?;
    let record = run(call(ground, file.path(), 3)?)?;
    let read = (DeviceStatistics::read(disk.name())?.sectors_read - before.sectors_read) * 512;
    ensure!(reader.is_running()?, "the other reader has ended");
    let others = record.count("others.read_bytes")?;
    let own = record.count("others.own_bytes")?;
    ensure!(
        others > 0 && own + others <= read,
        "{own} own and {others} others' bytes, of {read}"
    );
    let doubts = record.value("doubts")?.to_string();
    ensure!(doubts.contains("others used the device"), "{doubts}");
    Ok(())
}

fn interrupted(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let before = DeviceStatistics::read(disk.name())?;
    let tracer = call(ground, file.path(), 3600)?.start()?;
    // Minutes of warming up come first: it must end then as well as later.
    tracer.wait_until("it reads", LIMIT, |_| {
        DeviceStatistics::read(disk.name())
            .is_ok_and(|now| now.sectors_read > before.sectors_read + 20_000)
    })?;
    thread::sleep(Duration::from_millis(200));
    tracer.signal(Signal::SIGINT)?;
    let finished = tracer.finish(LIMIT)?;
    let record = RunRecord::parse(finished.succeeded()?)?;
    ensure!(record.flag("partial")?, "it calls itself whole");
    let reason = record.text("partial_reason")?;
    ensure!(reason.contains("signal"), "{reason}");
    Ok(())
}

fn refused(ground: &Ground) -> Result<()> {
    let path = Path::new("/dev/shm").join(format!("tracer-tests-{}", std::process::id()));
    fs::write(&path, vec![1; 2 << 20]).context("write to /dev/shm")?;
    let finished = call(ground, &path, 1)?.run();
    fs::remove_file(&path).context("remove what was written")?;
    let finished = finished?.finished;
    ensure!(finished.code() == 125, "it ended with {}", finished.code());
    ensure!(
        finished.errors.contains("tmpfs keeps files in memory"),
        "{}",
        finished.errors
    );
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let no_run = ground.scratch.fresh_directory("no-run")?;
    let finished = call(ground, file.path(), 1)?
        .option("--run", &no_run)
        .run()?
        .finished;
    ensure!(
        finished.code() == 125 && finished.errors.contains("run.json"),
        "{}",
        finished.errors
    );
    Ok(())
}
