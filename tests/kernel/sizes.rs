//! What `tracer size` says from one run, held against what the engine says of its experts, and against runs with other limits.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::FileSystem,
    model_file::ModelFile,
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

pub fn cases() -> Vec<Case> {
    vec![case("sizes::experts", |ground, _| experts(ground))]
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
    let pinned = sized(ground, &seen, &["--pin-experts", &PINNED.to_string()])?;
    let uses = uses(&log)?;
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

    // A run with another limit reads what was said of it.
    let other = run(ground, &model, Some("105M"), None)?;
    let other = other.to_string_lossy().into_owned();
    let record = sized(ground, &seen, &["--measured", &other])?;
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

    // Nothing shows the experts where all of them stay in memory.
    let roomy = run(ground, &model, None, None)?;
    let refused = size(ground, &roomy, &[])?;
    ensure!(
        refused.code() == 125 && refused.errors.contains("--memory-max"),
        "{}: {}",
        refused.code(),
        refused.errors
    );
    Ok(())
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
