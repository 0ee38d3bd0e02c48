//! An engine that does what it is told, and what `tracer explain` says of its run.

use std::path::Path;

use anyhow::{Context as _, Result};
use tests::{disk::FileSystem, model_file::ModelFile, tracer::TracerCall};

use super::{MODEL_BYTES, reading::Said};
use crate::ground::Ground;

/// A run of `plain_engine`.
pub struct EngineRun<'a> {
    arguments: Vec<&'a str>,
    pub memory_max: Option<u64>,
    /// A program and its arguments that the engine's command follows.
    pub wrapper: &'a [&'a str],
}

/// What a command follows that may lock 64 KiB of memory.
pub const MAY_NOT_LOCK: &[&str] = &[
    "prlimit",
    "--memlock=65536:65536",
    "setpriv",
    "--bounding-set=-ipc_lock",
    "--inh-caps=-ipc_lock",
];

impl<'a> EngineRun<'a> {
    pub fn new(arguments: &[&'a str]) -> Self {
        Self {
            arguments: arguments.to_vec(),
            memory_max: None,
            wrapper: &[],
        }
    }

    pub fn explained(&self, ground: &Ground) -> Result<Said> {
        let disk = ground.disk(FileSystem::Ext4)?;
        disk.set_read_ahead_kb(128)?;
        let model = ModelFile::contiguous(&disk, "model", MODEL_BYTES)?;
        model.evict()?;
        let mut call = TracerCall::launch(&ground.scratch, model.path())?
            .option("--phase-line", "^go$=generation")
            .option("--phase-line", "^step$=step");
        if let Some(limit) = self.memory_max {
            call = call.option("--memory-max", limit.to_string());
        }
        let path = model.path().to_string_lossy();
        let mut command = self.wrapper.to_vec();
        command.extend([env!("CARGO_BIN_EXE_plain_engine"), &path]);
        command.extend(&self.arguments);
        let (program, arguments) = command.split_first().context("no command")?;
        let run = call.engine(Path::new(program), arguments).run()?;
        run.finished.succeeded().context("the traced engine")?;
        Said::of(ground, &run, None)
    }
}
