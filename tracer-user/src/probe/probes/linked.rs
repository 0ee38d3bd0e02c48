//! Probes of functions by links of their own kind (`uprobe_multi`, Linux 6.6): for who has CAP_BPF and CAP_PERFMON alone.
//! The other road, an event of perf, asks for CAP_SYS_ADMIN since Linux 6.17 (`perf_uprobe_event_init` in
//! kernel/events/core.c) and in the maintained series before it; `bpf_uprobe_multi_link_attach` in kernel/trace/bpf_trace.c
//! asks for what loading the program has asked for.
//!
//! aya 0.14 makes no such links, and loads no program for them, which takes another attach type. So the object's two programs
//! are taken from it once more, with aya's own reader, on the maps that are there.

use std::{
    collections::HashSet,
    ffi::{CStr, CString},
    io,
    mem::size_of,
    os::{
        fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use anyhow::{Context as _, anyhow};
use aya::{Ebpf, maps::Map};
use aya_obj::{
    Object,
    generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type},
};
use tracer_common::{mark::cookie, program::Program};

use super::{super::object::OBJECT, place::ProbePoint};

/// `BPF_F_UPROBE_MULTI_RETURN` (include/uapi/linux/bpf.h).
const ON_RETURN: u32 = 1;
const BOTH: [Program; 2] = [Program::MarkEntry, Program::MarkReturn];

/// The two programs for such links, and the links.
pub struct LinkedProbes {
    programs: Vec<(Program, OwnedFd)>,
    links: Vec<OwnedFd>,
}

impl LinkedProbes {
    /// Has the kernel verify the programs, which use the maps of `ebpf`.
    ///
    /// # Errors
    /// The kernel refuses one of them.
    pub fn load(ebpf: &Ebpf) -> anyhow::Result<Self> {
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
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            programs,
            links: Vec::new(),
        })
    }

    /// Probes a place of a file, for every process that maps it, until this is dropped.
    ///
    /// # Errors
    /// The kernel refuses it.
    pub fn probe(&mut self, file: &Path, point: ProbePoint) -> io::Result<()> {
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
                cookie: cookie::of(point.symbol, point.action),
                returns: point.returns,
                process_id: 0,
            },
        )?);
        Ok(())
    }
}

/// Whether such probes may be made here: found out by making one on a place of this program, for this process.
///
/// # Errors
/// What the kernel says.
pub fn try_out(own_offset_bytes: u64) -> io::Result<()> {
    // r0 = 0; exit
    let mut nothing: [bpf_insn; 2] = [bpf_insn {
        code: 0xb7,
        _bitfield_align_1: [],
        _bitfield_1: bpf_insn::new_bitfield_1(0, 0),
        off: 0,
        imm: 0,
    }; 2];
    nothing[1].code = 0x95;
    let program = load_program(&nothing, c"GPL")?;
    link(
        &program,
        &Place {
            file: c"/proc/self/exe",
            offset_bytes: own_offset_bytes,
            cookie: 0,
            returns: false,
            process_id: std::process::id(),
        },
    )
    .map(drop)
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

fn load_program(instructions: &[bpf_insn], license: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: a union of plain numbers, for which zero is a value.
    let mut attributes: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the member that this command takes.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_KPROBE as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    load.insns = instructions.as_ptr() as u64;
    load.insn_cnt = u32::try_from(instructions.len()).map_err(io::Error::other)?;
    load.license = license.as_ptr() as u64;
    // SAFETY: instructions and licence outlive the call.
    unsafe { call(bpf_cmd::BPF_PROG_LOAD, &attributes) }
}

/// A place of a file.
struct Place<'a> {
    file: &'a CStr,
    offset_bytes: u64,
    cookie: u64,
    returns: bool,
    /// 0: every process.
    process_id: u32,
}

fn link(program: &OwnedFd, place: &Place<'_>) -> io::Result<OwnedFd> {
    // SAFETY: a union of plain numbers, for which zero is a value.
    let mut attributes: bpf_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the member that this command takes.
    let create = unsafe { &mut attributes.link_create };
    create.__bindgen_anon_1.prog_fd = program.as_raw_fd().cast_unsigned();
    create.attach_type = bpf_attach_type::BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: the member that this kind of link takes.
    let probes = unsafe { &mut create.__bindgen_anon_3.uprobe_multi };
    probes.path = place.file.as_ptr() as u64;
    probes.offsets = std::ptr::from_ref(&place.offset_bytes) as u64;
    probes.cookies = std::ptr::from_ref(&place.cookie) as u64;
    probes.cnt = 1;
    probes.flags = if place.returns { ON_RETURN } else { 0 };
    probes.pid = place.process_id;
    // SAFETY: path, offset and cookie outlive the call.
    unsafe { call(bpf_cmd::BPF_LINK_CREATE, &attributes) }
}

/// # Safety
/// What the attributes point to must be there.
unsafe fn call(command: bpf_cmd, attributes: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are as large as is said, and the caller answers for what they point to.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            size_of::<bpf_attr>(),
        )
    };
    match RawFd::try_from(descriptor) {
        // SAFETY: the kernel made it for us; it is closed with a program that is started (both commands set O_CLOEXEC).
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}
