//! What the tracer is compared with, from this machine or from Debian.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{
    executable, progress,
    setup::Ready,
    shell,
    vm::{Apt, Architecture},
};

/// Another tracer: its program, the package of Debian's that has it, and the variable that tells where it is.
const OTHERS: [(&str, &str, &str); 2] = [
    ("bpftrace", "bpftrace", "TRACER_BENCH_BPFTRACE"),
    ("perf", "linux-perf", "TRACER_BENCH_PERF"),
];

/// Variables that tell where they are. One that cannot be had is named, and left out.
pub fn variables(ready: &Ready) -> Vec<(&'static str, OsString)> {
    OTHERS
        .into_iter()
        .filter_map(|(program, package, variable)| {
            let found = match executable::find(program) {
                Some(found) => Ok(found),
                None => unpacked(ready, program, package),
            };
            found
                .inspect_err(|error| {
                    progress::say(&format!(
                        "no comparison with {program}, which cannot be had: {error:#}"
                    ));
                })
                .ok()
                .map(|found| (variable, found.into()))
        })
        .collect()
}

/// A program of a package that is unpacked below the target folder, as a script that finds its libraries.
fn unpacked(ready: &Ready, program: &str, package: &str) -> Result<PathBuf> {
    let folder = ready.workspace.target.join("bench").join(program);
    let script = folder.join(program);
    // Written last.
    if script.exists() {
        return Ok(script);
    }
    let root = folder.join("root");
    fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
    let apt = Apt::of_machine(folder.join("apt"), Architecture::of_machine()?)?;
    apt.update()?;
    apt.unpack_with_dependencies(&[package.to_owned()], &root)?;
    write_script(&script, &root, program)?;
    Ok(script)
}

fn write_script(script: &Path, root: &Path, program: &str) -> Result<()> {
    let mut libraries: Vec<PathBuf> = vec![root.join("usr/lib")];
    let list = fs::read_dir(root.join("usr/lib")).context("cannot list the libraries")?;
    libraries.extend(
        list.flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir() && path.to_string_lossy().ends_with("-linux-gnu")),
    );
    let path = std::env::join_paths(libraries).context("the target folder's path has a colon")?;
    let text = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH={} exec {} \"$@\"\n",
        shell::command_line([&path]),
        shell::command_line([root.join("usr/bin").join(program)])
    );
    let partial = script.with_extension("partial");
    fs::write(&partial, text)
        .and_then(|()| fs::set_permissions(&partial, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&partial, script))
        .with_context(|| format!("cannot write {}", script.display()))
}
