//! How the tracer is given rights, in lines that can be copied.

use std::path::Path;

use caps::Capability;

use super::Restrictions;

/// What tracing takes: loading programs, and attaching them (`kernel/bpf/syscall.c`, `kernel/events/core.c`; Linux 5.8).
pub const TRACING: [Capability; 2] = [Capability::CAP_BPF, Capability::CAP_PERFMON];

/// What looking into processes of other users takes as well: `/proc/PID/fd` and `maps`, and the files behind them.
pub const OTHERS_PROCESSES: [Capability; 2] =
    [Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH];

/// What helps where a memory cgroup cannot be made by a plain user.
pub const MEMORY_REMEDY: &str = "run it as root, or in a cgroup that is yours (`systemd-run --user --scope -p Delegate=yes tracer …`)";

/// The lines by which a program gets these capabilities without root: for the file, a container, a service.
#[must_use]
pub fn ways_to_give(
    capabilities: &[Capability],
    program: &Path,
    restrictions: &Restrictions,
) -> Vec<String> {
    let names: Vec<String> = capabilities.iter().map(ToString::to_string).collect();
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let docker: Vec<String> = names
        .iter()
        .map(|name| format!("--cap-add {}", name.trim_start_matches("CAP_")))
        .collect();
    let program = quoted(program);
    let mut lines = vec![
        "for this program, once:".to_owned(),
        format!("  sudo setcap {}+ep {program}", lower.join(",")),
    ];
    if restrictions.no_new_privileges {
        lines.push(
            "  (it has no effect in this session: its processes get no new privileges, NoNewPrivs in /proc/self/status)"
                .to_owned(),
        );
    }
    lines.extend([
        "in a container:".to_owned(),
        format!(
            "  docker run --pid=host --user 0 --cap-drop ALL {} …",
            docker.join(" ")
        ),
        "in a systemd service, in [Service]:".to_owned(),
        format!("  AmbientCapabilities={}", names.join(" ")),
        format!("  CapabilityBoundingSet={}", names.join(" ")),
    ]);
    lines
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain =
        |character: char| character.is_ascii_alphanumeric() || "/._-+=:@%".contains(character);
    if !text.is_empty() && text.chars().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_name_the_program_and_each_capability_as_each_tool_spells_it() {
        let lines = |restrictions: &Restrictions| {
            ways_to_give(&TRACING, Path::new("/opt/it's/tracer"), restrictions).join("\n")
        };
        let free = lines(&Restrictions::default());
        for line in [
            r"sudo setcap cap_bpf,cap_perfmon+ep '/opt/it'\''s/tracer'",
            "--cap-add BPF --cap-add PERFMON",
            "AmbientCapabilities=CAP_BPF CAP_PERFMON",
        ] {
            assert!(free.contains(line), "{line}: {free}");
        }
        assert!(!free.contains("no effect"));
        let bound = Restrictions {
            no_new_privileges: true,
            ..Restrictions::default()
        };
        assert!(lines(&bound).contains("no effect"));
        assert_eq!(quoted(Path::new("/usr/bin/tracer")), "/usr/bin/tracer");
    }
}
