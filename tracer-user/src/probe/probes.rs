//! Uprobes on an engine's functions, and the engine's processes: what becomes known while the engine runs.

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf,
    programs::{
        UProbe,
        uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
    },
};
use tracer_common::{mark::BatchAction, program::Program};

/// One place of a file to be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePoint {
    /// Number of the function, which its records carry.
    pub symbol: u16,
    /// Where it lies in the file, bytes.
    pub file_offset_bytes: u64,
    /// What it has to do with a batch of tokens.
    pub action: BatchAction,
    /// Whether its return is probed instead of its entry.
    pub returns: bool,
}

/// Loads the programs, so that attaching them later takes little time.
pub(super) fn load(ebpf: &mut Ebpf) -> anyhow::Result<()> {
    for marked in [Program::MarkEntry, Program::MarkReturn] {
        load_one(ebpf, marked.name())?;
    }
    Ok(())
}

/// Has the kernel verify one of them.
pub(super) fn load_one(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    program(ebpf, name)?
        .load()
        .with_context(|| format!("the kernel refused program {name}"))
}

/// Puts a loaded program on a function of this process, for this process alone.
pub(super) fn attach_to_ourselves(ebpf: &mut Ebpf, name: &str) -> anyhow::Result<()> {
    let address = probed as fn() as usize as u64;
    let maps = procfs::process::Process::myself()?.maps()?;
    let mapping = maps
        .iter()
        .find(|map| (map.address.0..map.address.1).contains(&address))
        .ok_or_else(|| anyhow!("/proc/self/maps does not hold our own code"))?;
    let offset = address - mapping.address.0 + mapping.offset;
    let location = UProbeAttachPoint {
        location: UProbeAttachLocation::AbsoluteOffset(offset),
        cookie: Some(0),
    };
    program(ebpf, name)?
        .attach(location, "/proc/self/exe", UProbeScope::CallingProcess)
        .with_context(|| format!("cannot attach program {name} to a function of our own"))?;
    Ok(())
}

/// A place to probe; nothing calls it.
#[inline(never)]
fn probed() {
    std::hint::black_box(());
}

/// The program of that name.
pub(super) fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> anyhow::Result<&'a mut UProbe> {
    ebpf.program_mut(name)
        .map(<&mut UProbe>::try_from)
        .ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?
        .map_err(Into::into)
}
