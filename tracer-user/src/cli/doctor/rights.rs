//! What each command may do here, tried out, and the lines that give what is missing.

use std::{fs, path::PathBuf};

use nix::unistd::{AccessFlags, eaccess};

use crate::{
    pressure::{MemoryCgroup, MemoryLimits},
    probe::{Requirement, measuring_run_time},
    rights::{Held, MEMORY_REMEDY, OTHERS_PROCESSES, Restrictions, TRACING, ways_to_give},
};

/// Of a group that is made to see whether one can be, and removed again.
const TRIED_LIMIT: MemoryLimits = MemoryLimits {
    max_bytes: 64 << 20,
    high_bytes: None,
};

/// One line for each group of commands that need the same.
pub fn of_commands() -> Vec<Requirement> {
    let held = Held::now();
    vec![
        Requirement::present(
            "for model, explain, plot, blktrace, audit, device",
            "no rights, but to read the files",
        ),
        lines_of(
            "for launch and attach to a process of yours",
            held.lacking(&TRACING),
        ),
        lines_of(
            "for attach to a process of another user",
            [held.lacking(&TRACING), held.lacking(&OTHERS_PROCESSES)].concat(),
        ),
        tried(
            "for --memory-max, demo's limit, experiments with memory_max",
            MemoryCgroup::create(&TRIED_LIMIT).map(drop),
            MEMORY_REMEDY,
        ),
        tried(
            "for --drop-caches",
            writable("/proc/sys/vm/drop_caches".into()),
            "only root may; --evict-model drops the model alone, and everybody may who may read it",
        ),
        tried(
            "for --read-ahead and tune's read-ahead",
            writable(a_disks_read_ahead()),
            "only root may; tune then leaves the read-ahead out",
        ),
        tried(
            "for --measure-overhead",
            measuring_run_time(),
            "it takes CAP_SYS_ADMIN, since it holds for every eBPF program of the machine",
        ),
    ]
}

/// How to get what tracing takes, where something is missing: lines to be copied.
pub fn how_to_get_them() -> Vec<String> {
    let held = Held::now();
    let lacks_tracing = !held.lacking(&TRACING).is_empty();
    let lacks_others = !held.lacking(&OTHERS_PROCESSES).is_empty();
    if !lacks_tracing && !lacks_others {
        return Vec::new();
    }
    let program = std::env::current_exe().unwrap_or_else(|_| "tracer".into());
    let restrictions = Restrictions::now();
    let mut lines = Vec::new();
    if lacks_tracing {
        lines.push("To trace without root, for processes of yours:".to_owned());
        lines.extend(ways_to_give(&TRACING, &program, &restrictions));
    }
    lines.push("To trace processes of other users too:".to_owned());
    let all = [TRACING, OTHERS_PROCESSES].concat();
    lines.extend(ways_to_give(&all, &program, &restrictions));
    lines
}

fn lines_of(name: &str, lacking: Vec<String>) -> Requirement {
    if lacking.is_empty() {
        Requirement::present(name, "allowed")
    } else {
        Requirement::reduced(
            name,
            format!(
                "not without {} (below: how to get it)",
                lacking.join(" and ")
            ),
        )
    }
}

fn tried<T, E: std::fmt::Display>(name: &str, result: Result<T, E>, help: &str) -> Requirement {
    match result {
        Ok(_) => Requirement::present(name, "allowed"),
        Err(error) => Requirement::reduced(name, format!("{error:#}; {help}")),
    }
}

fn writable(path: PathBuf) -> Result<(), String> {
    eaccess(&path, AccessFlags::W_OK).map_err(|error| format!("{}: {error}", path.display()))
}

/// The setting of any disk: all belong to the same user.
fn a_disks_read_ahead() -> PathBuf {
    let mut settings = fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .flatten()
        .map(|disk| disk.path().join("queue/read_ahead_kb"))
        .filter(|setting| setting.exists());
    settings
        .next()
        .unwrap_or_else(|| "/sys/block/*/queue/read_ahead_kb".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_says_why_and_what_helps() {
        let refused = tried("for x", Err::<(), _>("EPERM"), "only root may");
        assert_eq!(
            refused,
            Requirement::reduced("for x", "EPERM; only root may")
        );
        assert_eq!(
            lines_of("for y", vec!["CAP_BPF".to_owned()]),
            Requirement::reduced("for y", "not without CAP_BPF (below: how to get it)")
        );
        let missing = writable("/no/such/file".into()).expect_err("it is not there");
        assert!(missing.contains("/no/such/file"), "{missing}");
    }
}
