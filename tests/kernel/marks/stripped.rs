//! The tracer as it is packaged: nothing in its file names a function, and its own engine's steps are seen all the same.

use std::process::Command;

use anyhow::{Result, ensure};
use tests::{
    disk::FileSystem, environment::unavailable, reader::RunningProgram, reference::has_helper,
    run_record::RunRecord, tracer, tracer::TracerCall,
};

use super::{no_step_is_claimed, steps};
use crate::{ground::Ground, models::make_expert_model};

pub(super) fn a_stripped_program_and_its_own_engine(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = make_expert_model(ground, &disk)?;
    let stripped = ground.scratch.fresh_path("tracer");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(&stripped).arg(tracer::binary()?);
    let done = RunningProgram::start(&ground.scratch, strip)?
        .finish(std::time::Duration::from_secs(60))?;
    if !done.status.success() {
        return Err(unavailable(format!("strip cannot do it: {}", done.errors)));
    }
    let mut command = Command::new(&stripped);
    command.arg("launch");
    let run = ground.scratch.fresh_path("run");
    let path = model.to_string_lossy().into_owned();
    TracerCall::of_copy(&ground.scratch, command, run.clone())
        .flag("--no-record")
        .option("--model", &model)
        .engine(
            &stripped,
            &[
                "engine",
                "--model",
                &path,
                "--tokens",
                "2",
                "--prompt-tokens",
                "1",
            ],
        )
        .run()?
        .finished
        .succeeded()?;
    let record = RunRecord::load(&run)?;
    if !has_helper("get_attach_cookie")? {
        return no_step_is_claimed(&record);
    }
    let found = steps(&record)?;
    let phases: Vec<&str> = found.iter().map(|(phase, _)| phase.as_str()).collect();
    ensure!(
        phases == ["prompt", "generation"],
        "the steps are {phases:?}"
    );
    Ok(())
}
