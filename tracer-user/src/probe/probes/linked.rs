//! Probes of functions by links of their own kind (`uprobe_multi`, Linux 6.6): for who has CAP_BPF and CAP_PERFMON alone.
//! The other road, an event of perf, asks for CAP_SYS_ADMIN since Linux 6.17 (`perf_uprobe_event_init` in
//! kernel/events/core.c) and in the maintained series before it; `bpf_uprobe_multi_link_attach` in kernel/trace/bpf_trace.c
//! asks for what loading the program has asked for.
//!
//! aya 0.14 makes no such links, and loads no program for them, which takes another attach type. So the object's two programs
//! are taken from it once more, with aya's own reader, on the maps that are there.

use std::{
    collections::HashSet,
    ffi::CString,
    fs::File,
    io,
    os::{
        fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, anyhow};
use aya::{Ebpf, maps::Map};
use aya_obj::Object;
use tracer_common::{mark::cookie, program::Program};

use super::{
    super::{
        apart::{Prober, Request},
        object::OBJECT,
    },
    link_call::{Place, link, load_program},
    place::ProbePoint,
};

const BOTH: [Program; 2] = [Program::MarkEntry, Program::MarkReturn];

/// The two programs for such links, and the links.
pub struct LinkedProbes {
    programs: Vec<(Program, OwnedFd)>,
    links: Vec<OwnedFd>,
    /// Who makes the links, where it is not this process.
    prober: Option<Prober>,
}

impl LinkedProbes {
    /// Has the kernel verify the programs, which use the maps of `ebpf`. With a prober that one puts them on their places.
    ///
    /// # Errors
    /// The kernel refuses one of them; the prober has ended.
    pub fn load(ebpf: &Ebpf, prober: Option<Prober>) -> anyhow::Result<Self> {
        let mut object = Object::parse(OBJECT).context("the eBPF object cannot be read")?;
        let sections: HashSet<usize> = object
            .functions
            .keys()
            .map(|(section, _)| *section)
            .collect();
        let maps = object.maps.clone();
        let there = maps
            .iter()
            .map(|(name, map)| Ok((name.as_str(), descriptor_of(ebpf, name)?, map)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        object.relocate_maps(there.into_iter(), &sections)?;
        object.relocate_calls(&sections)?;
        object.sanitize_functions(aya::features());
        let programs = BOTH
            .into_iter()
            .map(|program| {
                let name = program.name();
                let found = object
                    .programs
                    .get(name)
                    .ok_or_else(|| anyhow!("the eBPF object has no program {name}"))?;
                let function = object
                    .functions
                    .get(&found.function_key())
                    .ok_or_else(|| anyhow!("program {name} has no code"))?;
                let loaded = load_program(&function.instructions, &found.license)
                    .with_context(|| format!("the kernel refused program {name}"))?;
                Ok((program, loaded))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        if let (Some(prober), [(_, entry), (_, returns)]) = (&prober, programs.as_slice()) {
            prober.use_programs(entry, returns)?;
        }
        Ok(Self {
            programs,
            links: Vec::new(),
            prober,
        })
    }

    /// Probes a place of a file, for every process that maps it, until this is dropped.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn probe(&mut self, file: &Path, point: ProbePoint) -> io::Result<()> {
        let cookie = cookie::of(point.symbol, point.action);
        if let Some(prober) = &self.prober {
            let request = Request {
                offset_bytes: point.file_offset_bytes,
                cookie,
                returns: point.returns,
            };
            self.links.push(prober.probe(&File::open(file)?, request)?);
            return Ok(());
        }
        let wanted = if point.returns {
            Program::MarkReturn
        } else {
            Program::MarkEntry
        };
        let (_, program) = self
            .programs
            .iter()
            .find(|(program, _)| *program == wanted)
            .ok_or(io::ErrorKind::NotFound)?;
        self.links.push(link(
            program,
            &Place {
                file: &CString::new(file.as_os_str().as_bytes())?,
                offset_bytes: point.file_offset_bytes,
                cookie,
                returns: point.returns,
                process_id: 0,
            },
        )?);
        Ok(())
    }
}

fn descriptor_of(ebpf: &Ebpf, name: &str) -> anyhow::Result<RawFd> {
    let map = ebpf
        .map(name)
        .ok_or_else(|| anyhow!("the map {name} is with somebody else"))?;
    let data = match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::PerfEventArray(data)
        | Map::RingBuf(data)
        | Map::Unsupported(data) => data,
        _ => return Err(anyhow!("the map {name} is of a kind that no program has")),
    };
    Ok(data.fd().as_fd().as_raw_fd())
}
