//! Phases and steps of a real engine: llama.cpp, from the package `xllamacpp`.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::{GgufLayout, ModelFile, write_dense_model},
    reference::has_helper,
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_sound},
    models::make_expert_model,
    real_engine::python,
    tensor_table::rows,
};

const TOKENS: u64 = 12;

const EVENTS: (&str, &str) = ("--detail", "events");
const COUNTS: (&str, &str) = ("--detail", "counts");

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [Kind::Dense, Kind::Experts] {
        for (name, options) in [("mapped", &[][..]), ("read", &["no-mmap"])] {
            cases.push(case(
                format!("phases::{}::{name}", kind.name()),
                move |ground, _| loaded_once(ground, kind, options),
            ));
        }
        cases.push(case(
            format!("phases::{}::under_a_memory_limit", kind.name()),
            move |ground, _| sums_under_a_memory_limit(ground, kind, &[EVENTS]).map(drop),
        ));
        cases.push(case(
            format!("phases::{}::counted", kind.name()),
            move |ground, _| sums_under_a_memory_limit(ground, kind, &[COUNTS]).map(drop),
        ));
        cases.push(case(
            format!("phases::{}::stepped_down", kind.name()),
            move |ground, _| stepped_down(ground, kind),
        ));
    }
    cases
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dense,
    Experts,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Dense => "dense",
            Self::Experts => "experts",
        }
    }

    /// Less than what llama.cpp and the whole model take, and more than llama.cpp without it.
    const fn memory_limit(self) -> &'static str {
        match self {
            Self::Dense => "60M",
            Self::Experts => "80M",
        }
    }

    fn make(self, ground: &Ground, disk: &LoopDisk) -> Result<PathBuf> {
        match self {
            Self::Dense => {
                let path = disk.mount_point().join("dense.gguf");
                write_dense_model(&path)?;
                Ok(path)
            }
            Self::Experts => make_expert_model(ground, disk),
        }
    }
}

/// Traces llama.cpp on a model; the model and what the tracer says.
fn generate(
    ground: &Ground,
    kind: Kind,
    options: &[&str],
    limit: Option<&str>,
    tracer_options: &[(&str, &str)],
) -> Result<(ModelFile, GgufLayout, RunRecord)> {
    let python = python()?;
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let path = kind.make(ground, &disk)?;
    let layout = GgufLayout::read(&path)?;
    let model = ModelFile::existing(path)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/llama_generate.py");
    let mut arguments = vec![
        script.to_owned(),
        model.path().to_string_lossy().into_owned(),
        TOKENS.to_string(),
    ];
    arguments.extend(options.iter().map(ToString::to_string));
    let mut call = TracerCall::launch(&ground.scratch, model.path())?;
    for (option, value) in tracer_options {
        call = call.option(option, *value);
    }
    if let Some(limit) = limit {
        call = call.option("--memory-max", limit);
    }
    let run = call.engine(&python, &arguments).run()?;
    run.finished.succeeded().context("the traced engine")?;
    let record = run.record()?;
    check_sound(&record)?;
    ensure!(
        record.text("marks.source")? == "uprobes",
        "the phases come from {}",
        record.value("marks")?
    );
    rows(&record, &layout.pieces())?;
    Ok((model, layout, record))
}

fn phase<'a>(record: &'a RunRecord, name: &str) -> Result<&'a Value> {
    record
        .value("phases")?
        .as_array()
        .context("phases is no array")?
        .iter()
        .find(|phase| phase.get("phase").is_some_and(|found| found == name))
        .with_context(|| format!("there is no phase {name}"))
}

fn count(value: &Value, member: &str) -> Result<u64> {
    value
        .get(member)
        .and_then(Value::as_u64)
        .with_context(|| format!("{member} is no whole number in {value}"))
}

