//! Whether programs may be loaded and attached here: found out by doing it, and what to do where it is refused.

use std::{fs, io, path::Path};

use aya::programs::ProgramType;

use crate::{
    probe::probes::{keep_in_memory, own_offset_bytes, try_out},
    rights::{Held, Restrictions, TRACING},
};

use super::requirement::Requirement;

/// Whether the kernel takes programs from this process.
pub(super) fn loading() -> Requirement {
    let tried = aya::sys::is_program_supported(ProgramType::RawTracePoint)
        .map(|_| ())
        .map_err(|error| format!("{:#}", anyhow::Error::from(error)));
    let program = std::env::current_exe().unwrap_or_else(|_| "tracer".into());
    judge(&Held::now(), &tried, &Restrictions::now(), &program)
}

fn judge(
    held: &Held,
    tried: &Result<(), String>,
    restrictions: &Restrictions,
    program: &Path,
) -> Requirement {
    const NAME: &str = "rights";
    let lacking = held.lacking(&TRACING);
    match tried {
        Ok(()) if lacking.is_empty() && held.is_root() => Requirement::present(NAME, "root"),
        Ok(()) if lacking.is_empty() => {
            Requirement::present(NAME, format!("{}, with what tracing takes", held.user()))
        }
        // Loading alone may be allowed to all, by sysctl; attaching is not.
        _ if !lacking.is_empty() => {
            let lacking = lacking.join(" and ");
            let remedy = if held.is_root() {
                format!(
                    "a container or service has dropped them: give it {lacking} in its securityContext, or with `docker run --cap-add` (docs/DEPLOY.md), or run on the host"
                )
            } else {
                format!(
                    "run it as root (`sudo tracer …`, `cargo xtask run …`), or give the program what it lacks, once: `sudo setcap cap_bpf,cap_perfmon+ep {}`; `tracer doctor` has the lines for containers and services",
                    program.display()
                )
            };
            Requirement::missing(
                NAME,
                format!("{}, but without {lacking}", held.user()),
                remedy,
            )
        }
        Ok(()) => Requirement::present(NAME, held.user()),
        Err(error) => Requirement::missing(
            NAME,
            format!(
                "{} with all that tracing takes, and the kernel refuses a program all the same ({error})",
                held.user()
            ),
            restrictions.suspects().join("; or "),
        ),
    }
}

/// What follows where functions of an engine may not be probed.
const WITHOUT_PROBES: &str = "the engine's functions cannot be probed, so there are no steps (tokens), and phases come from the engine's log; this kernel asks for CAP_SYS_ADMIN here, which is nearly root (Linux 6.6 and later do with CAP_BPF and CAP_PERFMON)";

/// How functions of an engine are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::probe) enum ProbeRoad {
    /// By an event of perf.
    Event,
    /// By a link of their own kind.
    Link,
}

/// Whether functions of an engine may be probed.
pub(super) fn probing() -> Requirement {
    const NAME: &str = "probes on functions of the engine";
    match probe_road() {
        Ok(ProbeRoad::Event) => Requirement::present(NAME, "allowed"),
        Ok(ProbeRoad::Link) => Requirement::present(NAME, "allowed, by links (uprobe_multi)"),
        Err(why) => Requirement::reduced(NAME, why),
    }
}

/// How functions of an engine may be probed.
///
/// # Errors
/// Why they may not.
pub(in crate::probe) fn probe_road() -> Result<ProbeRoad, String> {
    let Some(why) = event_refused() else {
        return Ok(ProbeRoad::Event);
    };
    match probe_by_link() {
        Ok(()) => Ok(ProbeRoad::Link),
        Err(error) => {
            log::debug!("no probe by a link: {error:#}");
            Err(why)
        }
    }
}

/// Whether functions may be probed by links: found out by doing it.
///
/// # Errors
/// What the kernel says.
pub(in crate::probe) fn probe_by_link() -> anyhow::Result<()> {
    let offset_bytes = own_offset_bytes()?;
    let _kept = keep_in_memory(Path::new("/proc/self/exe"), offset_bytes)?;
    Ok(try_out(offset_bytes)?)
}

