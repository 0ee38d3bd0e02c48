//! What this process may do, and what stands in the way of it.

use std::{fs, path::Path};

use caps::{CapSet, Capability, CapsHashSet};

/// Rights of the calling thread. Capabilities belong to a thread; the tracer's all begin with the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The user that it runs as.
    pub uid: u32,
    /// What it may do beyond any user.
    pub effective: CapsHashSet,
}

impl Held {
    /// Of the calling thread. Where the kernel does not say, none.
    #[must_use]
    pub fn now() -> Self {
        Self {
            uid: nix::unistd::geteuid().as_raw(),
            effective: caps::read(None, CapSet::Effective).unwrap_or_default(),
        }
    }

    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// Whether it has a capability, or the one that stood for CAP_BPF and CAP_PERFMON before there were these
    /// (`bpf_capable()` and `perfmon_capable()` in include/linux/capability.h).
    #[must_use]
    pub fn has(&self, capability: Capability) -> bool {
        let stands_for_it = matches!(capability, Capability::CAP_BPF | Capability::CAP_PERFMON)
            && self.effective.contains(&Capability::CAP_SYS_ADMIN);
        stands_for_it || self.effective.contains(&capability)
    }

    /// Which of these it lacks, by name.
    #[must_use]
    pub fn lacking(&self, wanted: &[Capability]) -> Vec<String> {
        let lacking = wanted.iter().filter(|capability| !self.has(**capability));
        lacking.map(ToString::to_string).collect()
    }

    /// In words: the user.
    #[must_use]
    pub fn user(&self) -> String {
        if self.is_root() {
            "root".to_owned()
        } else {
            format!("user {}", self.uid)
        }
    }
}

/// What may refuse a process what its capabilities allow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restrictions {
    /// Capabilities count in a user namespace of its own only.
    pub in_user_namespace: bool,
    /// A filter of system calls.
    pub has_seccomp_filter: bool,
    /// No program that it starts gets more rights: neither sudo nor setcap work.
    pub no_new_privileges: bool,
    /// The kernel's lockdown mode, where it is on.
    pub lockdown: Option<String>,
    /// Security modules that may refuse eBPF.
    pub security_modules: Vec<String>,
    /// Sysctl `kernel.perf_event_paranoid`.
    pub perf_event_paranoid: Option<i64>,
    /// Sysctl `kernel.unprivileged_bpf_disabled`.
    pub unprivileged_bpf_disabled: Option<i64>,
}

impl Restrictions {
    /// Of this process. What cannot be read is not named.
    #[must_use]
    pub fn now() -> Self {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        let (seccomp, no_new_privileges) =
            status.map_or((None, None), |status| (status.seccomp, status.nonewprivs));
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Self {
            in_user_namespace: is_of_a_namespace(&text("/proc/self/uid_map")),
            has_seccomp_filter: seccomp.is_some_and(|mode| mode != 0),
            no_new_privileges: no_new_privileges == Some(1),
            lockdown: lockdown(&text("/sys/kernel/security/lockdown")),
            security_modules: refusing_modules(&text("/sys/kernel/security/lsm")),
            perf_event_paranoid: sysctl("perf_event_paranoid"),
            unprivileged_bpf_disabled: sysctl("unprivileged_bpf_disabled"),
        }
    }

    /// What most likely refused a process that has the capabilities, the most likely first, and what helps.
    #[must_use]
    pub fn suspects(&self) -> Vec<String> {
        let mut suspects = Vec::new();
        if self.in_user_namespace {
            suspects.push(
                "this is a user namespace (a rootless container), where capabilities do not count for eBPF: run it on the host, or in a container that root started"
                    .to_owned(),
            );
        }
        if self.has_seccomp_filter {
            suspects.push(
                "a seccomp filter is in force: let bpf and perf_event_open through (Docker's own does where the capabilities are given by --cap-add)"
                    .to_owned(),
            );
        }
        if let Some(mode) = &self.lockdown {
            suspects.push(format!(
                "the kernel is locked down ({mode}): in mode confidentiality no program may read its memory; boot with lockdown=integrity, or without"
            ));
        }
        if !self.security_modules.is_empty() {
            suspects.push(format!(
                "a security module may refuse it ({}): look for its refusal in the kernel's log",
                self.security_modules.join(", ")
            ));
        }
        if suspects.is_empty() {
            suspects.push("look for the reason in the kernel's log (dmesg)".to_owned());
        }
        suspects
    }
}

fn sysctl(name: &str) -> Option<i64> {
    let path = Path::new("/proc/sys/kernel").join(name);
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The first user namespace maps all ids to themselves (user_namespaces(7)).
fn is_of_a_namespace(uid_map: &str) -> bool {
    let numbers: Vec<&str> = uid_map.split_whitespace().collect();
    !numbers.is_empty() && numbers != ["0", "0", "4294967295"]
}

/// The mode in brackets of "none [integrity] confidentiality", but for none.
fn lockdown(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    let (mode, _) = rest.split_once(']')?;
    (mode != "none").then(|| mode.to_owned())
}

/// Of the list of modules those that have a say in bpf(2).
fn refusing_modules(text: &str) -> Vec<String> {
    const REFUSING: [&str; 3] = ["selinux", "smack", "bpf"];
    let modules = text.trim().split(',');
    modules
        .filter(|module| REFUSING.contains(module))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_capability_stands_for_the_two_new_ones_and_for_no_other() {
        let held = |capability| Held {
            uid: 1000,
            effective: [capability].into(),
        };
        let wanted = [
            Capability::CAP_BPF,
            Capability::CAP_PERFMON,
            Capability::CAP_SYS_PTRACE,
        ];
        assert_eq!(
            held(Capability::CAP_SYS_ADMIN).lacking(&wanted),
            ["CAP_SYS_PTRACE"]
        );
        assert_eq!(
            held(Capability::CAP_BPF).lacking(&wanted),
            ["CAP_PERFMON", "CAP_SYS_PTRACE"]
        );
        assert_eq!(held(Capability::CAP_BPF).user(), "user 1000");
    }

    #[test]
    fn what_the_kernel_says_of_itself_is_read() {
        assert!(!is_of_a_namespace("         0          0 4294967295\n"));
        assert!(is_of_a_namespace("0 100000 65536\n"));
        assert!(!is_of_a_namespace(""));
        assert_eq!(
            lockdown("none [integrity] confidentiality\n"),
            Some("integrity".to_owned())
        );
        assert_eq!(lockdown("[none] integrity confidentiality\n"), None);
        assert_eq!(lockdown(""), None);
        assert_eq!(
            refusing_modules("lockdown,capability,landlock,selinux,bpf\n"),
            ["selinux", "bpf"]
        );
    }

    #[test]
    fn each_restriction_is_named_and_there_is_always_something_to_do() {
        assert!(Restrictions::default().suspects()[0].contains("dmesg"));
        let all = Restrictions {
            in_user_namespace: true,
            has_seccomp_filter: true,
            lockdown: Some("confidentiality".to_owned()),
            security_modules: vec!["selinux".to_owned()],
            ..Restrictions::default()
        };
        let suspects = all.suspects().join("; ");
        for word in ["rootless", "seccomp", "confidentiality", "selinux"] {
            assert!(suspects.contains(word), "{word}: {suspects}");
        }
    }
}
