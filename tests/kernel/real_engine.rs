//! A real engine: llama.cpp, from the package `xllamacpp`, on a model that the tracer made.

use std::{env, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, LoopDisk},
    environment::{MachineLock, unavailable},
    model_file::{ModelFile, extents_of},
    plan::{DeviceRequest, ExpectedFigures},
    reader::RunningProgram,
    reference::FtraceBlk,
    tracer::{self, TracerCall},
};

use crate::ground::{Case, Ground, case, check_figures, check_sound, sectors_between};

const TOKENS: u64 = 20;
const MODEL_SIZE: &str = "250M";
const DISK_BYTES: u64 = 700 << 20;
const LIMIT: Duration = Duration::from_secs(300);

pub fn cases() -> Vec<Case> {
    vec![
        case("real_engine::llama_cpp_mapped", |ground, lock| {
            generate(ground, lock, &[])
        }),
        case("real_engine::llama_cpp_read", |ground, lock| {
            generate(ground, lock, &["no-mmap"])
        }),
    ]
}

pub fn python() -> Result<PathBuf> {
    let python = env::var_os("TRACER_TESTS_PYTHON").ok_or_else(|| {
        unavailable(
            "TRACER_TESTS_PYTHON names no Python with xllamacpp (`cargo xtask test` makes one)",
        )
    })?;
    let python = PathBuf::from(python);
    let found = Command::new(&python)
        .args(["-c", "import xllamacpp"])
        .output()
        .with_context(|| format!("run {}", python.display()))?;
    ensure!(
        found.status.success(),
        "{} cannot import xllamacpp: {}",
        python.display(),
        String::from_utf8_lossy(&found.stderr).trim()
    );
    Ok(python)
}

fn make_model(ground: &Ground, disk: &LoopDisk) -> Result<ModelFile> {
    let path = disk.mount_point().join("model.gguf");
    let mut command = Command::new(tracer::binary()?);
    command
        .arg("make-model")
        .arg(&path)
        .args(["--size", MODEL_SIZE]);
    let finished = RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)?;
    finished.succeeded().context("make a model")?;
    ModelFile::existing(path)
}

fn generate(ground: &Ground, lock: &MachineLock, options: &[&str]) -> Result<()> {
    let python = python()?;
    let disk = LoopDisk::new(&ground.scratch, FileSystem::Ext4, DISK_BYTES)?;
    disk.set_read_ahead_kb(128)?;
    let model = make_model(ground, &disk)?;
    disk.remount()?;
    extents_of(model.path())?;

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/llama_generate.py");
    let mut arguments = vec![
        script.to_owned(),
        model.path().to_string_lossy().into_owned(),
        TOKENS.to_string(),
    ];
    arguments.extend(options.iter().map(ToString::to_string));
    let call = TracerCall::launch(&ground.scratch, model.path())?.engine(&python, &arguments);
    let before = disk.statistics()?;
    let ftrace = FtraceBlk::start(&disk, lock)?;
    let run = call.run()?;
    let after = disk.statistics()?;
    let trace = ftrace.finish()?;
    run.finished.succeeded().context("the traced engine")?;
    let record = run.record()?;
    check_sound(&record)?;

    // Every byte is read, whatever the tokens: that is what loading does.
    ensure!(
        record.count("reads.unique_bytes")? == model.data_bytes(),
        "unique is {}, and the model has {} bytes of data",
        record.count("reads.unique_bytes")?,
        model.data_bytes()
    );
    ensure!(
        record.number("reads.coverage")? == 1.0,
        "coverage is {}",
        record.number("reads.coverage")?
    );
    let device = sectors_between(&before, &after) * 512;
    let by_tracer = record.count("devices.0.read_bytes")?;
    let by_ftrace = trace.completed_read_sectors() * 512;
    // Before its window the tracer reads the model's header and drops it again.
    let header = device.saturating_sub(by_tracer);
    ensure!(
        device == by_ftrace && device >= by_tracer && header <= 64 << 10 && header % 4096 == 0,
        "bytes read: device {device}, ftrace {by_ftrace}, tracer {by_tracer}"
    );
    let mut issued = trace.issued_reads();
    let before_the_window = header_reads(&issued, header)?;
    issued.drain(..before_the_window);
    let expected = ExpectedFigures::of_requests(&issued, &model);
    if options.is_empty() {
        // Several threads fault at once: the order of two reads issued at the same moment is nobody's.
        ensure!(
            record.count("reads.count")? == expected.reads
                && record.count("reads.total_bytes")? == expected.total_bytes,
            "the tracer counted {}, ftrace {expected:?}",
            record.value("reads")?
        );
    } else {
        check_figures(&record, &expected)?;
    }
    check_engine(&run, &record)
}

/// How many of the first reads make up the bytes of the header, which the tracer reads before its window.
fn header_reads(issued: &[DeviceRequest], header_bytes: u64) -> Result<usize> {
    let mut sum = 0;
    for (number, read) in issued.iter().enumerate() {
        if sum == header_bytes {
            return Ok(number);
        }
        sum += read.length_bytes;
    }
    anyhow::bail!("the first reads do not sum to the header's {header_bytes} bytes")
}

/// The tracer's view of the engine is the engine's own.
fn check_engine(run: &tracer::TracedRun, record: &tests::run_record::RunRecord) -> Result<()> {
    let timings: serde_json::Value = run
        .finished
        .output
        .lines()
        .find(|line| line.contains("predicted_per_second"))
        .context("the engine printed no timings")
        .and_then(|line| serde_json::from_str(line).context("the engine's timings are no JSON"))?;
    let own = timings
        .get("predicted_per_second")
        .and_then(serde_json::Value::as_f64)
        .context("the engine's timings have no predicted_per_second")?;
    let found = record.number("engine.tokens_per_s")?;
    ensure!(
        (found / own - 1.0).abs() < 0.02,
        "the tracer says {found} tokens a second, the engine {own}"
    );
    let faults = record.count("process.major_faults")? + record.count("process.minor_faults")?;
    ensure!(faults > 0, "the engine had no page faults");
    let peak = record.count("process.peak.rss_bytes")?;
    ensure!(peak > 0, "the engine used no memory");
    Ok(())
}
