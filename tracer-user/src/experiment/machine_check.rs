//! What only the machine can tell of a plan, asked before the first run: files, programs, memory, disk, control groups.
//! Everything that is missing is said at once.

use std::{collections::BTreeSet, ffi::OsString, path::Path};

use nix::sys::statvfs::statvfs;

use crate::{
    pressure::{SystemMemory, memory_cgroup_version},
    process::{Caller, resolve_program},
    run::Conditions,
    schema::PlannedPressure,
    units,
};

use super::{
    cells::PlannedRun,
    fragmented::copies_bytes,
    identity::ModelIdentity,
    invocation::{conditions, engine_command},
    plan::{Adapter, Plan, PlanError, PlanErrors, parse_pressure},
};

/// What a run writes, about: its record, its report and the engine's output. A record of an hour's run has some MiB.
pub const RUN_BYTES: u64 = 4 << 20;

/// Says all that is missing.
///
/// # Errors
/// What is missing.
pub fn check(
    plan: &Plan,
    runs: &[PlannedRun],
    plan_directory: &Path,
    experiment_directory: &Path,
    caller: &Caller,
) -> Result<(), PlanErrors> {
    let mut missing = Vec::new();
    models(plan, plan_directory, &mut missing);
    programs(plan, runs, plan_directory, caller, &mut missing);
    memory(plan, &mut missing);
    // The size of copies can only be told where the models are there.
    if missing.is_empty() {
        disk(
            plan,
            runs,
            plan_directory,
            experiment_directory,
            &mut missing,
        );
    }
    if missing.is_empty() {
        return Ok(());
    }
    Err(PlanErrors(
        missing
            .into_iter()
            .map(|message| PlanError {
                line: None,
                column: None,
                message,
            })
            .collect(),
    ))
}

fn models(plan: &Plan, plan_directory: &Path, missing: &mut Vec<String>) {
    for name in plan.axis("model").map_or(&[][..], |axis| &axis.values) {
        if let Err(error) = ModelIdentity::of(name, &plan_directory.join(name)) {
            missing.push(format!("{error:#}"));
        }
    }
}

fn programs(
    plan: &Plan,
    runs: &[PlannedRun],
    plan_directory: &Path,
    caller: &Caller,
    missing: &mut Vec<String>,
) {
    let mut seen: BTreeSet<OsString> = BTreeSet::new();
    if plan.engine.adapter == Adapter::BuiltIn {
        return;
    }
    for run in runs {
        let model = plan_directory.join(run.model());
        let command = engine_command(
            plan,
            run,
            &model,
            Some(0),
            Path::new("tracer"),
            plan_directory,
        );
        let program = match command {
            Ok(words) => words.into_iter().next().unwrap_or_default(),
            Err(error) => {
                missing.push(format!("{error:#}"));
                return;
            }
        };
        if seen.insert(program.clone())
            && let Err(error) = resolve_program(&[program], caller)
        {
            missing.push(format!("the engine's program {error}"));
        }
    }
}

fn memory(plan: &Plan, missing: &mut Vec<String>) {
    let Some(axis) = plan.axis("pressure") else {
        return;
    };
    let system = SystemMemory::read();
    let mut asked_for_cgroup = false;
    for written in &axis.values {
        let Ok(pressure) = parse_pressure(written) else {
            continue;
        };
        if let Err(error) = Conditions::check(&conditions(pressure)) {
            missing.push(format!("pressure {written}: {error:#}"));
        }
        let system = match &system {
            Ok(system) => system,
            Err(error) => {
                missing.push(format!("pressure {written}: {error}"));
                continue;
            }
        };
        match pressure {
            PlannedPressure::MemoryMax(bytes) if bytes > system.total_bytes => {
                missing.push(format!(
                    "pressure {written}: the machine has {}, a larger limit is none",
                    units::bytes(system.total_bytes)
                ));
            }
            PlannedPressure::MemoryMax(_) if !asked_for_cgroup => {
                asked_for_cgroup = true;
                if let Err(error) = memory_cgroup_version() {
                    missing.push(format!("pressure {written}: {error}"));
                }
            }
            _ => {}
        }
    }
}

