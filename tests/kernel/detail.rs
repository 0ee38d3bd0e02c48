//! The levels of detail: a figure that a level has is the same at every level, and what it has not is null.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::FileSystem, model_file::ModelFile, plan::ReadPlan, reader::ReadMode,
    reference::has_helper, run_record::RunRecord, tracer::TracerCall,
};

use crate::{
    fragmented::{self, check_completed, check_unordered},
    ground::{Case, FILE_SYSTEMS, Ground, Programs, case, check_content, check_no_violation},
    known_order,
    shapes::{self, FILE_BYTES, Shape},
};

/// What the kernel side counts by itself.
const COUNTED: [&str; 37] = [
    "reads.count",
    "reads.total_bytes",
    "reads.unique_bytes",
    "reads.coverage",
    "reads.amplification",
    "reads.reread_factor",
    "reads.failed",
    "reads.requeues",
    "reads.reissues",
    "reads.readahead",
    "reads.writes",
    "reads.size_classes",
    "gaps.sequential.count",
    "gaps.small.count",
    "gaps.medium.count",
    "gaps.large.count",
    "gaps.backward.count",
    "gaps.backward.share",
    "gaps.sequential.share_of_bytes",
    "gaps.backward.share_of_bytes",
    "gaps.count",
    "tensors.0.read_bytes",
    "tensors.0.reads",
    "tensors.0.readahead_bytes",
    "tensors.0.inserted_bytes",
    "tensors.0.evictions_bytes",
    "tensors.0.refaults_bytes",
    "tensors.0.resident_bytes",
    "page_cache.inserted_bytes",
    "page_cache.times_inserted",
    "page_cache.refaulted_bytes",
    "cache.inserts",
    "cache.evictions",
    "cache.refaults",
    "cache.faults",
    "cache.lookups",
    "cache.first_touch_hits",
];

/// What only records tell.
const RECORDED: [&str; 14] = [
    "reads.sizes",
    "reads.process_share",
    "gaps.backward_overlapping",
    "gaps.file_order",
    "gaps.stream_sequential_share",
    "gaps.distances",
    "gaps.mean_queue_depth",
    "bandwidth.busy_bytes_per_s",
    "latency_us.max",
    "page_course",
    "page_cache.unused_at_least_bytes",
    "page_cache.miss_stream_distance_p50_bytes",
    "tensors.0.unused_at_most_bytes",
    "read_list",
];

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for mode in [ReadMode::Direct, ReadMode::Buffered, ReadMode::Mmap] {
        for shape in Shape::ALL {
            let mode_name = format!("{mode:?}").to_lowercase();
            cases.push(
                case(
                    format!("detail::counts::{mode_name}_{}", shape.name()),
                    move |ground, _| known_order(ground, mode, shape),
                )
                .needs_its_pages(),
            );
        }
        cases.push(
            case(
                format!(
                    "detail::same_figures::{}",
                    format!("{mode:?}").to_lowercase()
                ),
                move |ground, _| same_figures(ground, mode),
            )
            .needs_its_pages(),
        );
        cases.push(
            case(
                format!(
                    "detail::stepped_down::{}",
                    format!("{mode:?}").to_lowercase()
                ),
                move |ground, _| stepped_down(ground, mode),
            )
            .needs_its_pages(),
        );
    }
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("detail::counts::{file_system}::sixteen_threads"),
            move |ground, _| sixteen_threads(ground, file_system),
        ));
    }
    cases
}

/// Whether a run at the level `counts` had it. A kernel that cannot count models takes `events`, and says so.
pub fn counts_alone(record: &RunRecord) -> Result<bool> {
    let counts = has_helper("loop")?;
    let detail = record.value("detail")?;
    let expected = if counts { "counts" } else { "events" };
    ensure!(detail == expected, "the level is {detail}, not {expected}");
    Ok(counts)
}

fn check_nothing_recorded(record: &RunRecord) -> Result<()> {
    if !counts_alone(record)? {
        return Ok(());
    }
    let received = record.count("overhead.ring_buffer_records")?;
    ensure!(received == 0, "{received} records came");
    for path in RECORDED {
        ensure!(
            record.is_null(path)?,
            "{path} is {}, without records",
            record.value(path)?
        );
    }
    let programs = record.value("overhead.programs")?;
    let programs = programs.as_array().context("no programs")?;
    for left_out in ["sched_switch", "reclaim_begin", "process_fork"] {
        ensure!(
            programs
                .iter()
                .all(|program| program["program"] != left_out),
            "{left_out} was attached"
        );
    }
    Ok(())
}

fn known_order(ground: &Ground, mode: ReadMode, shape: Shape) -> Result<()> {
    let traced =
        known_order::traced_with(ground, FileSystem::Ext4, mode, shape, Programs::Counting)?;
    check_nothing_recorded(&traced.record)
}

