//! The list of reads, as a stranger's program reads it: DuckDB.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MsFlags, mount, umount2};
use serde::Deserialize;
use serde_json::Value;
use tests::{
    disk::FileSystem,
    environment::{on_exit, unavailable},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::ReadMode,
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_sound},
    shapes::{self, FILE_BYTES, Shape},
};

const SECTOR_BYTES: u64 = 512;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("read_list::{file_system}::rows_are_the_planned_reads"),
            move |ground, _| rows_are_the_planned_reads(ground, file_system),
        ));
    }
    cases.push(case(
        "read_list::sixteen_threads_through_the_cache",
        |ground, _| sixteen_threads(ground),
    ));
    cases.push(case("read_list::off", |ground, _| off(ground)));
    cases.push(case("read_list::full_disk", |ground, _| full_disk(ground)));
    cases
}

/// A row of the list.
#[derive(Debug, Deserialize)]
struct Row {
    time_ns: u64,
    device: String,
    model: u64,
    file: Option<u64>,
    start_sector: u64,
    sectors: u64,
    file_offset_bytes: Option<u64>,
    bytes: u64,
    request_bytes: u64,
    previous_end_sector: Option<u64>,
    process_id: u64,
    thread_id: u64,
    latency_ns: Option<u64>,
}

/// What DuckDB answers to a query about a run's list, which is the table `reads`, and its recording, where it has one, which is
/// `events`; rows as JSON objects.
pub fn query(run: &Path, sql: &str) -> Result<Value> {
    const SCRIPT: &str = "import duckdb, json, os, sys\n\
        reads = duckdb.read_parquet(sys.argv[1])\n\
        recording = os.path.join(os.path.dirname(sys.argv[1]), 'recording')\n\
        if os.path.isdir(recording):\n\
        \x20   events = duckdb.read_parquet(recording + '/events-*.parquet')\n\
        answer = duckdb.sql(sys.argv[2])\n\
        rows = [dict(zip(answer.columns, row)) for row in answer.fetchall()]\n\
        print(json.dumps(rows, default=lambda value: value.decode() if isinstance(value, bytes) else int(value)))";
    let python = env::var_os("TRACER_TESTS_DUCKDB_PYTHON").ok_or_else(|| {
        unavailable(
            "TRACER_TESTS_DUCKDB_PYTHON names no Python with DuckDB (`cargo xtask test` makes one)",
        )
    })?;
    let list = run.join("reads.parquet");
    let output = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(&list)
        .arg(sql)
        .output()
        .with_context(|| format!("run {}", Path::new(&python).display()))?;
    ensure!(
        output.status.success(),
        "DuckDB refuses {sql:?} on {}: {}",
        list.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("DuckDB's answer is no JSON")
}

/// The only row of an answer, as numbers.
fn numbers(run: &Path, sql: &str) -> Result<Vec<u64>> {
    let answer = query(run, sql)?;
    let row = answer[0].as_object().context("no row")?;
    row.values()
        .map(|value| value.as_u64().with_context(|| format!("{row:?}")))
        .collect()
}

/// DuckDB's count and sum are the record's.
fn check_sums(run: &Path, record: &RunRecord) -> Result<()> {
    let sums = numbers(run, "select count(*) a, sum(bytes) b from reads")?;
    let counted = [
        record.count("reads.count")?,
        record.count("reads.total_bytes")?,
    ];
    ensure!(sums == counted, "DuckDB has {sums:?}, run.json {counted:?}");
    let listed = [
        record.count("read_list.reads")?,
        record.count("read_list.bytes")?,
    ];
    ensure!(listed == counted, "read_list has {listed:?}");
    Ok(())
}

fn rows_are_the_planned_reads(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let pair = ModelFile::fragmented(&disk, "model", 24, 64 << 10)?;
    let file = &pair.model;
    // Reads that cross the edge of an extent, then all of it backwards.
    let mut plan = ReadPlan::sequential(file.size_bytes(), 48 << 10);
    plan.reads
        .extend(ReadPlan::reversed(file.size_bytes(), 16 << 10).reads);
    let requests = shapes::requests(&plan, ReadMode::Direct, file, &disk)?;
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&ground.reader(file, &plan, ReadMode::Direct)?)
        .run()?;
    let directory = run.directory.clone();
    let record = Traced::of(run)?.record;
    check_sound(&record)?;
    check_sums(&directory, &record)?;

    let rows: Vec<Row> = serde_json::from_value(query(&directory, "from reads")?)?;
    ensure!(
        rows.len() == requests.len(),
        "{} rows, and the plan makes {} requests",
        rows.len(),
        requests.len()
    );
    let mut previous_end = None;
    let process = record.count("process.pid")?;
    let mut without_latency = 0;
    for (index, (row, request)) in rows.iter().zip(&requests).enumerate() {
        let start = request.start_bytes / SECTOR_BYTES;
        let sectors = request.length_bytes / SECTOR_BYTES;
        let extent = file
            .extents()
            .iter()
            .find(|extent| {
                (extent.device_offset_bytes..extent.device_end_bytes())
                    .contains(&request.start_bytes)
            })
            .context("a request outside the file")?;
        let offset = request.start_bytes - extent.device_offset_bytes + extent.file_offset_bytes;
        ensure!(
            (row.start_sector, row.sectors, row.bytes, row.request_bytes)
                == (start, sectors, request.length_bytes, request.length_bytes)
                && row.previous_end_sector == previous_end
                && (row.file, row.file_offset_bytes) == (Some(0), Some(offset))
                && (row.model, row.device.as_str()) == (0, disk.name())
                && (row.process_id, row.thread_id) == (process, process),
            "row {index} is {row:?}, and the plan says {request:?} at {offset} after {previous_end:?}"
        );
        previous_end = Some(start + sectors);
        without_latency += u64::from(row.latency_ns.is_none());
    }
    ensure!(
        rows.is_sorted_by_key(|row| row.time_ns),
        "the rows are not in order"
    );
    let unseen = record.count("loss.unseen_completions")?;
    ensure!(
        without_latency <= unseen,
        "{without_latency} reads without latency, and {unseen} ended unseen"
    );
    Ok(())
}