fn disk(
    plan: &Plan,
    runs: &[PlannedRun],
    plan_directory: &Path,
    experiment_directory: &Path,
    missing: &mut Vec<String>,
) {
    let copies = match copies_bytes(plan, plan_directory) {
        Ok(bytes) => bytes,
        Err(error) => {
            missing.push(format!("{error:#}"));
            return;
        }
    };
    let needed = copies.saturating_add((runs.len() as u64).saturating_mul(RUN_BYTES));
    let Some(folder) = experiment_directory
        .ancestors()
        .find(|folder| folder.is_dir())
    else {
        return;
    };
    match statvfs(folder) {
        Ok(statistics) => {
            let free = statistics
                .blocks_available()
                .saturating_mul(statistics.fragment_size());
            if needed > free {
                missing.push(format!(
                    "{} runs need about {} in {}, and {} are free; choose another folder with --out",
                    runs.len(),
                    units::bytes(needed),
                    folder.display(),
                    units::bytes(free)
                ));
            }
        }
        Err(error) => missing.push(format!("cannot look at {}: {error}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{
        experiment::{cells::expand, plan::Plan},
        process::Caller,
    };

    use super::check;

    fn complaints(text: &str, folder: &std::path::Path) -> Vec<String> {
        let plan = Plan::parse(text).expect(text);
        let caller = Caller::of_this_process().expect("the test's own user");
        match check(
            &plan,
            &expand(&plan),
            folder,
            &folder.join("not/yet"),
            &caller,
        ) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.0.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn everything_that_is_missing_is_said_at_once() {
        let scratch = tempfile::tempdir().expect("scratch");
        fs::write(scratch.path().join("a ü.gguf"), "model").expect("written");
        let text = "name = \"x\"\n[engine]\nadapter = \"command\"\ncommand = [\"PROGRAM\", \"{model}\"]\n[axes]\nmodel = [\"a ü.gguf\"]\npressure = [\"none\"]\n";
        assert_eq!(
            complaints(&text.replace("PROGRAM", "true"), scratch.path()),
            [""; 0]
        );
        let text = text
            .replace("PROGRAM", "there-is-no-engine")
            .replace("\"a ü.gguf\"]", "\"a ü.gguf\", \"no.gguf\"]")
            .replace(
                "\"none\"]",
                "\"none\", \"lock=900T\", \"leave-free=900T\", \"memory-max=900T\", \"memory-max=1M\"]",
            );
        let all = complaints(&text, scratch.path());
        for word in [
            "no.gguf",
            "there-is-no-engine",
            "lock=900T",
            "leave-free=900T",
            "memory-max=900T",
            "memory-max=1M",
        ] {
            assert_eq!(
                all.iter()
                    .filter(|complaint| complaint.contains(word))
                    .count(),
                1,
                "{word}: {all:#?}"
            );
        }
    }

    #[test]
    fn too_little_disk_is_said() {
        let scratch = tempfile::tempdir().expect("scratch");
        fs::write(scratch.path().join("m"), "model").expect("written");
        let text = "name = \"x\"\nrepetitions = 100000\n[engine]\nadapter = \"built-in\"\n[axes]\nmodel = [\"m\"]\n";
        let free = nix::sys::statvfs::statvfs(scratch.path())
            .map(|found| found.blocks_available() * found.fragment_size())
            .expect("a file system");
        let all = complaints(text, scratch.path());
        assert_eq!(
            all.len(),
            usize::from(free < 100_000 * super::RUN_BYTES),
            "{free} bytes free: {all:?}"
        );
    }

    #[test]
    fn a_program_beside_the_plan_is_found() {
        use std::os::unix::fs::PermissionsExt as _;
        let scratch = tempfile::tempdir().expect("scratch");
        fs::write(scratch.path().join("m"), "model").expect("written");
        fs::write(scratch.path().join("engine.sh"), "#!/bin/sh\n").expect("written");
        let text = "name = \"x\"\n[engine]\nadapter = \"command\"\ncommand = [\"./engine.sh\"]\n[axes]\nmodel = [\"m\"]\n";
        assert_eq!(complaints(text, scratch.path()).len(), 1, "not executable");
        fs::set_permissions(
            scratch.path().join("engine.sh"),
            fs::Permissions::from_mode(0o755),
        )
        .expect("mode");
        assert_eq!(complaints(text, scratch.path()), [""; 0]);
    }
}
