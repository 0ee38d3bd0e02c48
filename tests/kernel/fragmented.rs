//! A file in many pieces with somebody else's between them, and many threads at once.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    model_file::ModelFile,
    plan::{ExpectedFigures, GapCounts, ReadPlan},
    reader::{ReadMode, ReaderCommand},
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_content, check_figures, check_sound},
    shapes::{self, FILE_BYTES},
};

pub const PIECES: u64 = 24;
pub const PIECE_BYTES: u64 = 64 << 10;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("fragmented::{file_system}::neighbour_is_not_counted"),
            move |ground, _| neighbour_is_not_counted(ground, file_system),
        ));
        cases.push(case(
            format!("fragmented::{file_system}::model_between_its_neighbour"),
            move |ground, _| model_between_its_neighbour(ground, file_system),
        ));
        cases.push(case(
            format!("fragmented::{file_system}::sixteen_threads"),
            move |ground, _| sixteen_threads(ground, file_system),
        ));
    }
    cases.push(case(
        "fragmented::requeues_on_the_root_disk",
        |ground, _| requeues_on_the_root_disk(ground),
    ));
    cases
}

/// Only the neighbour is read: the model has no reads at all, although all of them lie between its first
/// and its last sector.
fn neighbour_is_not_counted(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(&disk, "fragmented", PIECES, PIECE_BYTES)?;
    let plan = ReadPlan::over_data(&pair.neighbour, 16 << 10);
    let reader = ground.reader(&pair.neighbour, &plan, ReadMode::Direct)?;
    let traced = ground.trace_reader(&pair.model, &reader)?;
    check_content(&traced.report, &pair.neighbour, &plan)?;
    check_figures(&traced.record, &ExpectedFigures::default())?;
    let coverage = traced.record.number("reads.coverage")?;
    ensure!(coverage == 0.0, "coverage is {coverage}");
    ensure!(
        traced.record.is_null("reads.amplification")?,
        "amplification of nothing is no number"
    );
    let other = traced.record.count("devices.0.other_read_bytes")?;
    ensure!(
        other >= traced.report.bytes,
        "{other} bytes of others, and {} were read",
        traced.report.bytes
    );
    check_sound(&traced.record)
}

/// The model is read while, all the time, somebody else reads what lies between its pieces.
fn model_between_its_neighbour(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(&disk, "fragmented", PIECES, PIECE_BYTES)?;
    let neighbour_plan = ReadPlan::over_data(&pair.neighbour, 16 << 10);
    let neighbour_reader = ground
        .reader(&pair.neighbour, &neighbour_plan, ReadMode::Direct)?
        .option("--until-input-closes");
    let mut background = ground.start_reader(&neighbour_reader)?;

    // Reads of 48 KiB in pieces of 64 KiB: every other one crosses an edge.
    let plan = ReadPlan::sequential(pair.model.size_bytes(), 48 << 10);
    let [forward, reversed] = shapes::expected_across_edges(&plan, &pair.model, &disk)?;
    let traced = ground.trace_reader(
        &pair.model,
        &ground.reader(&pair.model, &plan, ReadMode::Direct)?,
    )?;
    ensure!(
        background.is_running()?,
        "the second reader ended too early"
    );
    background.close_input();
    let finished = background.finish(std::time::Duration::from_secs(30))?;
    finished.succeeded().context("the second reader")?;

    check_content(&traced.report, &pair.model, &plan)?;
    if check_figures(&traced.record, &reversed).is_err() {
        check_figures(&traced.record, &forward)?;
    }
    ensure!(
        traced.record.count("model.extents")? == pair.model.extents().len() as u64,
        "the model has {} extents, not {}",
        traced.record.count("model.extents")?,
        pair.model.extents().len()
    );
    ensure!(
        traced.record.count("devices.0.other_reads")? > 0,
        "the second reader was not seen"
    );
    check_sound(&traced.record)
}

