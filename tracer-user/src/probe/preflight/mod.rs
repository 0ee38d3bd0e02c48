//! What the tracer needs of this machine, whether it is there, and how to get it. `tracer doctor` prints
//! the list; every other command refuses with the same words before it touches anything.

mod requirement;
mod rights;

use std::path::{Path, PathBuf};

use aya::maps::MapType;
use caps::Capability;

use crate::rights::Held;

pub use requirement::{Requirement, RequirementState};
pub use rights::measuring_run_time;
pub(super) use rights::{ProbeRoad, probe_by_link, probe_road};

use super::{
    KernelTypes, TypesError,
    programs::{TracedEvent, traced_events},
    tracepoint_format::TracepointFormat,
    types::NO_TRACEPOINT,
};

#[must_use]
pub fn requirements() -> Vec<Requirement> {
    let privileges = rights::loading();
    let privileged = !privileges.is_missing();
    let mut list = vec![privileges, rights::probing()];
    list.extend(
        procfs::process::Process::myself()
            .and_then(|process| process.status())
            .map(|status| looks_into_processes(status.capeff)),
    );
    list.push(process_ids());
    list.push(tracefs());
    match KernelTypes::of_running_kernel() {
        Ok(types) => {
            list.push(Requirement::present(
                "kernel types (BTF)",
                super::types::KERNEL_BTF,
            ));
            list.extend(tracepoints(&types));
            list.push(members(&types));
            list.push(records(&types));
            list.push(loops(&types));
            list.push(cookies(&types));
            list.push(skipped_programs(&types));
            list.push(process_1(&types));
        }
        Err(error) => list.push(Requirement::missing(
            "kernel types (BTF)",
            error.to_string(),
            if Path::new("/sys/kernel").is_dir() {
                "boot a kernel with CONFIG_DEBUG_INFO_BTF=y; in a container that hides it, mount the host's /sys/kernel/btf"
            } else {
                "sysfs is not mounted here: mount the host's /sys into the container, read-only (docs/DEPLOY.md)"
            },
        )),
    }
    if privileged {
        list.push(supported(
            "eBPF ring buffer",
            aya::sys::is_map_supported(MapType::RingBuf).map_err(|error| error.to_string()),
            "boot a kernel from 5.8 on with CONFIG_BPF_SYSCALL=y",
        ));
    } else {
        list.push(Requirement::reduced(
            "eBPF ring buffer",
            "cannot be checked without the rights above",
        ));
    }
    list.push(memlock_limit());
    list
}

/// Whether process ids here are those that the kernel side sees (`PROC_PID_INIT_INO` in include/linux/proc_ns.h).
#[must_use]
pub fn in_first_pid_namespace() -> bool {
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|name| name.as_os_str() == "pid:[4026531836]")
}

/// Whether the engine's processes are known by the ids that the kernel has.
fn process_ids() -> Requirement {
    const NAME: &str = "process ids";
    if in_first_pid_namespace() {
        Requirement::present(NAME, "those of the host")
    } else {
        Requirement::reduced(
            NAME,
            "of a pid namespace of its own (a container): only processes in it can be attached to, and there are no steps, no waits in `read()`, and not which part of the reads is the engine's. Share the host's: `docker run --pid=host`, in Kubernetes `hostPID: true` (docs/DEPLOY.md)",
        )
    }
}

/// Whether processes of other users may be looked at.
fn looks_into_processes(capabilities: u64) -> Requirement {
    const NAME: &str = "looking into processes";
    const CAP_SYS_PTRACE: u32 = 19;
    if capabilities >> CAP_SYS_PTRACE & 1 == 1 {
        Requirement::present(NAME, "allowed")
    } else {
        Requirement::reduced(
            NAME,
            "not of other users, without CAP_SYS_PTRACE: their model is not found, and figures of their memory are null. Give it with setcap, in the container's securityContext, or with `docker run --cap-add` (docs/DEPLOY.md)",
        )
    }
}

