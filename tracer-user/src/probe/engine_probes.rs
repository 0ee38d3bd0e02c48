//! What of the engine a session looks at: functions that are probed, processes whose waits count.

use std::{fs::File, io, path::Path};

use anyhow::{Context as _, anyhow};
use aya::{
    maps::{Array, HashMap, MapData},
    programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
};
use memmap2::{Mmap, MmapOptions};
use tracer_common::{engine, mark::cookie, page::MARKS, program::Program};

use super::{
    Session,
    probes::{ProbePoint, program},
};

/// Longest instruction, bytes, on any architecture with probes: one may lie on two pages.
const LONGEST_INSTRUCTION: u64 = 16;

/// Brings an instruction's page into the page cache, from which nothing takes it while the mapping is there. It is a shared
/// one: in a private one the kernel would put the probe itself, into a copy (`valid_vma` in kernel/events/uprobes.c).
fn keep_in_memory(file: &Path, offset_bytes: u64) -> io::Result<Mmap> {
    let file = File::open(file)?;
    let end = (offset_bytes + LONGEST_INSTRUCTION).min(file.metadata()?.len());
    let length = usize::try_from(end.saturating_sub(offset_bytes)).map_err(io::Error::other)?;
    // SAFETY: nothing reads it: the mapping only holds the page.
    let mapping = unsafe {
        MmapOptions::new()
            .offset(offset_bytes)
            .len(length)
            .populate()
            .map(&file)
    }?;
    // Where the limit of locked memory is used up, the page is at least in use.
    let _ = mapping.lock();
    Ok(mapping)
}

impl Session {
    /// Probes a function in a file, for every process that maps it. The session's end removes the probe.
    ///
    /// # Errors
    /// The file cannot be probed there.
    pub fn probe(&mut self, file: &Path, point: ProbePoint) -> anyhow::Result<()> {
        // The kernel copies the instruction where it first puts a probe into a mapping, which may be while a program is
        // started. A page that is not in memory is read then with the process's memory locked, which ext4 warns of
        // (`uprobe_mmap`, `ext4_check_map_extents_env`): with `panic_on_warn` the machine would go down.
        let kept = keep_in_memory(file, point.file_offset_bytes)
            .with_context(|| format!("cannot read {}", file.display()))?;
        self.keep_while_probed(kept);
        let marked = if point.returns {
            Program::MarkReturn
        } else {
            Program::MarkEntry
        };
        let location = UProbeAttachPoint {
            location: UProbeAttachLocation::AbsoluteOffset(point.file_offset_bytes),
            cookie: Some(cookie::of(point.symbol, point.action)),
        };
        program(self.programs(), marked.name())?
            .attach(location, file, UProbeScope::AllProcesses)
            .with_context(|| {
                format!(
                    "cannot probe {} at offset {:#x}",
                    file.display(),
                    point.file_offset_bytes
                )
            })?;
        Ok(())
    }

    /// Takes the waits of a process into account, and those of processes that it starts from now on.
    ///
    /// # Errors
    /// The table is full.
    pub fn add_engine_process(&mut self, process_id: u32) -> anyhow::Result<()> {
        self.name_process(process_id, engine::MEMBER)
    }

    /// Takes the waits of processes that this process starts from now on into account, but not its own.
    ///
    /// # Errors
    /// The table is full.
    pub fn begin_to_start_engine(&mut self) -> anyhow::Result<()> {
        self.name_process(std::process::id(), engine::STARTER)
    }

    /// What this process starts from now on is none of the engine's.
    ///
    /// # Errors
    /// The map cannot be written.
    pub fn has_started_engine(&mut self) -> anyhow::Result<()> {
        self.engine_processes()?.remove(&std::process::id())?;
        Ok(())
    }

    fn name_process(&mut self, process_id: u32, state: u8) -> anyhow::Result<()> {
        // The mark first: without it the programs do not look for the process.
        let map = self
            .programs()
            .map_mut("ENGINE_MARKS")
            .ok_or_else(|| anyhow!("the eBPF object has no map ENGINE_MARKS"))?;
        Array::<_, u8>::try_from(map)?.set(process_id % MARKS, 1, 0)?;
        self.engine_processes()?.insert(process_id, state, 0)?;
        Ok(())
    }

    fn engine_processes(&mut self) -> anyhow::Result<HashMap<&mut MapData, u32, u8>> {
        let map = self
            .programs()
            .map_mut("ENGINE_PROCS")
            .ok_or_else(|| anyhow!("the eBPF object has no map ENGINE_PROCS"))?;
        Ok(HashMap::try_from(map)?)
    }
}
