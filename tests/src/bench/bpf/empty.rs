//! Programs that do nothing: what any program costs.

use std::{
    ffi::CString,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};

use super::call::{Command, open};

/// `BPF_PROG_TYPE_RAW_TRACEPOINT`. The kernel calls it as it calls the tracer's own (`tp_btf`): both are run by
/// `bpf_trace_run…`.
const RAW_TRACEPOINT: u32 = 17;

/// `r0 = 0; exit`, as `struct bpf_insn`.
const INSTRUCTIONS: [[u8; 8]; 2] = [[0xb7, 0, 0, 0, 0, 0, 0, 0], [0x95, 0, 0, 0, 0, 0, 0, 0]];

/// Longest name of a program with its terminating zero, `BPF_OBJ_NAME_LEN`.
const NAME_LENGTH: usize = 16;

/// Members of `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
struct Load {
    program_type: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; NAME_LENGTH],
}

/// The same for `BPF_RAW_TRACEPOINT_OPEN`.
#[repr(C)]
struct Attach {
    name: u64,
    program: u32,
    padding: u32,
}

/// One program that does nothing on each of some tracepoints, until it is dropped.
#[derive(Debug)]
pub struct EmptyPrograms {
    _attachments: Vec<(OwnedFd, OwnedFd)>,
}

impl EmptyPrograms {
    /// Loads and attaches them.
    ///
    /// # Errors
    /// Without root, or where the kernel has no such tracepoint.
    pub fn attach(tracepoints: &[&str]) -> Result<Self> {
        let attachments = tracepoints
            .iter()
            .map(|tracepoint| {
                attach(tracepoint).with_context(|| {
                    format!("attach a program that does nothing to the tracepoint {tracepoint}")
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            _attachments: attachments,
        })
    }
}

fn attach(tracepoint: &str) -> Result<(OwnedFd, OwnedFd)> {
    let license = c"GPL";
    let mut name = [0; NAME_LENGTH];
    // The rest stays 0.
    for (to, from) in name
        .iter_mut()
        .zip(tracepoint.bytes().take(NAME_LENGTH - 1))
    {
        *to = from;
    }
    let mut load = Load {
        program_type: RAW_TRACEPOINT,
        instruction_count: u32::try_from(INSTRUCTIONS.len())?,
        instructions: INSTRUCTIONS.as_ptr().addr() as u64,
        license: license.as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log_buffer: 0,
        kernel_version: 0,
        flags: 0,
        name,
    };
    // SAFETY: laid out as the command wants it; instructions and license are static.
    let program = unsafe { open(Command::LoadProgram, &mut load) }.context("load it")?;
    let tracepoint = CString::new(tracepoint).context("the name has a zero in it")?;
    let mut attach = Attach {
        name: tracepoint.as_ptr().addr() as u64,
        program: program.as_raw_fd().cast_unsigned(),
        padding: 0,
    };
    // SAFETY: laid out as the command wants it; the name outlives the call.
    let link = unsafe { open(Command::OpenRawTracepoint, &mut attach) }.context("attach it")?;
    Ok((program, link))
}