/// The same reads twice: counted, and recorded.
fn same_figures(ground: &Ground, mode: ReadMode) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    // A page each: larger ones are not always divided into the same requests.
    let plan = ReadPlan::random(FILE_BYTES, 4096, 400, 8);
    let mut records = Vec::new();
    for detail in ["counts", "events"] {
        file.evict()?;
        let reader = ground
            .reader(&file, &plan, mode)?
            // Read-ahead in the background is not the same twice.
            .option("--random-advice")
            .option_with("--evicted-rounds", 3);
        let run = TracerCall::launch(&ground.scratch, file.path())?
            .option("--detail", detail)
            .reader(&reader)
            .run()?;
        run.finished.succeeded()?;
        let record = run.record()?;
        check_no_violation(&record)?;
        // What the kernel hid of a run is in these, and hidden at random.
        check_completed(&record, record.count("reads.total_bytes")?)?;
        let (timed, reads) = (
            record.count("latency_us.count")?,
            record.count("reads.count")?,
        );
        let unseen = record.count("reads.unseen")?;
        ensure!(
            timed + unseen == reads,
            "{timed} reads have a latency and {unseen} ended unseen, of {reads}"
        );
        let has_list = Path::new(&run.directory).join("reads.parquet").exists();
        ensure!(
            has_list == (record.value("detail")? == "events"),
            "reads.parquet is there: {has_list}"
        );
        records.push(record);
    }
    let [counts, events] = records.as_slice() else {
        anyhow::bail!("{} runs", records.len());
    };
    check_nothing_recorded(counts)?;
    for path in COUNTED {
        let (counted, recorded): (&Value, &Value) = (counts.value(path)?, events.value(path)?);
        ensure!(
            counted == recorded,
            "{path} is {counted} at the level `counts` and {recorded} at `events`"
        );
    }
    // Another run's reads took another time.
    for percentile in ["p50", "p90", "p99"] {
        let path = format!("latency_us.{percentile}");
        let (counted, recorded) = (counts.number(&path)?, events.number(&path)?);
        ensure!(
            counted > 0.0 && (0.02..50.0).contains(&(counted / recorded)),
            "{path} is {counted} and {recorded}"
        );
    }
    Ok(())
}

/// A run that begins with events and may cost next to nothing, beside one that is counted: the events end in the midst of the
/// reads, and no figure is of a part of them. One that may cost anything keeps its events.
fn stepped_down(ground: &Ground, mode: ReadMode) -> Result<()> {
    if !has_helper("loop")? {
        // Without counts by model there is nothing to step down to.
        return Ok(());
    }
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, 4096, 400, 8);
    let run = |options: &[(&str, &str)]| -> Result<(RunRecord, bool)> {
        file.evict()?;
        let reader = ground
            .reader(&file, &plan, mode)?
            .option("--random-advice")
            // Some seconds of reads: the cost is measured after the first one.
            .option_with("--evicted-rounds", 120);
        let mut call = TracerCall::launch(&ground.scratch, file.path())?.flag("--record");
        for (option, value) in options {
            call = call.option(option, *value);
        }
        let run = call.reader(&reader).run()?;
        run.finished.succeeded()?;
        let record = run.record()?;
        check_no_violation(&record)?;
        check_completed(&record, record.count("reads.total_bytes")?)?;
        let directory = Path::new(&run.directory);
        let is_there = |name: &str| directory.join(name).exists();
        ensure!(
            is_there("reads.parquet") == is_there("recording"),
            "of reads.parquet and the recording, one is there"
        );
        Ok((record, is_there("recording")))
    };
    let (counted, _) = run(&[("--detail", "counts")])?;
    let (stepped_down, has_lists) = run(&[("--detail", "events"), ("--budget", "0.0001%")])?;
    ensure!(
        stepped_down.value("detail")? == "counts" && !has_lists,
        "the run did not step down: {}",
        stepped_down.value("overhead.budget")?
    );
    let at_s = stepped_down.number("overhead.budget.stepped_down.at_s")?;
    let wall_s = stepped_down.number("time.wall_s")?;
    ensure!(
        at_s > 1.0 && at_s + 0.2 < wall_s,
        "it stepped down after {at_s} s of {wall_s} s"
    );
    ensure!(
        stepped_down.count("overhead.ring_buffer_records")? > 0,
        "there were no events before"
    );
    for path in RECORDED {
        ensure!(
            stepped_down.is_null(path)?,
            "{path} is {}, of a part of the run",
            stepped_down.value(path)?
        );
    }
    for path in COUNTED {
        let (left, right) = (counted.value(path)?, stepped_down.value(path)?);
        ensure!(
            left == right,
            "{path} is {left} counted, and {right} after stepping down"
        );
    }
    let (kept, has_lists) = run(&[("--detail", "events"), ("--budget", "100%")])?;
    ensure!(
        kept.value("detail")? == "events" && has_lists,
        "events ended although they may cost anything"
    );
    ensure!(
        kept.count("overhead.budget.measurements")? > 0
            && kept.is_null("overhead.budget.stepped_down")?,
        "the cost was not measured: {}",
        kept.value("overhead.budget")?
    );
    Ok(())
}

fn sixteen_threads(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(
        &disk,
        "fragmented",
        fragmented::PIECES,
        fragmented::PIECE_BYTES,
    )?;
    let plan = ReadPlan::random(pair.model.size_bytes(), 16384, 4000, 6);
    let expected = shapes::expected(&plan, ReadMode::Direct, &pair.model, &disk)?;
    let reader = ground
        .reader(&pair.model, &plan, ReadMode::Direct)?
        .option_with("--threads", 16);
    let traced = ground.trace_reader_with(&pair.model, &reader, Programs::Counting)?;
    check_content(&traced.report, &pair.model, &plan)?;
    check_unordered(&traced, &expected)?;
    check_nothing_recorded(&traced.record)
}
