//! The road by events of perf, which asks for CAP_SYS_ADMIN on most kernels.

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};
use tracer_common::program::Program;

use super::place::own_offset_bytes;

/// Loads the programs, so that attaching them later takes little time.
pub fn load(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    for marked in [Program::MarkEntry, Program::MarkReturn] {
        load_one(ebpf, marked.name())?;
    }
    Ok(())
}

/// Has the kernel verify one of them.
pub fn load_one(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    program(ebpf, name)?
        .load()
        .with_context(|| format!("the kernel refused program {name}"))
}

/// Puts a loaded program on a function of this process, for this process alone.
pub fn attach_to_ourselves(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let location = UProbeAttachPoint {
        location: UProbeAttachLocation::AbsoluteOffset(own_offset_bytes()?),
        cookie: Some(0),
    };
    program(ebpf, name)?
        .attach(location, "/proc/self/exe", UProbeScope::CallingProcess)
        .with_context(|| format!("cannot attach program {name} to a function of our own"))?;
    Ok(())
}

/// The program of that name.
pub fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut UProbe> {
    ebpf.program_mut(name)
        .map(<&mut UProbe>::try_from)
        .ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?
        .map_err(Into::into)
}
