//! The environment that this process was started with, also where it has capabilities of its file.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStrExt as _,
};

/// All variables. A program that has got rights from its file (`setcap`) is started in secure mode, in which the C library
/// takes away variables that change how it loads (`LD_LIBRARY_PATH`, ld.so(8)). An engine that is started for the caller
/// needs them, and never has these rights; so they are read from where the kernel put them.
#[must_use]
pub fn environment_at_start() -> Vec<(OsString, OsString)> {
    let own = || std::env::vars_os().collect();
    // SAFETY: reads a value of the auxiliary vector.
    if unsafe { libc::getauxval(libc::AT_SECURE) } == 0 {
        return own();
    }
    // Until then /proc/self/environ belongs to root. Who may not trace a process with capabilities may not do so in
    // between either: that takes all of its capabilities (`cap_ptrace_access_check`).
    let _ = nix::sys::prctl::set_dumpable(true);
    let read = fs::read("/proc/self/environ");
    let _ = nix::sys::prctl::set_dumpable(false);
    read.map_or_else(|_| own(), |bytes| parse_environment(&bytes))
}

/// The variables in what the kernel shows in `/proc/PID/environ`.
#[must_use]
pub fn parse_environment(bytes: &[u8]) -> Vec<(OsString, OsString)> {
    let entries = bytes.split(|byte| *byte == 0);
    entries
        .filter_map(|entry| {
            // A name may begin with an equals sign, and is never empty.
            let equals = entry.iter().skip(1).position(|byte| *byte == b'=')? + 1;
            let (name, value) = entry.split_at(equals);
            Some((
                OsStr::from_bytes(name).to_owned(),
                OsStr::from_bytes(value.get(1..)?).to_owned(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_keeps_is_what_the_library_shows() {
        let mut kept = parse_environment(&fs::read("/proc/self/environ").expect("it is ours"));
        let mut shown: Vec<_> = std::env::vars_os().collect();
        kept.sort();
        shown.sort();
        assert_eq!(kept, shown);
        assert_eq!(environment_at_start().len(), shown.len());
    }
}