/// With room in memory, loading reads all of the model once, and generating nothing.
fn loaded_once(ground: &Ground, kind: Kind, options: &[&str]) -> Result<()> {
    let (model, _, record) = generate(ground, kind, options, None, &[EVENTS])?;
    let load = phase(&record, "load")?;
    for member in ["read_bytes", "unique_bytes"] {
        ensure!(
            count(load, member)? == model.data_bytes(),
            "the model has {} bytes, and loading's {member} is {}: {load}",
            model.data_bytes(),
            count(load, member)?
        );
    }
    ensure!(
        load.get("coverage").and_then(Value::as_f64) == Some(1.0),
        "loading did not read all: {load}"
    );
    let generation = phase(&record, "generation")?;
    for member in ["read_bytes", "reads", "major_faults"] {
        let found = count(generation, member)?;
        ensure!(found == 0, "generating had {found} {member}: {generation}");
    }
    // The first token comes from the prompt's step.
    let steps = count(generation, "steps")?;
    ensure!(
        steps == TOKENS - 1,
        "{steps} steps generated {TOKENS} tokens: {}",
        record.value("tokens")?
    );
    let prompt = phase(&record, "prompt")?;
    ensure!(
        count(prompt, "steps")? == 1 && count(prompt, "read_bytes")? == 0,
        "the prompt is {prompt}"
    );
    check_sums(&record)
}

/// The events end in the midst of the run, and steps and phases are whole.
fn stepped_down(ground: &Ground, kind: Kind) -> Result<()> {
    let record = sums_under_a_memory_limit(ground, kind, &[EVENTS, ("--budget", "0.0001%")])?;
    if !has_helper("loop")? {
        return Ok(());
    }
    let (at_s, wall_s) = (
        record.number("overhead.budget.stepped_down.at_s")?,
        record.number("time.wall_s")?,
    );
    ensure!(
        record.value("detail")? == "counts" && at_s < wall_s,
        "it stepped down after {at_s} s of {wall_s} s"
    );
    Ok(())
}

fn sums_under_a_memory_limit(
    ground: &Ground,
    kind: Kind,
    tracer_options: &[(&str, &str)],
) -> Result<RunRecord> {
    let limit = Some(kind.memory_limit());
    let (model, _, record) = generate(ground, kind, &[], limit, tracer_options)?;
    let generation = phase(&record, "generation")?;
    ensure!(
        count(generation, "read_bytes")? > model.size_bytes() / 10
            && count(generation, "refaulted_bytes")? > 0
            && record.number("reads.amplification")? > 1.1,
        "the limit of {} changed nothing: {generation}",
        kind.memory_limit()
    );
    check_sums(&record)?;
    Ok(record)
}

/// Steps sum to their phase, and phases to the run.
fn check_sums(record: &RunRecord) -> Result<()> {
    let list = |name: &str| -> Result<&Vec<Value>> {
        record
            .value(name)?
            .as_array()
            .with_context(|| format!("{name} is no array"))
    };
    let (phases, tokens) = (list("phases")?, list("tokens")?);
    let sum = |values: &[&Value], member: &str| -> Result<u64> {
        values.iter().map(|value| count(value, member)).sum()
    };
    for phase in phases.iter().filter(|phase| phase["steps"] != 0) {
        let steps: Vec<_> = tokens
            .iter()
            .filter(|token| token.get("phase") == phase.get("phase"))
            .collect();
        ensure!(
            steps.len() as u64 == count(phase, "steps")?,
            "{} steps are in the phase {phase}",
            steps.len()
        );
        for member in [
            "read_bytes",
            "reads",
            "major_faults",
            "faults",
            "refaulted_bytes",
        ] {
            let (by_step, by_phase) = (sum(&steps, member)?, count(phase, member)?);
            ensure!(
                by_step == by_phase,
                "{member} is {by_step} over the steps, and in the phase {phase}"
            );
        }
    }
    let phases: Vec<_> = phases.iter().collect();
    for (member, total) in [
        ("read_bytes", "reads.total_bytes"),
        ("reads", "reads.count"),
        ("inserted_bytes", "page_cache.inserted_bytes"),
        ("evicted_bytes", "page_cache.evicted_bytes"),
        ("refaulted_bytes", "page_cache.refaulted_bytes"),
    ] {
        let (by_phase, of_run) = (sum(&phases, member)?, record.count(total)?);
        ensure!(
            by_phase == of_run,
            "{total} is {of_run}, and over the phases {by_phase}"
        );
    }
    Ok(())
}
