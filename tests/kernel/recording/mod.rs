//! The recording of a run: its figures from it again, to the digit, and what DuckDB finds in it.

mod killed;
mod parts;
mod perfetto;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::FileSystem, environment::unavailable, model_file::ModelFile, plan::ReadPlan,
    reader::ReadMode, run_record::RunRecord, tracer, tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, Traced, case, check_sound},
    models::make_expert_model,
    shapes::FILE_BYTES,
};

pub fn cases() -> Vec<Case> {
    vec![
        case("recording::the_same_figures_again", |ground, _| {
            the_same_figures_again(ground)
        }),
        case("recording::by_itself_and_off", |ground, _| {
            by_itself_and_off(ground)
        }),
        case(
            "recording::of_an_engine_exported_and_in_parts",
            |ground, _| {
                let (directory, record) = engine_short_of_memory(ground)?;
                perfetto::check(&directory, &record)?;
                parts::check(&directory, &record)
            },
        ),
        case("recording::killed", |ground, _| killed::check(ground)),
    ]
}

/// What of `run.json` comes from the recording.
const FROM_EVENTS: [&str; 12] = [
    "reads",
    "gaps",
    "bandwidth",
    "arrivals",
    "latency_us",
    "phases",
    "tokens",
    "tensors",
    "page_cache",
    "page_course",
    "residency_course",
    "memory_course",
];

/// What a command of the tracer prints about a run.
fn printed(run: &Path, command: &[&str]) -> Result<String> {
    let output = Command::new(tracer::binary()?)
        .arg(command.first().context("a command")?)
        .arg(run)
        .args(command.iter().skip(1))
        .output()
        .context("run the tracer")?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn the_same_figures_again(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let file = ModelFile::fragmented(&disk, "model", 24, 64 << 10)?;
    let size = file.model.size_bytes();
    let plan = ReadPlan::random(size, 4096, 2000, 5);
    let reader = ground
        .reader(&file.model, &plan, ReadMode::Buffered)?
        .option_with("--threads", 4);
    let run = TracerCall::launch(&ground.scratch, file.model.path())?
        .flag("--record")
        .reader(&reader)
        .run()?;
    let directory = run.directory.clone();
    let record = Traced::of(run)?.record;
    check_sound(&record)?;
    ensure!(
        record.is_null("recording.error")?,
        "{}",
        record.value("recording")?
    );

    let words = printed(&directory, &["validate"])?;
    ensure!(words.contains("all readable"), "{words}");
    let again: Value = serde_json::from_str(&printed(&directory, &["open", "--json"])?)?;
    for member in FROM_EVENTS {
        let (was, is) = (record.value(member)?, again.get(member));
        ensure!(
            Some(was) == is,
            "{member} was {was} and is {}",
            is.unwrap_or(&Value::Null)
        );
    }
    // Each read is in one of two halves of the time.
    let wall_s = record.number("time.wall_s")?;
    let middle = format!("{}ms", (wall_s * 500.0) as u64);
    let count = |window: &[&str]| -> Result<u64> {
        let command: Vec<&str> = ["open", "--json"].iter().chain(window).copied().collect();
        let part: Value = serde_json::from_str(&printed(&directory, &command)?)?;
        part["reads"]["count"].as_u64().context("no count")
    };
    let parts = count(&["--to", &middle])? + count(&["--from", &middle])?;
    ensure!(
        parts == record.count("reads.count")?,
        "{parts} reads in both parts"
    );
    documented_queries(&directory)
}

/// A run of the built-in engine with less memory than its model needs, recorded: with steps, evictions, waits.
fn engine_short_of_memory(ground: &Ground) -> Result<(PathBuf, RunRecord)> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let path = make_expert_model(ground, &disk)?;
    let engine = tracer::binary()?;
    let model = path.to_string_lossy();
    let arguments = [
        "engine",
        "--model",
        &*model,
        "--tokens",
        "4",
        "--prompt-tokens",
        "2",
    ];
    let run = TracerCall::launch(&ground.scratch, &path)?
        .flag("--record")
        .option("--memory-max", "90M")
        .engine(&engine, &arguments)
        .run()?;
    run.finished.succeeded().context("the traced engine")?;
    let record = run.record()?;
    check_sound(&record)?;
    Ok((run.directory.clone(), record))
}

/// Every query of the documentation is one that DuckDB answers.
fn documented_queries(run: &Path) -> Result<()> {
    const SCRIPT: &str = "import duckdb, os, sys\n\
        os.chdir(sys.argv[1])\n\
        connection = duckdb.connect()\n\
        for query in sys.argv[2:]:\n\
        \x20   answer = connection.sql(query)\n\
        \x20   print(0 if answer is None else len(answer.fetchall()))";
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/SCHEMA.md"))
        .context("read the documentation")?;
    let queries: Vec<&str> = text
        .split("```sql\n")
        .skip(1)
        .filter_map(|block| block.split("```").next())
        .collect();
    ensure!(queries.len() >= 7, "{} queries", queries.len());
    let python = env::var_os("TRACER_TESTS_DUCKDB_PYTHON").ok_or_else(|| {
        unavailable(
            "TRACER_TESTS_DUCKDB_PYTHON names no Python with DuckDB (`cargo xtask test` makes one)",
        )
    })?;
    let output = Command::new(&python)
        .args(["-c", SCRIPT])
        .arg(run)
        .args(&queries)
        .output()
        .with_context(|| format!("run {}", Path::new(&python).display()))?;
    ensure!(
        output.status.success(),
        "DuckDB refuses a query of docs/SCHEMA.md: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows = String::from_utf8(output.stdout)?;
    // This reader takes no steps, and may wait for nothing; the other tables are not empty.
    let full = rows.lines().filter(|rows| *rows != "0").count();
    ensure!(full >= 5, "rows of each query: {rows}");
    Ok(())
}

/// `launch` records by itself, unless it is told not to, counts, or is to name nothing.
fn by_itself_and_off(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, 4096, 100, 5);
    let reader = ground.reader(&file, &plan, ReadMode::Direct)?;
    for (flags, records) in [
        (&[][..], true),
        (&["--no-record"], false),
        (&["--detail=counts"], false),
        (&["--redact"], false),
    ] {
        let out = ground.scratch.fresh_path("run");
        let call = TracerCall::bare(&ground.scratch, &["launch"])?
            .option("--out", &out)
            .option("--model", file.path());
        let call = flags.iter().fold(call, |call, flag| call.flag(flag));
        let finished = call
            .reader(&reader)
            .start()?
            .finish(Duration::from_secs(60))?;
        finished.succeeded().with_context(|| format!("{flags:?}"))?;
        let record = RunRecord::load(&out)?;
        check_sound(&record)?;
        ensure!(
            record.is_null("recording")? != records && out.join("recording").exists() == records,
            "{flags:?}: {}",
            record.value("recording")?
        );
    }
    Ok(())
}
