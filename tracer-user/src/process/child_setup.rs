//! What happens in the new process between fork and exec: join the cgroup, give up every privilege, die with the tracer.
//!
//! Only system calls on prepared values: no allocation, no lock.

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::unistd::Uid;

use super::caller::Caller;

/// A step of the set-up, named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupStep {
    /// Writing "0" to `cgroup.procs` or `tasks`.
    JoinCgroup,
    /// Default dispositions and an empty mask.
    ResetSignals,
    /// `setgroups`.
    SetGroups,
    /// `setresgid`.
    SetGroupIds,
    /// `setresuid`.
    SetUserIds,
    /// The ids are what they should be, and root cannot be had back.
    VerifyIds,
    /// Ambient, inheritable, permitted and effective capabilities emptied.
    DropCapabilities,
    /// `PR_SET_PDEATHSIG`, and the parent is still there.
    DieWithTracer,
}

impl SetupStep {
    const ALL: [Self; 8] = [
        Self::JoinCgroup,
        Self::ResetSignals,
        Self::SetGroups,
        Self::SetGroupIds,
        Self::SetUserIds,
        Self::VerifyIds,
        Self::DropCapabilities,
        Self::DieWithTracer,
    ];

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == code)
    }
}

impl fmt::Display for SetupStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::JoinCgroup => "joining the memory cgroup",
            Self::ResetSignals => "resetting signals",
            Self::SetGroups => "taking the caller's supplementary groups",
            Self::SetGroupIds => "taking the caller's group id",
            Self::SetUserIds => "taking the caller's user id",
            Self::VerifyIds => "verifying that root was given up",
            Self::DropCapabilities => "dropping capabilities",
            Self::DieWithTracer => "tying its life to the tracer's",
        })
    }
}

/// Everything that the child needs, prepared before the fork.
pub(crate) struct ChildPlan {
    cgroup_procs: Vec<OwnedFd>,
    failure: OwnedFd,
    uid: libc::uid_t,
    gid: libc::gid_t,
    groups: Vec<libc::gid_t>,
    change_ids: bool,
    parent: libc::pid_t,
}

impl ChildPlan {
    /// `failure` receives one byte naming the step that failed.
    pub(crate) fn new(caller: &Caller, cgroup_procs: Vec<OwnedFd>, failure: OwnedFd) -> Self {
        Self {
            cgroup_procs,
            failure,
            uid: caller.uid.as_raw(),
            gid: caller.gid.as_raw(),
            groups: caller.groups.iter().map(|group| group.as_raw()).collect(),
            change_ids: Uid::effective().is_root() && !caller.uid.is_root(),
            parent: nix::unistd::getpid().as_raw(),
        }
    }

    /// Runs in the child.
    pub(crate) fn apply(&self) -> io::Result<()> {
        self.step(SetupStep::JoinCgroup, || self.join_cgroups())?;
        self.step(SetupStep::ResetSignals, reset_signals)?;
        if self.change_ids {
            // Groups first: setgroups needs the privilege that setresuid gives up.
            self.step(SetupStep::SetGroups, || {
                // SAFETY: pointer and length of a vector that lives as long as `self`.
                check(unsafe { libc::setgroups(self.groups.len(), self.groups.as_ptr()) })
            })?;
            self.step(SetupStep::SetGroupIds, || {
                // SAFETY: three integers.
                check(unsafe { libc::setresgid(self.gid, self.gid, self.gid) })
            })?;
            self.step(SetupStep::SetUserIds, || {
                // SAFETY: three integers.
                check(unsafe { libc::setresuid(self.uid, self.uid, self.uid) })
            })?;
        }
        if self.uid != 0 {
            self.step(SetupStep::DropCapabilities, drop_capabilities)?;
            self.step(SetupStep::VerifyIds, || self.verify_ids())?;
        }
        // The kernel clears the parent-death signal on a change of credentials: last.
        self.step(SetupStep::DieWithTracer, || self.die_with_parent())
    }

    fn step(&self, step: SetupStep, action: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        action().inspect_err(|_| {
            let code = [step as u8];
            // SAFETY: one byte of a local array, to a pipe that we hold open.
            unsafe { libc::write(self.failure.as_raw_fd(), code.as_ptr().cast(), 1) };
        })
    }

    fn join_cgroups(&self) -> io::Result<()> {
        for descriptor in &self.cgroup_procs {
            // SAFETY: two bytes of a static string, to a descriptor that we hold open. "0" is the writer itself.
            let written = unsafe { libc::write(descriptor.as_raw_fd(), c"0\n".as_ptr().cast(), 2) };
            if written != 2 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    }

    fn verify_ids(&self) -> io::Result<()> {
        let refused = || io::Error::from_raw_os_error(libc::EPERM);
        let (mut real, mut effective, mut saved) = (0, 0, 0);
        // SAFETY: three pointers to local integers.
        check(unsafe { libc::getresuid(&mut real, &mut effective, &mut saved) })?;
        let users_match = [real, effective, saved].iter().all(|id| *id == self.uid);
        // SAFETY: as above.
        check(unsafe { libc::getresgid(&mut real, &mut effective, &mut saved) })?;
        let groups_match = [real, effective, saved].iter().all(|id| *id == self.gid);
        if self.change_ids && !(users_match && groups_match) {
            return Err(refused());
        }
        // SAFETY: three integers; it must fail.
        if unsafe { libc::setresuid(0, 0, 0) } == 0 {
            return Err(refused());
        }
        Ok(())
    }

    fn die_with_parent(&self) -> io::Result<()> {
        // SAFETY: an option and a signal number.
        check(unsafe {
            libc::prctl(
                libc::PR_SET_PDEATHSIG,
                libc::SIGKILL as libc::c_ulong,
                0,
                0,
                0,
            )
        })?;
        // The tracer may have died before the line above: then no signal will come.
        // SAFETY: no arguments.
        if unsafe { libc::getppid() } != self.parent {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        Ok(())
    }
}

/// exec resets caught signals but keeps ignored ones, and Rust ignores SIGPIPE. SIGHUP stays ignored where it was:
/// that is `nohup`, meant for the whole run.
fn reset_signals() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: all-zero is a valid sigaction (default disposition, no flags, empty mask).
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        if signal == libc::SIGHUP {
            // SAFETY: reads the disposition into a local.
            unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) };
            if action.sa_sigaction == libc::SIG_IGN {
                continue;
            }
        }
        // SAFETY: sets a default disposition; EINVAL for SIGKILL, SIGSTOP and the C library's own signals is right.
        unsafe {
            action = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
    // SAFETY: a local signal set, made empty before use.
    check(unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut())
    })
}

/// `capget(2)`: version 3 has two words for each of the three sets.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// A change from root to a user empties permitted and effective, but not where the secure bits say otherwise, and not
/// in a tracer that runs as a user with file capabilities.
fn drop_capabilities() -> io::Result<()> {
    // SAFETY: options and integers only. EINVAL: no ambient set in this kernel.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
            0,
            0,
            0,
        )
    };
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION_3,
        pid: 0,
    };
    let empty = [0_u32; 6];
    // SAFETY: header and data as capset(2) describes them for version 3, both local.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, empty.as_ptr()) };
    check(i32::from(result != 0).wrapping_neg())
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
