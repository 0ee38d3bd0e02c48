//! The kernel's aggregates and the figures computed from the stream of records agree, in a run that has
//! everything: threads, read-ahead, random order, writes, two models.

use anyhow::{Result, ensure};
use tests::{
    disk::FileSystem, environment::page_bytes, model_file::ModelFile, plan::ReadPlan,
    reader::ReadMode, reference::has_helper, tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_content, check_sound},
    shapes::{FILE_BYTES, PAGE_BYTES},
};

/// What a run must compare; each is part of a check's name.
const COMPARED: [&str; 4] = [
    "bytes issued = completed + failed + in flight",
    "each end is a predecessor exactly once",
    "the device's own counter",
    "no program was skipped by the kernel",
];
/// The same, where the kernel side counts a model's reads itself.
const COMPARED_WITH_AGGREGATES: [&str; 5] = [
    "reads: aggregate = stream",
    "unique bytes: aggregate = stream",
    "sequential gaps: aggregate = stream",
    "backward gaps: aggregate = stream",
    "latency histogram: aggregate = stream",
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("aggregates::{file_system}::equal_the_stream"),
            move |ground, _| equal_the_stream(ground, file_system),
        ));
    }
    cases.push(case("aggregates::two_models", |ground, _| {
        two_models(ground)
    }));
    cases
}

fn equal_the_stream(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    disk.set_read_ahead_kb(128)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let mut plan = ReadPlan::random(FILE_BYTES, PAGE_BYTES, 2000, 3);
    plan.reads
        .extend(ReadPlan::sequential(FILE_BYTES, 32 << 10).reads);
    let reader = ground
        .reader(&file, &plan, ReadMode::Buffered)?
        .option_with("--threads", 4);
    let traced = ground.trace_reader(&file, &reader)?;
    check_content(&traced.report, &file, &plan)?;
    check_sound(&traced.record)?;
    let checks = traced.record.checks()?;
    let compares = |what: &str| checks.iter().any(|check| check.name.contains(what));
    let names = || checks.iter().map(|check| &check.name).collect::<Vec<_>>();
    for compared in COMPARED {
        ensure!(
            compares(compared),
            "the run does not compare {compared:?}: {:?}",
            names()
        );
    }
    // Without it there is no second road, and none is claimed.
    let kernel_counts = has_helper("loop")?;
    for compared in COMPARED_WITH_AGGREGATES {
        ensure!(
            compares(compared) == kernel_counts,
            "the kernel side counts: {kernel_counts}, and the run compares: {:?}",
            names()
        );
    }
    ensure!(
        traced.record.count("reads.unique_bytes")? == FILE_BYTES,
        "the whole file was read, and unique is {}",
        traced.record.count("reads.unique_bytes")?
    );
    // A kernel thread may page out what nobody maps; what it took and the reader wanted again came twice.
    let inserts = traced.record.count("cache.inserts")?;
    let refaults = traced.record.count("cache.refaults")?;
    // None but in an emulated machine, where `check_sound` allows them; nothing makes up for a skipped insert.
    let skipped = traced.record.count("loss.recursion_misses")?;
    let expected = FILE_BYTES / page_bytes() + refaults;
    ensure!(
        (expected.saturating_sub(skipped)..=expected).contains(&inserts),
        "{inserts} pages were inserted into the cache, {refaults} of them again; programs were skipped {skipped} times"
    );
    let delta = traced.record.signed("cache.delta_bytes")?;
    ensure!(
        delta == FILE_BYTES.cast_signed(),
        "the cache grew by {delta} bytes of the file"
    );
    Ok(())
}

fn two_models(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let first = ModelFile::contiguous(&disk, "first", 1 << 20)?;
    let second = ModelFile::contiguous(&disk, "second", 2 << 20)?;
    let plan = ReadPlan::sequential(2 << 20, PAGE_BYTES);
    let reader = ground.reader(&second, &plan, ReadMode::Direct)?;
    let run = TracerCall::launch(&ground.scratch, first.path())?
        .option("--model", second.path())
        .reader(&reader)
        .run()?;
    let traced = Traced::of(run)?;
    check_sound(&traced.record)?;
    for (model, file, bytes) in [(0, &first, 0), (1, &second, 2 << 20)] {
        let record = traced.record.model(model)?;
        let path = record.text("model.path")?;
        ensure!(
            path == file.path().to_string_lossy(),
            "model {model} is {path}"
        );
        let total = record.count("reads.total_bytes")?;
        ensure!(
            total == bytes,
            "{total} bytes of model {model} were read, not {bytes}"
        );
    }
    Ok(())
}