fn sixteen_threads(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, 4096, 8000, 5);
    let reader = ground
        .reader(&file, &plan, ReadMode::Buffered)?
        .option_with("--threads", 16);
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&reader)
        .run()?;
    let directory = run.directory.clone();
    let record = Traced::of(run)?.record;
    check_sound(&record)?;
    check_sums(&directory, &record)?;
    let readahead = numbers(
        &directory,
        "select (count(*) filter (readahead)) a, count(distinct thread_id) b from reads",
    )?;
    ensure!(
        readahead[0] == record.count("reads.readahead")?,
        "{readahead:?} reads ahead"
    );
    ensure!(readahead[1] > 1, "all reads are of one thread");
    // The gaps of the list are those of the record: each row carries its own.
    let gaps = numbers(
        &directory,
        "select (count(*) filter (start_sector = previous_end_sector)) a, \
         (count(*) filter (start_sector < previous_end_sector)) b, count(previous_end_sector) c from reads",
    )?;
    let counted = [
        record.count("gaps.sequential.count")?,
        record.count("gaps.backward.count")?,
        record.count("gaps.count")?,
    ];
    ensure!(gaps == counted, "{gaps:?} and {counted:?}");
    let latency = numbers(
        &directory,
        "select count(latency_ns) a, max(latency_ns) // 1000 b from reads",
    )?;
    let timed = record.count("latency_us.count")?;
    ensure!(latency[0] == timed, "{latency:?} and {timed} timed");
    let longest = record.number("latency_us.max")?;
    ensure!(
        (longest - latency[1] as f64).abs() <= 1.0,
        "{latency:?} and {longest} µs"
    );
    let metadata = query(
        &directory,
        &format!(
            "select key::varchar k, value::varchar v from parquet_kv_metadata('{}')",
            directory.join("reads.parquet").display()
        ),
    )?
    .to_string();
    let path = file.path().display().to_string();
    ensure!(
        metadata.contains("tracer.schema_version") && metadata.contains(&path),
        "{metadata}"
    );
    Ok(())
}

fn off(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = Shape::Sequential.plan(ReadMode::Direct, &disk)?;
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .flag("--no-read-list")
        .reader(&ground.reader(&file, &plan, ReadMode::Direct)?)
        .run()?;
    let directory = run.directory.clone();
    let record = Traced::of(run)?.record;
    check_sound(&record)?;
    ensure!(
        record.is_null("read_list")?,
        "{}",
        record.value("read_list")?
    );
    ensure!(
        !directory.join("reads.parquet").exists(),
        "there is a list nobody asked for"
    );
    Ok(())
}

/// A folder that has room for the record and none for the list.
fn full_disk(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let small = ground.scratch.fresh_directory("small")?;
    let mounted = small.clone();
    let _unmount = on_exit(move || {
        let _ = umount2(&mounted, nix::mount::MntFlags::MNT_DETACH);
    });
    mount(
        Some("tmpfs"),
        &small,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=400k"),
    )
    .context("mount a small tmpfs")?;
    let directory = small.join("run");
    let plan = ReadPlan::random(FILE_BYTES, 4096, 70_000, 5);
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option_with("--threads", 16);
    let run = TracerCall::bare(&ground.scratch, &["launch"])?
        .option("--out", &directory)
        .option("--model", file.path())
        .reader(&reader)
        .run()?;
    run.finished.succeeded()?;
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.count("reads.count")? == plan.reads.len() as u64,
        "the figures are not whole"
    );
    check_sound(&record)?;
    let error = record.text("read_list.error")?;
    ensure!(error.contains("No space left"), "{error}");
    ensure!(
        record.value("notes")?.to_string().contains(error),
        "no note says so"
    );
    let files: Vec<_> = fs::read_dir(&directory)
        .context("list the run's folder")?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .filter(|name| !name.to_string_lossy().starts_with("engine."))
        .collect();
    // The reports and the record, and nothing of the list.
    ensure!(files.len() == 3, "something is left of the list: {files:?}");
    Ok(())
}
