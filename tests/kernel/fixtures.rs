//! The fixtures themselves, without the tracer: what a plan says is what the kernel does, by ftrace's
//! `blk` tracer and by the device's own counters.

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    environment::MachineLock,
    model_file::{ModelFile, resident_pages},
    plan::{ExpectedFigures, ReadPlan},
    reader::ReadMode,
    reference::FtraceBlk,
    surroundings::Surroundings,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, case, check_content, sectors_between},
    shapes::{self, FILE_BYTES, PAGE_BYTES, Shape},
};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for mode in [ReadMode::Direct, ReadMode::Buffered, ReadMode::Mmap] {
            let mode_name = format!("{mode:?}").to_lowercase();
            for shape in Shape::ALL {
                cases.push(case(
                    format!("fixtures::{file_system}::{mode_name}_{}", shape.name()),
                    move |ground, lock| {
                        plan_is_what_the_kernel_does(ground, lock, file_system, mode, shape)
                    },
                ));
            }
        }
        cases.push(case(
            format!("fixtures::{file_system}::size_no_multiple"),
            move |ground, lock| size_no_multiple(ground, lock, file_system),
        ));
        cases.push(case(
            format!("fixtures::{file_system}::sparse"),
            move |ground, lock| sparse(ground, lock, file_system),
        ));
        cases.push(case(
            format!("fixtures::{file_system}::fragmented"),
            move |ground, lock| fragmented(ground, lock, file_system),
        ));
        cases.push(case(
            format!("fixtures::{file_system}::nothing_is_left"),
            move |ground, lock| nothing_is_left(ground, lock, file_system),
        ));
    }
    cases
}

fn plan_is_what_the_kernel_does(
    ground: &Ground,
    lock: &MachineLock,
    file_system: FileSystem,
    mode: ReadMode,
    shape: Shape,
) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = shape.plan(mode, &disk)?;
    let requests = shapes::requests(&plan, mode, &file, &disk)?;
    if shape == Shape::Strided {
        shapes::check_every_class(&ExpectedFigures::of_requests(&requests, &file))?;
    }
    let issued = reads_by_ftrace(ground, lock, &disk, &file, &plan, mode)?;
    let of_file: Vec<_> = issued
        .into_iter()
        .filter(|request| {
            ExpectedFigures::of_requests(std::slice::from_ref(request), &file).reads > 0
        })
        .collect();
    for (index, pair) in of_file.iter().zip(&requests).enumerate() {
        ensure!(
            pair.0 == pair.1,
            "request {index} was {:?}, and the plan says {:?}",
            pair.0,
            pair.1
        );
    }
    ensure!(
        of_file.len() == requests.len(),
        "there were {} requests, and the plan says {}",
        of_file.len(),
        requests.len()
    );
    // Read through the cache the pages stay there, unless something reclaims them; else none comes there.
    let cached = resident_pages(file.path())?;
    let unique = ExpectedFigures::of_requests(&requests, &file).unique_bytes;
    let pages = if mode == ReadMode::Direct {
        0..=0
    } else {
        1..=unique / PAGE_BYTES
    };
    ensure!(
        pages.contains(&cached),
        "{cached} pages are cached, and the plan says {pages:?}"
    );
    Ok(())
}

/// Reads by the plan, checks content and counters, and gives the reads that ftrace saw issued.
fn reads_by_ftrace(
    ground: &Ground,
    lock: &MachineLock,
    disk: &tests::disk::LoopDisk,
    file: &ModelFile,
    plan: &ReadPlan,
    mode: ReadMode,
) -> Result<Vec<tests::plan::DeviceRequest>> {
    let reader = ground.reader(file, plan, mode)?;
    disk.synchronise()?;
    let before = disk.statistics()?;
    let ftrace = FtraceBlk::start(disk, lock)?;
    let report = ground.run_reader(&reader)?;
    let after = disk.statistics()?;
    let trace = ftrace.finish()?;
    check_content(&report, file, plan)?;
    let (counted, traced) = (
        sectors_between(&before, &after),
        trace.completed_read_sectors(),
    );
    ensure!(counted > 0, "the device read nothing");
    ensure!(
        counted == traced,
        "the device counted {counted} sectors, ftrace {traced}"
    );
    ensure!(
        after.reads - before.reads == trace.completed_reads().len() as u64,
        "the device counted {} reads, ftrace {}",
        after.reads - before.reads,
        trace.completed_reads().len()
    );
    Ok(trace.issued_reads())
}

