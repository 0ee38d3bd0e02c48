//! Causes that are in what memory is used for.

use std::{process::Command, time::Duration};

use anyhow::{Result, ensure};
use tests::{
    disk::{FileSystem, ZramSwap},
    environment::MemoryGroup,
    model_file::ModelFile,
    reader::RunningProgram,
    tracer::{TracedRun, TracerCall},
};

use super::{
    MODEL_BYTES, TIGHT_BYTES,
    engine::{EngineRun, MAY_NOT_LOCK},
    passes,
    reading::{Reading, Said},
};
use crate::ground::Ground;

const LIMIT: Duration = Duration::from_secs(60);

/// One scan, of which nothing comes back, under a limit of the group: there is room to be made, and nothing is lost.
pub fn limit(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.memory_max = Some(TIGHT_BYTES);
    let said = reading.explained(ground)?;
    said.comes_first("reclaim")?;
    let advice = &said.model()["causes"][0]["advice"];
    ensure!(
        advice
            .as_str()
            .is_some_and(|advice| advice.contains("limit of the engine's own control group")),
        "{advice}"
    );
    reading.memory_max = None;
    reading.explained(ground)?.does_not_come("reclaim")
}

/// The same limit on a group that the tracer did not make, as of a container, that it attaches to: the record says whose it is.
pub fn limit_of_a_container(ground: &Ground) -> Result<()> {
    let said = |limit_bytes| -> Result<Said> {
        let disk = ground.disk(FileSystem::Ext4)?;
        disk.set_read_ahead_kb(128)?;
        let model = ModelFile::contiguous(&disk, "model", MODEL_BYTES)?;
        let group = MemoryGroup::new(limit_bytes)?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"echo 0 > "$0"; read -r line; exec "$@""#])
            .arg(group.procs())
            .arg(env!("CARGO_BIN_EXE_plain_engine"))
            .arg(model.path())
            .args(["--steps", "3"]);
        let mut engine = RunningProgram::start(&ground.scratch, command)?;
        let call = TracerCall::attach(&ground.scratch, engine.process_id())?
            .option("--detail", "events")
            .option("--model", model.path());
        let directory = call.directory().to_owned();
        let tracer = call.start()?;
        tracer.wait_until("it traces", LIMIT, |tracer| {
            tracer.errors_so_far().contains("tracing process")
        })?;
        engine.send_line("go")?;
        engine.finish(LIMIT)?.succeeded()?;
        let finished = tracer.finish(LIMIT)?;
        finished.succeeded()?;
        Said::of(
            ground,
            &TracedRun {
                finished,
                directory,
            },
            None,
        )
    };
    let tight = said(TIGHT_BYTES)?;
    let cause = tight.comes("reclaim")?;
    ensure!(
        cause["only_likely"] == false
            && cause["advice"]
                .as_str()
                .is_some_and(|advice| advice.contains("was found in")),
        "{cause}"
    );
    let wide = said(4 * MODEL_BYTES)?;
    wide.does_not_come("reclaim")?;
    wide.does_not_come("limit_counts_cache")
}

/// The model fits, and with it the group is nearly full: it looks as if more were needed.
pub fn limit_counts_cache(ground: &Ground) -> Result<()> {
    let mut run = EngineRun::new(&[]);
    run.memory_max = Some(MODEL_BYTES + (4 << 20));
    run.explained(ground)?.comes_first("limit_counts_cache")?;
    run.memory_max = Some(4 * MODEL_BYTES);
    run.explained(ground)?.does_not_come("limit_counts_cache")
}

pub fn second_copy(ground: &Ground) -> Result<()> {
    let copied = EngineRun::new(&["--load", "copy"]).explained(ground)?;
    copied.comes_first("second_copy")?;
    for load in ["map", "direct-copy"] {
        EngineRun::new(&["--load", load])
            .explained(ground)?
            .does_not_come("second_copy")?;
    }
    Ok(())
}

/// The engine says that it has copied most of the weights: what stays cached of these is dead, and what was read past the page
/// cache is not there.
pub fn dead_weights(ground: &Ground) -> Result<()> {
    let repacked = (MODEL_BYTES / 2).to_string();
    let run = |load| {
        EngineRun::new(&["--load", load, "--says-repacked-bytes", &repacked]).explained(ground)
    };
    run("map")?.comes_first("dead_weights")?;
    run("direct-copy")?.does_not_come("dead_weights")?;
    let said = EngineRun::new(&["--load", "map", "--says-repacked-bytes", "1048576"]);
    said.explained(ground)?.does_not_come("dead_weights")
}

/// Memory that grows with each token, under a limit that the model alone fits.
pub fn memory_growth(ground: &Ground) -> Result<()> {
    let run = |growth: &str| {
        let mut run = EngineRun::new(&["--steps", "8", "--growth-bytes", growth]);
        run.memory_max = Some(MODEL_BYTES + (12 << 20));
        run.explained(ground)
    };
    run("4194304")?.comes("memory_growth")?;
    run("0")?.does_not_come("memory_growth")
}

/// Weights in the engine's own memory, under a limit that they do not fit: they go to compressed memory and come back.
pub fn swap(ground: &Ground) -> Result<()> {
    let _swap = ZramSwap::new(2 * MODEL_BYTES)?;
    let said = |limit_bytes| {
        let group = MemoryGroup::new(limit_bytes)?;
        let procs = group.procs();
        let procs = procs.to_string_lossy();
        let mut run = EngineRun::new(&["--load", "direct-copy"]);
        // As a container that may swap: the tracer's own group may not.
        let wrapper = ["/bin/sh", "-c", r#"echo 0 > "$0"; exec "$@""#, &procs];
        run.wrapper = &wrapper;
        run.explained(ground)
    };
    let tight = said(MODEL_BYTES / 2)?;
    let cause = tight.comes("swap")?;
    ensure!(
        cause["only_likely"] == false,
        "it is the engine's own: {cause}"
    );
    said(4 * MODEL_BYTES)?.does_not_come("swap")
}

/// An engine that may not lock memory goes on without: nobody sees that but who looks.
pub fn lock_without_effect(ground: &Ground) -> Result<()> {
    let mut run = EngineRun::new(&["--mlock"]);
    run.wrapper = MAY_NOT_LOCK;
    run.explained(ground)?.comes_first("lock_without_effect")?;
    run.wrapper = &[];
    run.explained(ground)?.does_not_come("lock_without_effect")
}
