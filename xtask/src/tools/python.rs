//! Pythons with what the tests want: the real engine, and strangers' readers of what the tracer writes.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{
    executable, packages, progress,
    setup::{self, Ready},
    workspace::Workspace,
};

/// A virtual environment with what one test needs.
#[derive(Debug)]
pub struct Environment {
    /// Name of its folder.
    folder: &'static str,
    /// The packages at their pinned versions, with all that they need of each other.
    requirements: &'static [&'static str],
    purpose: &'static str,
    /// How pip gets them: packages that are built, or their sources.
    source: &'static str,
}

impl fmt::Display for Environment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.purpose)
    }
}

pub const ENGINE: Environment = Environment {
    folder: "venv-xllamacpp",
    requirements: &["xllamacpp==2026.10.11549"],
    purpose: "the real engine's test",
    source: "--only-binary=:all:",
};

/// DuckDB, which reads what the tracer records.
pub const DUCKDB: Environment = Environment {
    folder: "venv-duckdb",
    requirements: &["duckdb==2.0.0"],
    purpose: "the test of the list of reads",
    source: "--only-binary=:all:",
};

/// Perfetto's own classes of the messages of a trace. Its other dependencies are for asking a trace processor, which is a program
/// from elsewhere. OpenTelemetry's classes of its messages take the same library.
pub const PERFETTO: Environment = Environment {
    folder: "venv-perfetto",
    requirements: &[
        "perfetto==0.59.1",
        "protobuf==7.36.2",
        "opentelemetry-proto==1.45.2",
    ],
    purpose: "the tests of the trace for Perfetto, and of what a collector of OpenTelemetry takes",
    source: "--only-binary=:all:",
};

/// Spark, which has no built package: its source is Java's programs, packed.
pub const SPARK: Environment = Environment {
    folder: "venv-spark",
    requirements: &["pyspark==4.3.0", "py4j==0.10.9.9"],
    purpose: "the test of Spark",
    source: "--prefer-binary",
};

/// The Python of a virtual environment; where it cannot be had, that is said.
pub fn find(ready: &Ready, wanted: &Environment) -> Option<PathBuf> {
    ensure(&ready.workspace, wanted)
        .inspect_err(|error| progress::say(&format!("{wanted} cannot run: {error:#}")))
        .ok()
}

/// The Python of a virtual environment, which is made where it is not there.
///
/// # Errors
/// There is no `python3` with `venv` and none can be installed, or the package cannot be had.
fn ensure(workspace: &Workspace, wanted: &Environment) -> Result<PathBuf> {
    let Environment {
        folder,
        requirements,
        purpose,
        source,
    } = wanted;
    let wanted_stamp = requirements.join("\n");
    let environment = workspace.tools().join(folder);
    let python = environment.join("bin/python");
    let stamp = environment.join("xtask-stamp");
    let _lock = setup::lock(workspace)?;
    if is_complete(&python, &stamp, &wanted_stamp) {
        return Ok(python);
    }
    // What an interrupted attempt left, or another version.
    if environment.exists() {
        fs::remove_dir_all(&environment)
            .with_context(|| format!("cannot remove {}", environment.display()))?;
    }
    let python3 = python3_with_venv(purpose)?;
    progress::step(
        &format!("making a Python environment for {purpose}"),
        Command::new(python3).args(["-m", "venv"]).arg(&environment),
    )?;
    progress::step(
        &format!(
            "installing {}, {purpose} needs it",
            requirements.join(" and ")
        ),
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
            ])
            // Building llama.cpp, or a database, is not what a test run should do.
            .args([*source, "--no-deps"])
            .args(*requirements),
    )?;
    // Last: what has a stamp is whole.
    fs::write(&stamp, &wanted_stamp)
        .with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// A Python that makes virtual environments. Where there is none, Debian's is installed: unpacked it would not do, since
/// it looks for pip in /usr/share.
fn python3_with_venv(purpose: &str) -> Result<PathBuf> {
    if let Some(python) = find_with_venv() {
        return Ok(python);
    }
    packages::install(&["python3", "python3-venv"], &format!("{purpose} needs"))?;
    find_with_venv().context("the python3 that apt has installed makes no virtual environments")
}

/// The first in the search path, which need not be the system's, or the system's.
fn find_with_venv() -> Option<PathBuf> {
    executable::find("python3")
        .into_iter()
        .chain(["/usr/bin/python3".into()])
        .find(|python| {
            Command::new(python)
                .args(["-c", "import ensurepip, venv"])
                .output()
                .is_ok_and(|output| output.status.success())
        })
}

/// Whether an earlier call came to its end, and the Python that the environment stands on is still there.
fn is_complete(python: &Path, stamp: &Path, requirements: &str) -> bool {
    executable::is_executable(python)
        && fs::read_to_string(stamp).is_ok_and(|found| found == requirements)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn an_environment_counts_only_with_its_stamp_and_a_python_that_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (python, stamp) = (folder.path().join("python"), folder.path().join("stamp"));
        symlink("/bin/sh", &python).unwrap();
        assert!(!is_complete(&python, &stamp, "a==1"));
        fs::write(&stamp, "a==0").unwrap();
        assert!(!is_complete(&python, &stamp, "a==1"));
        fs::write(&stamp, "a==1").unwrap();
        assert!(is_complete(&python, &stamp, "a==1"));
        fs::remove_file(&python).unwrap();
        symlink(folder.path().join("gone"), &python).unwrap();
        assert!(!is_complete(&python, &stamp, "a==1"));
    }
}
