//! Events that the kernel did not hand to a program, and the programs' run time.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    time::Duration,
};

use tracer_common::program::Program;

/// What the kernel counted for one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRun {
    /// The program.
    pub program: Program,
    /// Times that the kernel skipped it, since it would have interrupted itself. None where this kernel
    /// skips programs and does not count it.
    pub recursion_misses: Option<u64>,
    /// Calls and time, where run-time statistics were on.
    pub run_time: Option<RunTimeStatistics>,
}

/// Run-time statistics of one program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunTimeStatistics {
    pub calls: u64,
    /// Time in the program, all CPUs together. The measurement itself costs about 50 ns a call, which are
    /// part of it.
    pub time: Duration,
}

/// Reads the counters of a loaded program. The recursion misses are in `/proc/self/fdinfo` only
/// (`bpf_prog_show_fdinfo` in `kernel/bpf/syscall.c`). `can_be_skipped` is what
/// [`KernelTypes::can_skip`](super::types::KernelTypes::can_skip) says.
pub(super) fn of_program(
    program: Program,
    loaded: &aya::programs::Program,
    run_time_measured: bool,
    can_be_skipped: bool,
) -> io::Result<ProgramRun> {
    let descriptor = loaded.fd().map_err(io::Error::other)?;
    let information = std::fs::read_to_string(format!(
        "/proc/self/fdinfo/{}",
        descriptor.as_fd().as_raw_fd()
    ))?;
    let run_time = if run_time_measured {
        let information = loaded.info().map_err(io::Error::other)?;
        Some(RunTimeStatistics {
            calls: information.run_count(),
            time: information.run_time(),
        })
    } else {
        None
    };
    Ok(ProgramRun {
        program,
        recursion_misses: recursion_misses(&information, can_be_skipped),
        run_time,
    })
}

fn recursion_misses(information: &str, can_be_skipped: bool) -> Option<u64> {
    fdinfo_value(information, "recursion_misses").or_else(|| (!can_be_skipped).then_some(0))
}

fn fdinfo_value(information: &str, key: &str) -> Option<u64> {
    information.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::{fdinfo_value, recursion_misses};

    #[test]
    fn misses_are_none_only_where_the_kernel_never_skips_a_program() {
        let counted = "prog_type:\t26\nrecursion_misses:\t76\n";
        assert_eq!(recursion_misses(counted, true), Some(76));
        assert_eq!(recursion_misses(counted, false), Some(76));
        assert_eq!(recursion_misses("prog_type:\t26\n", true), None);
        assert_eq!(recursion_misses("prog_type:\t26\n", false), Some(0));
    }

    #[test]
    fn fdinfo_is_read_by_name() {
        let text = "prog_type:\t26\nrun_cnt:\t0\nrecursion_misses:\t76\nverified_insns:\t40\n";
        assert_eq!(fdinfo_value(text, "recursion_misses"), Some(76));
        assert_eq!(fdinfo_value("prog_type:\t26\n", "recursion_misses"), None);
        assert_eq!(
            fdinfo_value("recursion_misses:\tmany\n", "recursion_misses"),
            None
        );
    }
}
