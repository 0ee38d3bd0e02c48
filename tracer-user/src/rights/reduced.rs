//! Giving rights up: what a thread does not need any more, an attacker in it does not get.

use std::{collections::HashSet, io};

use caps::{CapSet, Capability, CapsHashSet};

use super::{Held, OTHERS_PROCESSES, TRACING};

/// What a command still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It reads what others wrote, and writes for its user. A plain user needs no right for that; root reads what
    /// belongs to others, and hands on what it writes.
    FilesOnly,
    /// It traces, and may still have to attach to a library, look at a new process, or start the engine as its user.
    Tracing,
    /// The same, and it throws pages of the engine's out of memory, which takes CAP_SYS_NICE (`process_madvise(2)`).
    TracingAndPagingOut,
    /// Others load and attach for it: it reads what their programs count, and looks at the engine's processes.
    Looking,
    /// It probes functions for another process, and does nothing else.
    Probing,
    /// It connects to an address that it was told of, and does nothing else.
    Connecting,
}

/// What root's access to files of other users is made of.
const FILES_OF_OTHERS: [Capability; 4] = [
    Capability::CAP_DAC_READ_SEARCH,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_CHOWN,
    Capability::CAP_FOWNER,
];

/// What root needs to start a command as somebody else, to stop it, to take memory away, and to put limits back.
const ENGINE_OF_ANOTHER: [Capability; 5] = [
    Capability::CAP_SETUID,
    Capability::CAP_SETGID,
    Capability::CAP_KILL,
    Capability::CAP_SYS_RESOURCE,
    Capability::CAP_IPC_LOCK,
];

impl Kept {
    /// What of the held rights is kept.
    #[must_use]
    pub fn of(self, held: &Held) -> CapsHashSet {
        let mut kept: CapsHashSet = HashSet::new();
        let traces = matches!(self, Self::Tracing | Self::TracingAndPagingOut);
        if held.is_root() && !matches!(self, Self::Probing | Self::Connecting) {
            kept.extend(FILES_OF_OTHERS);
        }
        if self == Self::TracingAndPagingOut {
            kept.insert(Capability::CAP_SYS_NICE);
        }
        if traces || self == Self::Probing {
            kept.extend(TRACING);
        }
        if traces || self == Self::Looking {
            kept.extend(OTHERS_PROCESSES);
            kept.insert(Capability::CAP_CHECKPOINT_RESTORE);
        }
        if traces {
            // Asked for at a probe of a function, also of a library that the engine loads late.
            kept.insert(Capability::CAP_SYS_ADMIN);
            if held.is_root() {
                kept.extend(ENGINE_OF_ANOTHER);
            }
        }
        if self == Self::Looking && held.is_root() {
            // Pages of probed functions are locked in memory.
            kept.insert(Capability::CAP_IPC_LOCK);
        }
        kept.intersection(&held.effective).copied().collect()
    }
}

/// Gives up all that is not kept, for the calling thread and those that it starts from now on. It cannot be had back but by
/// starting another program, which [`forgo_new_privileges`] rules out.
///
/// # Errors
/// As of `capset(2)`.
pub fn reduce_this_thread(kept: Kept) -> io::Result<()> {
    let kept = kept.of(&Held::now());
    // What is ambient or inheritable would come back with the next program.
    // EINVAL: a kernel without ambient capabilities.
    let _ = caps::clear(None, CapSet::Ambient);
    for set in [CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        let wanted = match set {
            CapSet::Inheritable => HashSet::new(),
            _ => kept.clone(),
        };
        caps::set(None, set, &wanted).map_err(io::Error::other)?;
    }
    Ok(())
}

/// No program that this process starts gets rights that this process has not (`PR_SET_NO_NEW_PRIVS`), now and for good.
/// Not for a process that starts a user's command, for which `sudo` must go on to work.
///
/// # Errors
/// As of `prctl(2)`.
pub fn forgo_new_privileges() -> io::Result<()> {
    Ok(nix::sys::prctl::set_no_new_privs()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(uid: u32, effective: &[Capability]) -> Held {
        Held {
            uid,
            effective: effective.iter().copied().collect(),
        }
    }

    #[test]
    fn a_plain_user_keeps_what_tracing_takes_and_nothing_for_files() {
        let held = held(
            1000,
            &[
                Capability::CAP_BPF,
                Capability::CAP_PERFMON,
                Capability::CAP_NET_ADMIN,
                Capability::CAP_DAC_OVERRIDE,
            ],
        );
        assert_eq!(Kept::FilesOnly.of(&held), HashSet::new());
        assert_eq!(Kept::Tracing.of(&held), HashSet::from(TRACING));
        assert_eq!(Kept::Probing.of(&held), HashSet::from(TRACING));
        assert_eq!(Kept::Looking.of(&held), HashSet::new());
    }

    #[test]
    fn of_root_too_one_loads_and_another_looks() {
        let all = held(0, &caps::all().into_iter().collect::<Vec<_>>());
        assert_eq!(Kept::Probing.of(&all), HashSet::from(TRACING));
        let looks = Kept::Looking.of(&all);
        for capability in TRACING.into_iter().chain([Capability::CAP_SYS_ADMIN]) {
            assert!(!looks.contains(&capability), "{capability}");
        }
        assert!(looks.contains(&Capability::CAP_SYS_PTRACE));
    }

    #[test]
    fn who_connects_keeps_nothing() {
        let all = held(0, &caps::all().into_iter().collect::<Vec<_>>());
        assert_eq!(Kept::Connecting.of(&all), HashSet::new());
    }

    #[test]
    fn root_keeps_its_files_and_what_tracing_takes() {
        let all = held(0, &caps::all().into_iter().collect::<Vec<_>>());
        assert_eq!(Kept::FilesOnly.of(&all), HashSet::from(FILES_OF_OTHERS));
        let kept = Kept::Tracing.of(&all);
        let mut paging_out = kept.clone();
        paging_out.insert(Capability::CAP_SYS_NICE);
        assert_eq!(Kept::TracingAndPagingOut.of(&all), paging_out);
        assert!(!kept.contains(&Capability::CAP_SYS_NICE));
        assert!(kept.contains(&Capability::CAP_SETUID));
        for gone in [
            Capability::CAP_SYS_MODULE,
            Capability::CAP_SYS_BOOT,
            Capability::CAP_NET_ADMIN,
            Capability::CAP_SYS_RAWIO,
        ] {
            assert!(!kept.contains(&gone), "{gone}");
        }
    }

    #[test]
    fn a_thread_that_gives_up_has_less_and_the_others_as_before() {
        let before = Held::now();
        let after =
            std::thread::spawn(|| reduce_this_thread(Kept::FilesOnly).map(|()| Held::now()))
                .join()
                .expect("it ends")
                .expect("giving up is always allowed");
        assert_eq!(after.effective, Kept::FilesOnly.of(&before));
        assert_eq!(Held::now(), before);
    }
}