fn size_no_multiple(ground: &Ground, lock: &MachineLock, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "odd", (1 << 20) + 1234)?;
    for mode in [ReadMode::Direct, ReadMode::Buffered] {
        file.evict()?;
        let plan = ReadPlan::sequential(file.size_bytes(), PAGE_BYTES);
        let requests = shapes::requests(&plan, mode, &file, &disk)?;
        let issued = reads_by_ftrace(ground, lock, &disk, &file, &plan, mode)?;
        let found = ExpectedFigures::of_requests(&issued, &file);
        let expected = ExpectedFigures::of_requests(&requests, &file);
        ensure!(
            found == expected,
            "{mode:?}: ftrace saw {found:?}, and the plan says {expected:?}"
        );
        ensure!(found.unique_bytes == file.size_bytes(), "{found:?}");
    }
    Ok(())
}

fn sparse(ground: &Ground, lock: &MachineLock, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::sparse(
        &disk,
        "sparse",
        4 << 20,
        &[1 << 20..2 << 20, 3 << 20..(3 << 20) + 65_536],
    )?;
    ensure!(
        file.data_bytes() == (3 << 20) - 65_536,
        "{:?}",
        file.extents()
    );
    for mode in [ReadMode::Direct, ReadMode::Buffered] {
        file.evict()?;
        let plan = ReadPlan::sequential(file.size_bytes(), PAGE_BYTES);
        let issued = reads_by_ftrace(ground, lock, &disk, &file, &plan, mode)?;
        let found = ExpectedFigures::of_requests(&issued, &file);
        let expected = shapes::expected(&plan, mode, &file, &disk)?;
        ensure!(
            found == expected,
            "{mode:?}: ftrace saw {found:?}, and the plan says {expected:?}"
        );
        ensure!(found.unique_bytes == file.data_bytes(), "{found:?}");
    }
    Ok(())
}

fn fragmented(ground: &Ground, lock: &MachineLock, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(&disk, "fragmented", 24, 64 << 10)?;
    let plan = ReadPlan::sequential(pair.model.size_bytes(), 48 << 10);
    let issued = reads_by_ftrace(ground, lock, &disk, &pair.model, &plan, ReadMode::Direct)?;
    let found = ExpectedFigures::of_requests(&issued, &pair.model);
    let expected = shapes::expected_across_edges(&plan, &pair.model, &disk)?;
    ensure!(
        expected.contains(&found),
        "ftrace saw {found:?}, and the plan says one of {expected:?}"
    );
    Ok(())
}

fn nothing_is_left(ground: &Ground, lock: &MachineLock, file_system: FileSystem) -> Result<()> {
    let before = Surroundings::observe()?;
    let files = || -> Result<usize> {
        Ok(std::fs::read_dir(ground.scratch.directory())
            .context("list the scratch folder")?
            .count())
    };
    let files_before = files()?;
    let disk = ground.disk(file_system)?;
    let ftrace = FtraceBlk::start(&disk, lock)?;
    let during = Surroundings::observe()?;
    ensure!(
        during.loop_devices.len() > before.loop_devices.len(),
        "no loop device was seen"
    );
    ensure!(
        during.mounts.len() > before.mounts.len(),
        "no mount was seen"
    );
    ensure!(
        !during.left_since(&before)?.is_empty(),
        "a disk in use was not noticed"
    );
    drop(ftrace);
    drop(disk);
    Surroundings::check_nothing_left_since(&before)?;
    ensure!(
        files()? == files_before,
        "files are left in the scratch folder"
    );
    let tracer = std::fs::read_to_string("/sys/kernel/tracing/current_tracer")
        .context("read current_tracer")?;
    ensure!(tracer.trim() == "nop", "ftrace still uses {tracer:?}");
    Ok(())
}
