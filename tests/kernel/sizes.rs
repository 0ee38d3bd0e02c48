//! What `tracer size` says from one run, held against what the engine says of its experts, and against runs with other limits.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    disk::FileSystem,
    model_file::{Mapping, ModelFile},
    reader::RunningProgram,
    tracer::{self, TracerCall},
};

use crate::{
    ground::{Case, Ground, case},
    models::make_expert_model,
};

const LIMIT: Duration = Duration::from_secs(300);
const TOKENS: &str = "30";
/// Of 8 layers with 16 experts each: a quarter.
const PINNED: usize = 32;
/// So long that each layer has its turn several times.
const SECONDS_TO_SEE: &str = "6s";

pub fn cases() -> Vec<Case> {
    vec![
        case("sizes::experts", |ground, _| experts(ground)),
        case("sizes::experts_of_an_engine_that_serves", |ground, _| {
            experts_of_an_engine_that_serves(ground)
        }),
    ]
}

/// A run of the built-in engine; where a log is named it has the experts.
fn run(
    ground: &Ground,
    model: &ModelFile,
    limit: Option<&str>,
    log: Option<&Path>,
) -> Result<PathBuf> {
    let path = model.path().to_string_lossy().into_owned();
    let mut arguments: Vec<String> = ["engine", "--model", &path, "--tokens", TOKENS]
        .map(Into::into)
        .into();
    if let Some(log) = log {
        arguments.extend(["--expert-log".into(), log.to_string_lossy().into_owned()]);
    }
    let mut call = TracerCall::launch(&ground.scratch, model.path())?.flag("--record");
    if let Some(limit) = limit {
        call = call.option("--memory-max", limit);
    }
    let run = call.engine(&tracer::binary()?, &arguments).run()?;
    run.finished.succeeded().context("the traced engine")?;
    Ok(run.directory)
}

fn size(ground: &Ground, run: &Path, arguments: &[&str]) -> Result<tests::reader::Finished> {
    let mut command = Command::new(tracer::binary()?);
    command.arg("size").arg(run).args(arguments);
    RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)
}

fn sized(ground: &Ground, run: &Path, arguments: &[&str]) -> Result<Value> {
    let finished = size(ground, run, &[arguments, &["--json"]].concat())?;
    serde_json::from_str(finished.succeeded()?).context("what it printed")
}

fn experts(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let model = ModelFile::existing(make_expert_model(ground, &disk)?)?;
    let log = ground.scratch.fresh_path("experts");
    let seen = run(ground, &model, Some("95M"), Some(&log))?;

    // The experts that it takes for the most used are about those of the engine's own log.
    most_used_as_logged(ground, &seen, &log)?;
    holds_for(ground, &model, &seen, "105M")?;

    // Nothing shows the experts where all of them stay in memory.
    let roomy = run(ground, &model, None, None)?;
    let refused = size(ground, &roomy, &[])?;
    ensure!(
        refused.code() == 125
            && refused.errors.contains("--memory-max")
            && refused.errors.contains("--show-experts"),
        "{}: {}",
        refused.code(),
        refused.errors
    );
    Ok(())
}

fn most_used_as_logged(ground: &Ground, seen: &Path, log: &Path) -> Result<()> {
    let pinned = sized(ground, seen, &["--pin-experts", &PINNED.to_string()])?;
    let uses = uses(log)?;
    let listed = pinned["pinned_experts"].as_array().context("no experts")?;
    ensure!(listed.len() == PINNED, "{} experts", listed.len());
    let of = |expert: &Value| -> Option<u64> {
        let key = (expert[0].as_u64()?, expert[1].as_u64()?);
        Some(uses.get(&key).copied().unwrap_or(0))
    };
    let by_tracer: u64 = listed.iter().filter_map(of).sum();
    let mut most: Vec<u64> = uses.values().copied().collect();
    most.sort_unstable_by(|left, right| right.cmp(left));
    let truly: u64 = most.iter().take(PINNED).sum();
    let all: u64 = most.iter().sum();
    ensure!(
        by_tracer * 100 >= truly * 85,
        "the {PINNED} experts have {by_tracer} of {all} uses, and the most used ones {truly}: {listed:?}"
    );
    Ok(())
}

