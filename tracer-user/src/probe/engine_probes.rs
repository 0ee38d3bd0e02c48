//! What of the engine a session looks at: functions that are probed, processes whose waits count.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use aya::{
    maps::{Array, HashMap, MapData},
    programs::uprobe::{UProbeAttachLocation, UProbeAttachPoint, UProbeScope},
};
use tracer_common::{engine, mark::cookie, page::MARKS, program::Program};

use super::{
    Session,
    probes::{ProbePoint, keep_in_memory, program},
};

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
        let refused = || {
            format!(
                "cannot probe {} at offset {:#x}",
                file.display(),
                point.file_offset_bytes
            )
        };
        if let Some(linked) = self.linked_probes() {
            return linked.probe(file, point).with_context(refused);
        }
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
            .with_context(refused)?;
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