/// Where tracefs may be.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

fn tracefs_events() -> Option<PathBuf> {
    TRACEFS
        .into_iter()
        .map(|folder| Path::new(folder).join("events"))
        .find(|events| events.is_dir())
}

/// The programs attach through BTF and read no format files: those are a second opinion on BTF.
fn tracefs() -> Requirement {
    const NAME: &str = "tracefs";
    match tracefs_events() {
        Some(events) => Requirement::present(NAME, events.display().to_string()),
        None => Requirement::reduced(
            NAME,
            "not mounted (or not readable for you); the tracer attaches without it, only the kernel's types cannot be compared with the format files of the tracepoints: mount -t tracefs tracefs /sys/kernel/tracing",
        ),
    }
}

/// Whether the kernel's types and the format files agree on what the tracepoints record.
fn records(types: &KernelTypes) -> Requirement {
    const NAME: &str = "records of the tracepoints";
    let Some(events) = tracefs_events() else {
        return Requirement::reduced(
            NAME,
            "not compared with their format files, without tracefs",
        );
    };
    let mut names: Vec<&str> = Vec::new();
    let mut unread: Vec<String> = Vec::new();
    for event in traced_events() {
        if names.contains(&event.tracepoint)
            || types.tracepoint_arguments(event.tracepoint).is_none()
        {
            continue;
        }
        let path = events
            .join(event.subsystem)
            .join(event.tracepoint)
            .join("format");
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                if let Err(error) = compare(types, &event, &text) {
                    return Requirement::missing(
                        NAME,
                        error.to_string(),
                        "the kernel's types are not this kernel's, or describe it wrongly, and offsets from them would be wrong as well: boot a kernel that docs/KERNELS.md lists",
                    );
                }
                names.push(event.tracepoint);
            }
            Err(error) => unread.push(format!("{}: {error}", path.display())),
        }
    }
    match unread.first() {
        Some(first) => Requirement::reduced(
            NAME,
            format!(
                "{} compared with their format files, {} not: {first}",
                names.len(),
                unread.len()
            ),
        ),
        None => Requirement::present(
            NAME,
            format!("{} are as their format files say", names.len()),
        ),
    }
}

fn compare(
    types: &KernelTypes,
    event: &TracedEvent,
    text: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let format = TracepointFormat::parse(types.kernel(), event.tracepoint, text)?;
    Ok(types.check_record(event, &format)?)
}

fn tracepoints(types: &KernelTypes) -> Vec<Requirement> {
    traced_events()
        .map(|event| {
            let name = format!("tracepoint {}:{}", event.subsystem, event.tracepoint);
            if let Err(error) = types.check_arguments(&event) {
                return wrong(name, &error);
            }
            match types.tracepoint_arguments(event.tracepoint) {
                Some(arguments) => {
                    Requirement::present(name, format!("{arguments} arguments: {}", event.purpose))
                }
                None if event
                    .on_function
                    .is_some_and(|stand_in| types.has_function(stand_in.function)) =>
                {
                    Requirement::present(
                        name,
                        format!(
                            "not in this kernel, its function is traced instead: {}",
                            event.purpose
                        ),
                    )
                }
                None if event.required => Requirement::missing(
                    name,
                    format!("not in this kernel; needed for {}", event.purpose),
                    NO_TRACEPOINT,
                ),
                None => Requirement::reduced(
                    name,
                    format!("not in this kernel: no figure of {}", event.purpose),
                ),
            }
        })
        .collect()
}

fn members(types: &KernelTypes) -> Requirement {
    const NAME: &str = "fields that the programs read";
    match types.members().and(types.constants().map(|_| ())) {
        Ok(()) => Requirement::present(
            NAME,
            "all in the kernel's types, with the sizes that the programs load",
        ),
        Err(error) => wrong(NAME, &error),
    }
}

/// The kernel's types are not what the programs were written for.
fn wrong(name: impl Into<String>, error: &TypesError) -> Requirement {
    Requirement::missing(
        name,
        error.to_string(),
        "run the tracer on a kernel that docs/KERNELS.md lists",
    )
}