/// What can be said of reads whose order nobody knows.
pub fn check_unordered(traced: &Traced, expected: &ExpectedFigures) -> Result<()> {
    let record = &traced.record;
    check_sound(record)?;
    for (path, count) in [
        ("reads.count", expected.reads),
        ("reads.total_bytes", expected.total_bytes),
        ("reads.unique_bytes", expected.unique_bytes),
        ("reads.in_flight", 0),
        ("reads.failed", 0),
        ("gaps.count", expected.reads - 1),
    ] {
        let found = record.count(path)?;
        ensure!(found == count, "{path} is {found}, not {count}");
    }
    check_completed(record, expected.total_bytes)?;
    let mut sum = 0;
    for (class, _) in GapCounts::default().named() {
        sum += record.count(&format!("gaps.{class}.count"))?;
    }
    ensure!(sum == expected.reads - 1, "the classes have {sum} gaps");
    Ok(())
}

/// All that was issued was seen to arrive, but for completions that the kernel hid.
pub fn check_completed(record: &RunRecord, total_bytes: u64) -> Result<()> {
    let completed = record.count("reads.completed_bytes")?;
    // The kernel hides a completion now and then: its bytes are known all the same.
    let unseen_bytes = record.count("reads.unseen_bytes")?;
    ensure!(
        completed + unseen_bytes == total_bytes,
        "{completed} bytes completed and {unseen_bytes} ended unseen, of {total_bytes}"
    );
    Ok(())
}

fn sixteen_threads(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(&disk, "fragmented", PIECES, PIECE_BYTES)?;
    let mut plan = ReadPlan::random(pair.model.size_bytes(), 4096, 8000, 5);
    // Then everything once more, so that unique is the whole file.
    plan.reads
        .extend(ReadPlan::sequential(pair.model.size_bytes(), 4096).reads);
    let expected = shapes::expected(&plan, ReadMode::Direct, &pair.model, &disk)?;
    ensure!(
        expected.unique_bytes == pair.model.size_bytes(),
        "{expected:?}"
    );
    let reader = ground
        .reader(&pair.model, &plan, ReadMode::Direct)?
        .option_with("--threads", 16);
    let traced = ground.trace_reader(&pair.model, &reader)?;
    check_content(&traced.report, &pair.model, &plan)?;
    ensure!(
        traced.record.count("gaps.largest_queue_depth")? > 1,
        "the threads did not read at the same time"
    );
    check_unordered(&traced, &expected)
}

/// Loop devices never give a request back; the disk below may. Whether it does is its own affair, so that
/// only the laws are tested: whatever was requeued, the reads are those that were asked for.
fn requeues_on_the_root_disk(ground: &Ground) -> Result<()> {
    let path = ground.scratch.fresh_path("on-the-root-disk");
    let mut content = vec![0u8; usize::try_from(FILE_BYTES).context("16 MiB fit")?];
    tests::model_file::content_at(0, &mut content);
    fs::write(&path, &content).with_context(|| format!("write {}", path.display()))?;
    tests::model_file::evict(&path)?;
    let mut plan = ReadPlan::sequential(FILE_BYTES, 4096);
    plan.reads.extend_from_within(..);
    let program = env!("CARGO_BIN_EXE_scripted_reader");
    let reader = ReaderCommand::new(
        program.as_ref(),
        &ground.scratch,
        &path,
        &plan,
        ReadMode::Direct,
    )?
    .option_with("--threads", 16);
    let run = TracerCall::launch(&ground.scratch, &path)?
        .reader(&reader)
        .run()?;
    let traced = Traced::of(run)?;
    let record = &traced.record;
    ensure!(
        traced.report.bytes == 2 * FILE_BYTES,
        "the reader read {:?}",
        traced.report
    );
    for (path, count) in [
        ("reads.total_bytes", 2 * FILE_BYTES),
        ("reads.unique_bytes", FILE_BYTES),
        ("reads.in_flight", 0),
    ] {
        let found = record.count(path)?;
        ensure!(found == count, "{path} is {found}, not {count}");
    }
    check_completed(record, 2 * FILE_BYTES)?;
    let (requeues, reissues) = (
        record.count("reads.requeues")?,
        record.count("reads.reissues")?,
    );
    ensure!(
        requeues == reissues,
        "{requeues} requeues, and {reissues} were issued again"
    );
    eprintln!(
        "  {requeues} of {} reads were requeued",
        record.count("reads.count")?
    );
    check_sound(record)
}
