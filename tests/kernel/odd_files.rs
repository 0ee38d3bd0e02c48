//! Files whose edges are not those of requests: coverage is never above 1, and exactly what was read.

use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    plan::{DeviceRequest, ExpectedFigures, PlannedRead, ReadPlan},
    reader::{ReadMode, ReaderCommand},
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_content, check_figures, check_sound},
    shapes::{self, PAGE_BYTES},
};

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for mode in [ReadMode::Direct, ReadMode::Buffered] {
            let mode_name = format!("{mode:?}").to_lowercase();
            cases.push(
                case(
                    format!("odd_files::{file_system}::size_no_multiple_{mode_name}"),
                    move |ground, _| {
                        let disk = ground.disk(file_system)?;
                        // In its last block, and in its last sector too, it ends in the middle.
                        let file = ModelFile::contiguous(&disk, "odd", (1 << 20) + 1234)?;
                        whole_file(ground, &disk, &file, mode)
                    },
                )
                .needs_its_pages(),
            );
            cases.push(
                case(
                    format!("odd_files::{file_system}::sparse_{mode_name}"),
                    move |ground, _| {
                        let disk = ground.disk(file_system)?;
                        let holes = [1 << 20..2 << 20, 3 << 20..(3 << 20) + 65_536];
                        let file = ModelFile::sparse(&disk, "sparse", (4 << 20) + 100, &holes)?;
                        whole_file(ground, &disk, &file, mode)
                    },
                )
                .needs_its_pages(),
            );
        }
        cases.push(case(
            format!("odd_files::{file_system}::read_ahead_beyond_the_end"),
            move |ground, _| read_ahead_beyond_the_end(ground, file_system),
        ));
        cases.push(case(
            format!("odd_files::{file_system}::request_across_an_edge"),
            move |ground, _| request_across_an_edge(ground, file_system),
        ));
    }
    cases
}

/// The whole file, twice where the reads do not come from the cache: every byte of data once in unique.
fn whole_file(ground: &Ground, disk: &LoopDisk, file: &ModelFile, mode: ReadMode) -> Result<()> {
    let mut plan = ReadPlan::sequential(file.size_bytes(), PAGE_BYTES);
    plan.reads.extend_from_within(..);
    let expected = shapes::expected(&plan, mode, file, disk)?;
    ensure!(expected.unique_bytes == file.data_bytes(), "{expected:?}");
    file.evict()?;
    let traced = ground.trace_reader(file, &ground.reader(file, &plan, mode)?)?;
    check_content(&traced.report, file, &plan)?;
    check_figures(&traced.record, &expected)?;
    check_coverage(&traced.record, &expected, file)?;
    check_sound(&traced.record)
}

fn check_coverage(record: &RunRecord, expected: &ExpectedFigures, file: &ModelFile) -> Result<()> {
    for (path, count) in [
        ("model.size_bytes", file.size_bytes()),
        ("model.data_bytes", file.data_bytes()),
        ("model.extents", file.extents().len() as u64),
    ] {
        let found = record.count(path)?;
        ensure!(found == count, "{path} is {found}, not {count}");
    }
    for (path, value) in [
        (
            "reads.coverage",
            expected.unique_bytes as f64 / file.data_bytes() as f64,
        ),
        (
            "reads.amplification",
            expected.total_bytes as f64 / expected.unique_bytes as f64,
        ),
        (
            "reads.reread_factor",
            expected.total_bytes as f64 / file.size_bytes() as f64,
        ),
    ] {
        let found = record.number(path)?;
        ensure!(
            (found - value).abs() < 1e-9,
            "{path} is {found}, not {value}"
        );
    }
    let coverage = record.number("reads.coverage")?;
    ensure!((0.0..=1.0).contains(&coverage), "coverage is {coverage}");
    Ok(())
}

fn read_ahead_beyond_the_end(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    disk.set_read_ahead_kb(1024)?;
    let file = ModelFile::contiguous(&disk, "odd", (3 << 20) + 1234)?;
    let plan = ReadPlan::sequential(file.size_bytes(), 64 << 10);
    let traced = ground.trace_reader(&file, &ground.reader(&file, &plan, ReadMode::Buffered)?)?;
    check_content(&traced.report, &file, &plan)?;
    for path in ["reads.total_bytes", "reads.unique_bytes"] {
        let found = traced.record.count(path)?;
        ensure!(
            found == file.size_bytes(),
            "{path} is {found}, and the file has {}",
            file.size_bytes()
        );
    }
    let coverage = traced.record.number("reads.coverage")?;
    ensure!(coverage == 1.0, "coverage is {coverage}");
    ensure!(
        traced.record.count("reads.readahead")? > 0,
        "nothing was read ahead"
    );
    check_sound(&traced.record)
}

/// Reads of the device itself, past the file system, that begin in the neighbour and end in the model and
/// the other way round, and one that holds an extent and both of its neighbours.
fn request_across_an_edge(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let piece = 32 << 10;
    let pair = ModelFile::fragmented(&disk, "fragmented", 24, piece)?;
    let mut plan = ReadPlan::default();
    for (index, extent) in pair.model.extents().iter().enumerate() {
        let (start, end) = (extent.device_offset_bytes, extent.device_end_bytes());
        let (offset_bytes, length_bytes) = match index % 3 {
            0 => (start - PAGE_BYTES, 2 * PAGE_BYTES),
            1 => (end - 3 * PAGE_BYTES, 4 * PAGE_BYTES),
            _ => (start - piece - 512, 3 * piece + 1024),
        };
        plan.reads.push(PlannedRead {
            offset_bytes,
            length_bytes,
        });
    }
    let requests: Vec<_> = plan
        .reads
        .iter()
        .map(|read| DeviceRequest {
            start_bytes: read.offset_bytes,
            length_bytes: read.length_bytes,
        })
        .collect();
    let limit = disk.largest_single_request_bytes()?;
    ensure!(
        plan.reads.iter().all(|read| read.length_bytes <= limit),
        "a read would be split"
    );
    let expected = ExpectedFigures::of_requests(&requests, &pair.model);
    let asked: u64 = requests.iter().map(|request| request.length_bytes).sum();
    ensure!(
        expected.reads == 24 && expected.total_bytes < asked,
        "{expected:?}"
    );

    let model_reader = ground.reader(&pair.model, &plan, ReadMode::Direct)?;
    let device = disk.node();
    let reader = ReaderCommand::new(
        model_reader.program(),
        &ground.scratch,
        &device,
        &plan,
        ReadMode::Direct,
    )?;
    ensure!(
        device.as_os_str().as_bytes().starts_with(b"/dev/"),
        "{}",
        device.display()
    );
    let run = TracerCall::launch(&ground.scratch, pair.model.path())?
        .reader(&reader)
        .run()
        .context("read the device itself")?;
    let traced = Traced::of(run)?;
    ensure!(
        traced.report.bytes == asked,
        "the reader read {} bytes, not {asked}",
        traced.report.bytes
    );
    check_figures(&traced.record, &expected)?;
    check_coverage(&traced.record, &expected, &pair.model)?;
    let read = traced.record.count("devices.0.read_bytes")?;
    ensure!(
        read == asked,
        "the device's reads are {read} bytes, not {asked}"
    );
    let other = traced.record.count("devices.0.other_read_bytes")?;
    ensure!(
        other == asked - expected.total_bytes,
        "{other} bytes belong to no model"
    );
    check_sound(&traced.record)
}