/// With `bpf_loop` the programs walk over extents and bitmaps.
fn loops(types: &KernelTypes) -> Requirement {
    const NAME: &str = "eBPF helper bpf_loop";
    if types.counts_models() {
        Requirement::present(NAME, "in the kernel's types")
    } else {
        Requirement::reduced(
            NAME,
            "not in this kernel (from 5.17 on): figures come from the records alone, without the kernel's own counts to compare them with",
        )
    }
}

/// With attach cookies one program serves all probed functions.
fn cookies(types: &KernelTypes) -> Requirement {
    const NAME: &str = "eBPF helper bpf_get_attach_cookie";
    if types.has_helper("get_attach_cookie") {
        Requirement::present(NAME, "in the kernel's types")
    } else {
        Requirement::reduced(
            NAME,
            "not in this kernel (from 5.15 on): the engine's functions cannot be probed; phases come from its log or from the page cache, and there are no steps",
        )
    }
}

/// What became of events that the kernel did not hand to a program.
fn skipped_programs(types: &KernelTypes) -> Requirement {
    Requirement::present(
        "programs that the kernel skips",
        if types.can_skip() {
            "counted by the kernel, and shown as recursion misses"
        } else {
            "none: a program on a tracepoint always runs here (before 5.12)"
        },
    )
}

/// Whether events are hidden that come while process 1 runs.
fn process_1(types: &KernelTypes) -> Requirement {
    const NAME: &str = "events while process 1 runs";
    if types.hides_from_process_1() {
        Requirement::reduced(
            NAME,
            "this kernel hides them from programs (its `bpf_prog_aux` has `init_owned`, which kernel.org's has not): a read that completes then has no latency, and the run says how many did",
        )
    } else {
        Requirement::present(NAME, "shown to programs")
    }
}

fn supported(name: &str, answer: Result<bool, String>, remedy: &str) -> Requirement {
    match answer {
        Ok(true) => Requirement::present(name, "supported"),
        Ok(false) => Requirement::missing(name, "not supported by this kernel", remedy),
        Err(error) => Requirement::missing(
            name,
            error,
            "check the kernel's lockdown mode and sysctl kernel.unprivileged_bpf_disabled",
        ),
    }
}

fn memlock_limit() -> Requirement {
    use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
    const NAME: &str = "limit of locked memory";
    match getrlimit(Resource::RLIMIT_MEMLOCK) {
        Ok((soft, _)) if soft == RLIM_INFINITY => Requirement::present(NAME, "none"),
        Ok((soft, _)) => Requirement::present(
            NAME,
            if Held::now().has(Capability::CAP_SYS_RESOURCE) {
                format!("{} KiB; raised for the tracer", soft / 1024)
            } else {
                format!(
                    "{} KiB; before Linux 5.11 programs and maps count against it, and raising it takes CAP_SYS_RESOURCE",
                    soft / 1024
                )
            },
        ),
        Err(error) => Requirement::reduced(NAME, format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_lacks_is_named_with_what_to_share() {
        let words = |requirement: &Requirement| format!("{requirement:?}");
        let without = looks_into_processes(!(1 << 19));
        assert!(words(&without).contains("CAP_SYS_PTRACE"), "{without:?}");
        assert!(words(&looks_into_processes(1 << 19)).contains("allowed"));
        let here = process_ids();
        assert_eq!(
            words(&here).contains("hostPID: true"),
            !in_first_pid_namespace(),
            "{here:?}"
        );
    }

    #[test]
    fn an_unsupported_feature_is_missing_with_a_remedy() {
        assert!(supported("x", Ok(false), "boot another").is_missing());
        assert!(supported("x", Err("EPERM".into()), "boot another").is_missing());
        assert_eq!(
            supported("x", Ok(true), "boot another"),
            Requirement::present("x", "supported")
        );
    }
}
