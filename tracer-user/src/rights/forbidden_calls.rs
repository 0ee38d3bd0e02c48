//! System calls that the kernel refuses from now on: what a tracer that was taken over would need next.

use std::{collections::BTreeMap, io};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::Kept;

/// Other programs, other processes' memory, other file systems and namespaces, the network, the kernel itself: nothing that
/// reads a record or traces makes any of these.
const NEVER: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_listen,
    libc::SYS_io_uring_setup,
    libc::SYS_userfaultfd,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_acct,
    libc::SYS_quotactl,
];

/// What reaches others. Who looks a name up binds a socket, to which the answer comes.
const CONNECTING: &[libc::c_long] = &[libc::SYS_connect, libc::SYS_bind];

/// Answered as by a kernel without networks: a C library that looks a user up asks a local service first, and takes anything
/// else for a failure.
const NO_NETWORK: &[libc::c_long] = &[libc::SYS_socket];

/// What only tracing makes.
const TRACING: &[libc::c_long] = &[libc::SYS_bpf, libc::SYS_perf_event_open];

/// The events of perf, by which programs are attached too.
const PERF: &[libc::c_long] = &[libc::SYS_perf_event_open];

/// Commands of `bpf(2)` (`enum bpf_cmd` in include/uapi/linux/bpf.h) on maps that are there, and what a program says of itself.
const MAPS_AND_INFORMATION: &[u64] = &[
    1,  // BPF_MAP_LOOKUP_ELEM
    2,  // BPF_MAP_UPDATE_ELEM
    3,  // BPF_MAP_DELETE_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    15, // BPF_OBJ_GET_INFO_BY_FD
    24, // BPF_MAP_LOOKUP_BATCH
];

/// The command that puts a loaded program on a place.
const LINKS: &[u64] = &[
    28, // BPF_LINK_CREATE
];

/// From now on the calling thread, and those that it starts, get EPERM for what they need not. For good, and with
/// `PR_SET_NO_NEW_PRIVS`: not for a process that starts a user's command, which would inherit it.
///
/// Everything else is allowed. A list of what is needed instead would stop a run where a library of a later version makes a
/// call that nobody thought of.
///
/// # Errors
/// As of `seccomp(2)`. A kernel without filters is none: there nothing is forbidden.
pub fn forbid_calls(kept: Kept) -> io::Result<()> {
    let (refused, commands) = match kept {
        Kept::FilesOnly => ([NEVER, CONNECTING, TRACING].concat(), None),
        Kept::Tracing | Kept::TracingAndPagingOut => ([NEVER, CONNECTING].concat(), None),
        Kept::Looking => (
            [NEVER, CONNECTING, PERF].concat(),
            Some(MAPS_AND_INFORMATION),
        ),
        Kept::Probing => ([NEVER, CONNECTING, PERF].concat(), Some(LINKS)),
        Kept::Connecting => ([NEVER, TRACING].concat(), None),
    };
    let always = |calls: &[libc::c_long]| calls.iter().map(|call| (*call, Vec::new())).collect();
    refuse(always(&refused), libc::EPERM)?;
    if let Some(commands) = commands {
        let other = other_command(commands).map_err(io::Error::other)?;
        refuse([(libc::SYS_bpf, vec![other])].into(), libc::EPERM)?;
    }
    if kept == Kept::Connecting {
        return Ok(());
    }
    refuse(always(NO_NETWORK), libc::EAFNOSUPPORT)
}

/// Matches where the first argument, as the kernel reads it, is none of these.
fn other_command(commands: &[u64]) -> Result<SeccompRule, BackendError> {
    let conditions = commands.iter().map(|command| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *command)
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

/// System calls, each with the conditions on its arguments; without conditions one matches whatever they are.
type Calls = BTreeMap<libc::c_long, Vec<SeccompRule>>;

fn refuse(calls: Calls, error: libc::c_int) -> io::Result<()> {
    let filter = filter(calls, error).map_err(io::Error::other)?;
    match seccompiler::apply_filter(&filter) {
        Ok(()) => Ok(()),
        Err(seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error)) => {
            if error.raw_os_error() == Some(libc::EINVAL) {
                Ok(())
            } else {
                Err(error)
            }
        }
        Err(error) => Err(io::Error::other(error)),
    }
}