/// A run with another limit reads what was said of it.
fn holds_for(ground: &Ground, model: &ModelFile, seen: &Path, limit: &str) -> Result<()> {
    let other = run(ground, model, Some(limit), None)?;
    let other = other.to_string_lossy().into_owned();
    let record = sized(ground, seen, &["--measured", &other])?;
    let measured = &record["measured"][0];
    let read = measured["read_bytes"].as_f64().context("no bytes")?;
    let points = record["points"].as_array().context("no points")?;
    let point = points
        .iter()
        .find(|point| point["memory_bytes"] == measured["memory_bytes"])
        .context("no point of the other run")?;
    let end = |name: &str| point["read_bytes"][name].as_f64().context("no band");
    ensure!(
        (end("least")?..=end("most")?).contains(&read),
        "{read} bytes were read: {point:#}"
    );
    Ok(())
}

/// All experts are in memory, and thrown out in turn, so that they are read again. The engine goes on.
fn experts_of_an_engine_that_serves(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let model = ModelFile::existing(make_expert_model(ground, &disk)?)?;
    let log = ground.scratch.fresh_path("experts");
    let (path, tracer) = (
        model.path().to_string_lossy().into_owned(),
        tracer::binary()?,
    );
    let mut engine = Command::new(&tracer);
    engine.args([
        "engine",
        "--tokens",
        "1000000",
        "--model",
        &path,
        "--expert-log",
    ]);
    let engine = RunningProgram::start(&ground.scratch, with(engine, &log))?;
    let generates =
        |log: &Path| fs::read_to_string(log).is_ok_and(|text| text.contains("generation"));
    engine.wait_until("it generates", LIMIT, |_| generates(&log))?;
    let attach = |size: &str, seconds: &str| -> Result<tests::tracer::TracedRun> {
        TracerCall::attach(&ground.scratch, engine.process_id())?
            .option("--show-experts", size)
            .option("--duration", seconds)
            .run()
    };

    let traced = attach("32M", SECONDS_TO_SEE)?;
    traced.finished.succeeded()?;
    ensure!(engine.is_running()?, "the engine has ended");
    let record = traced.record()?;
    let shown = record.value("pressure.shown_experts")?;
    let number = |name: &str| shown[name].as_u64().context("no number");
    // By the engine's reads, which are counted apart: all that was read again had been thrown out.
    let (found, stayed) = (number("found_bytes")?, number("stayed_bytes")?);
    let read = record.count("reads.total_bytes")?;
    ensure!(
        number("rounds")? > 3 && found > 32 << 20 && stayed < found / 4 && read > 8 << 20,
        "{read} bytes were read: {shown}"
    );
    let explained = RunningProgram::start(
        &ground.scratch,
        with_arguments("explain", &traced.directory)?,
    )?
    .finish(LIMIT)?;
    ensure!(
        explained.succeeded()?.contains("the tracer's own doing"),
        "{}",
        explained.output
    );

    // Pages that a second process maps would stay.
    let other = Mapping::of(&fs::File::open(model.path())?)?;
    let refused = attach("32M", "3s")?;
    ensure!(
        refused.finished.code() == 125 && refused.finished.errors.contains("is mapped by"),
        "{}",
        refused.finished.errors
    );
    drop(other);
    engine.signal(Signal::SIGKILL)?;
    engine.ended(LIMIT)?;
    Ok(())
}

fn with(mut command: Command, argument: &Path) -> Command {
    command.arg(argument);
    command
}

fn with_arguments(subcommand: &str, run: &Path) -> Result<Command> {
    let mut command = Command::new(tracer::binary()?);
    command.arg(subcommand).arg(run);
    Ok(command)
}

/// How often each expert of each layer was used in generation, by the engine.
fn uses(log: &Path) -> Result<BTreeMap<(u64, u64), u64>> {
    let text = fs::read_to_string(log).context("the expert log")?;
    let mut uses = BTreeMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split('\t').collect();
        let [_, "generation", _, layer, experts] = fields[..] else {
            continue;
        };
        for expert in experts.split(',') {
            *uses.entry((layer.parse()?, expert.parse()?)).or_default() += 1;
        }
    }
    Ok(uses)
}
