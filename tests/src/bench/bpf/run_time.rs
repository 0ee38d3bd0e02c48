//! Run-time statistics of programs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};

use super::call::{Command, bpf, open};

/// While it lives, the kernel measures every run of every program. That costs some 50 ns a run, which is in the
/// figures: an empty program tells how much it is ([`super::EmptyPrograms`]).
#[derive(Debug)]
pub struct RunTimeStatistics {
    _descriptor: OwnedFd,
}

/// For `BPF_ENABLE_STATS`; 0 is `BPF_STATS_RUN_TIME`.
#[repr(C)]
struct Kind(u32);

impl RunTimeStatistics {
    /// Switches them on.
    ///
    /// # Errors
    /// Without root, or before Linux 5.8.
    pub fn enable() -> Result<Self> {
        // SAFETY: laid out as the command wants it.
        let descriptor = unsafe { open(Command::EnableStatistics, &mut Kind(0)) }
            .context("switch on the run-time statistics of eBPF programs")?;
        Ok(Self {
            _descriptor: descriptor,
        })
    }
}

/// What a program has done since it was loaded, while statistics were on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramTime {
    /// Its name, of which the kernel keeps 15 bytes.
    pub name: String,
    /// How often it ran.
    pub runs: u64,
    /// How long, all runs together.
    pub time_ns: u64,
    /// Runs that were skipped because a program ran on that CPU already.
    pub skipped: u64,
}

/// For `BPF_PROG_GET_FD_BY_ID`.
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// For `BPF_OBJ_GET_INFO_BY_FD`.
#[repr(C)]
struct Ask {
    descriptor: u32,
    length: u32,
    information: u64,
}

/// `struct bpf_prog_info` as words. It has grown by 8-byte members only, and the kernel fills what it knows.
type Information = [u64; 28];
/// 16 bytes of name.
const NAME: usize = 64 / 8;
const RUN_TIME_NS: usize = 192 / 8;
const RUN_COUNT: usize = 200 / 8;
const RECURSION_MISSES: usize = 208 / 8;

/// Numbers of the programs that a process holds descriptors of.
///
/// # Errors
/// Where it has ended.
pub fn held_by(process_id: u32) -> Result<BTreeSet<u32>> {
    let folder = format!("/proc/{process_id}/fdinfo");
    let mut programs = BTreeSet::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {folder}"))? {
        // Closed meanwhile.
        let Ok(text) = entry.and_then(|entry| fs::read_to_string(entry.path())) else {
            continue;
        };
        programs.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("prog_id:")?.trim().parse::<u32>().ok()),
        );
    }
    Ok(programs)
}

/// What these programs have done so far, by number. One that is gone is left out.
///
/// # Errors
/// The kernel refuses to tell.
pub fn run_times(programs: &BTreeSet<u32>) -> Result<BTreeMap<u32, ProgramTime>> {
    let mut times = BTreeMap::new();
    for id in programs {
        let mut by_id = ById {
            id: *id,
            next: 0,
            flags: 0,
        };
        // SAFETY: laid out as the command wants it.
        let program = match unsafe { open(Command::ProgramById, &mut by_id) } {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            program => program.with_context(|| format!("open eBPF program {id}"))?,
        };
        times.insert(*id, run_time(&program)?);
    }
    Ok(times)
}

fn run_time(program: &OwnedFd) -> Result<ProgramTime> {
    let mut information: Information = [0; 28];
    let mut ask = Ask {
        descriptor: program.as_raw_fd().cast_unsigned(),
        length: u32::try_from(size_of::<Information>())?,
        information: information.as_mut_ptr().addr() as u64,
    };
    // SAFETY: laid out as the command wants it; the information is as long as is said, and outlives the call.
    unsafe { bpf(Command::ObjectInformation, &mut ask) }.context("ask about an eBPF program")?;
    let name: Vec<u8> = information[NAME..NAME + 2]
        .iter()
        .flat_map(|word| word.to_ne_bytes())
        .take_while(|byte| *byte != 0)
        .collect();
    Ok(ProgramTime {
        name: String::from_utf8_lossy(&name).into_owned(),
        runs: information[RUN_COUNT],
        time_ns: information[RUN_TIME_NS],
        skipped: information[RECURSION_MISSES],
    })
}