/// Why functions of an engine may not be probed by an event of perf; None where they may.
fn event_refused() -> Option<String> {
    let asked = fs::read_to_string("/sys/bus/event_source/devices/uprobe/type")
        .and_then(|kind| kind.trim().parse().map_err(io::Error::other))
        .map(ask_for_a_probe_of_no_file);
    match asked {
        // It looks at the rights first, and only then for the file (`perf_uprobe_event_init` in kernel/events/core.c).
        Ok(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
        Ok(error) if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) => {
            Some(format!("refused ({error}): {WITHOUT_PROBES}"))
        }
        // Another answer says nothing of rights, and the probe itself will say more.
        Ok(_) => None,
        Err(error) => Some(format!(
            "this kernel has none (CONFIG_UPROBE_EVENTS; {error}): there are no steps (tokens), and phases come from the engine's log"
        )),
    }
}

/// The kernel's answer to a probe that names no file, which is always a refusal.
fn ask_for_a_probe_of_no_file(kind: u32) -> io::Error {
    // struct perf_event_attr (include/uapi/linux/perf_event.h) up to config2; the path and the offset are zero.
    const SIZE: u64 = 72;
    const WORDS: usize = 9;
    const PERF_FLAG_FD_CLOEXEC: libc::c_ulong = 1 << 3;
    #[cfg(target_endian = "little")]
    let head = u64::from(kind) | SIZE << 32;
    #[cfg(target_endian = "big")]
    let head = u64::from(kind) << 32 | SIZE;
    let mut attributes = [0; WORDS];
    attributes[0] = head;
    // SAFETY: the attributes are as large as they say, and local. No descriptor comes of it: a path of null is refused.
    let descriptor = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            attributes.as_ptr(),
            -1,
            0,
            -1,
            PERF_FLAG_FD_CLOEXEC,
        )
    };
    debug_assert_eq!(descriptor, -1);
    io::Error::last_os_error()
}

/// Whether the run time of programs may be measured.
///
/// # Errors
/// What the kernel says.
pub fn measuring_run_time() -> anyhow::Result<()> {
    Ok(aya::sys::enable_stats(aya::sys::Stats::RunTime).map(drop)?)
}

#[cfg(test)]
mod tests {
    use caps::Capability;

    use super::*;
    use crate::probe::RequirementState;

    fn of(uid: u32, effective: &[Capability], tried: Result<(), String>) -> RequirementState {
        let held = Held {
            uid,
            effective: effective.iter().copied().collect(),
        };
        let restrictions = Restrictions {
            has_seccomp_filter: true,
            ..Restrictions::default()
        };
        judge(&held, &tried, &restrictions, Path::new("/opt/tracer")).state
    }

    fn remedy(state: &RequirementState) -> &str {
        match state {
            RequirementState::Missing { remedy, .. } => remedy,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_user_needs_two_capabilities_and_not_root() {
        let refused = || Err("EPERM".to_owned());
        let present = of(1000, &TRACING, Ok(()));
        assert!(matches!(present, RequirementState::Present(found) if found.contains("1000")));
        let without = of(1000, &[], refused());
        assert!(remedy(&without).contains("setcap cap_bpf,cap_perfmon+ep /opt/tracer"));
        // Where everybody may load programs, attaching them still takes the second one.
        let half = of(1000, &[Capability::CAP_BPF], Ok(()));
        assert!(format!("{half:?}").contains("without CAP_PERFMON"));
        let in_container = of(0, &[Capability::CAP_CHOWN], refused());
        assert!(remedy(&in_container).contains("CAP_BPF and CAP_PERFMON"));
        assert_eq!(
            of(0, &[Capability::CAP_SYS_ADMIN], Ok(())),
            RequirementState::Present("root".to_owned())
        );
    }

    #[test]
    fn a_probe_is_refused_where_the_right_is_missing_and_only_there() {
        let refused = || probe_road().err();
        // A kernel without probes of functions says so in either case.
        let Some(as_before) = refused().map_or(Some(None), |why| {
            (!why.contains("CONFIG_UPROBE_EVENTS")).then_some(Some(why))
        }) else {
            return;
        };
        if nix::unistd::geteuid().is_root() {
            assert_eq!(as_before, None);
        }
        let without = std::thread::spawn(move || {
            crate::rights::reduce_this_thread(crate::rights::Kept::FilesOnly).map(|()| refused())
        })
        .join()
        .expect("it ends")
        .expect("rights can be given up");
        assert!(without.is_some_and(|why| why.contains("no steps")));
    }

    #[test]
    fn who_has_both_and_is_refused_is_told_of_what_may_refuse() {
        let refused = of(1000, &TRACING, Err("EPERM".to_owned()));
        assert!(remedy(&refused).contains("seccomp"), "{refused:?}");
    }
}
