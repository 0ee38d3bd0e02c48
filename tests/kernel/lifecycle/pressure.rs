//! Memory that was taken away is given back.

use anyhow::{Result, ensure};
use tests::{disk::LoopDisk, model_file::ModelFile, reader::ReadMode, tracer::TracerCall};

use super::{direct_reader, plan};
use crate::{
    ground::{Ground, Traced, check_figures, check_sound},
    shapes,
};

pub(super) fn locked_memory(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .option("--lock", "64M")
        .reader(&direct_reader(ground, file)?)
        .run()?;
    let traced = Traced::of(run)?;
    let locked = traced.record.count("pressure.locked_bytes")?;
    ensure!(locked >= 64 << 20, "{locked} bytes were locked");
    check_figures(
        &traced.record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&traced.record)
}

pub(super) fn memory_limit(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .option("--memory-max", "64M")
        .reader(&direct_reader(ground, file)?)
        .run()?;
    let traced = Traced::of(run)?;
    let limit = traced.record.count("pressure.cgroup.limit_bytes")?;
    ensure!(limit == 64 << 20, "the limit is {limit}");
    check_figures(
        &traced.record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&traced.record)
}