fn filter(calls: Calls, error: libc::c_int) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(
        calls,
        SeccompAction::Allow,
        SeccompAction::Errno(error.unsigned_abs()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, process::Command, sync::mpsc::channel, thread};

    use super::*;

    /// What a thread with the filter is answered: to a program, to a socket, to eBPF, to a file and a thread of its own.
    fn answers(kept: Kept) -> [Option<i32>; 5] {
        let (sender, receiver) = channel();
        // A filter is a thread's, so that the other tests go on as they were.
        thread::spawn(move || {
            forbid_calls(kept).expect("a kernel with filters");
            let error_of =
                |result: io::Result<()>| result.err().and_then(|error| error.raw_os_error());
            // SAFETY: an attribute of no length and no pointer: the kernel reads nothing and answers EINVAL or EPERM.
            let bpf = unsafe { libc::syscall(libc::SYS_bpf, 9999, std::ptr::null::<u8>(), 0) };
            let bpf = (bpf < 0).then(io::Error::last_os_error);
            let inner = thread::spawn(|| Command::new("/bin/true").status().map(drop));
            let answers = [
                error_of(Command::new("/bin/true").status().map(drop)),
                error_of(TcpListener::bind("127.0.0.1:0").map(drop)),
                bpf.and_then(|error| error.raw_os_error()),
                error_of(std::fs::read("/proc/self/status").map(drop)),
                error_of(inner.join().expect("no panic")),
            ];
            sender.send(answers).expect("somebody listens");
        });
        receiver.recv().expect("answers")
    }

    #[test]
    fn what_is_not_needed_is_refused_and_the_rest_is_not() {
        let refused = Some(libc::EPERM);
        let no_network = Some(libc::EAFNOSUPPORT);
        assert_eq!(
            answers(Kept::FilesOnly),
            [refused, no_network, refused, None, refused]
        );
        let tracing = answers(Kept::Tracing);
        assert_eq!(
            (tracing[0], tracing[1], tracing[3], tracing[4]),
            (refused, no_network, None, refused)
        );
        // Of its own it says EINVAL; to a user without rights EPERM all the same.
        if caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_BPF).unwrap_or(false)
        {
            assert_eq!(tracing[2], Some(libc::EINVAL));
        }
    }

    /// What `bpf(2)` answers to these commands, with attributes of no length.
    fn answers_to_commands(kept: Kept, commands: &'static [u64]) -> Vec<Option<i32>> {
        thread::spawn(move || {
            forbid_calls(kept).expect("a kernel with filters");
            let answer = |command: &u64| {
                // SAFETY: as above.
                let result =
                    unsafe { libc::syscall(libc::SYS_bpf, *command, std::ptr::null::<u8>(), 0) };
                (result < 0).then(|| io::Error::last_os_error().raw_os_error())?
            };
            commands.iter().map(answer).collect()
        })
        .join()
        .expect("no panic")
    }

    #[test]
    fn who_looks_may_not_load_and_who_probes_may_not_either() {
        if !caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_BPF).unwrap_or(false)
        {
            return;
        }
        // Looking a map up, making one, loading, attaching, making a link; the upper half of the argument counts for nothing.
        const COMMANDS: &[u64] = &[1, 0, 5, 8, 28, 1 << 32 | 5];
        let (refused, passed) = (Some(libc::EPERM), Some(libc::EINVAL));
        assert_eq!(
            answers_to_commands(Kept::Looking, COMMANDS),
            [passed, refused, refused, refused, refused, refused]
        );
        assert_eq!(
            answers_to_commands(Kept::Probing, COMMANDS),
            [refused, refused, refused, refused, passed, refused]
        );
    }
}
