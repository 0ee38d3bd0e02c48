//! A Python with the real engine of the tests: llama.cpp, prebuilt, as the package xllamacpp.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{executable, progress, setup, workspace::Workspace};

/// The package at its pinned version; it has no dependencies.
const REQUIREMENT: &str = "xllamacpp==2026.10.11549";

/// The Python of the virtual environment, which is made where it is not there.
///
/// # Errors
/// There is no `python3` with `venv`, or the package cannot be had.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let environment = workspace.tools().join("venv-xllamacpp");
    let python = environment.join("bin/python");
    let stamp = environment.join("xtask-stamp");
    let _lock = setup::lock(workspace)?;
    if is_complete(&python, &stamp) {
        return Ok(python);
    }
    // What an interrupted attempt left, or another version.
    if environment.exists() {
        fs::remove_dir_all(&environment)
            .with_context(|| format!("cannot remove {}", environment.display()))?;
    }
    progress::step(
        "making a Python environment for the real engine's test",
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    progress::step(
        &format!("installing {REQUIREMENT}, the real engine's test needs it"),
        Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--disable-pip-version-check",
                "--no-input",
            ])
            // Building llama.cpp is not what a test run should do.
            .args(["--only-binary=:all:", "--no-deps", REQUIREMENT]),
    )?;
    // Last: what has a stamp is whole.
    fs::write(&stamp, REQUIREMENT).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

/// Whether an earlier call came to its end, and the Python that the environment stands on is still there.
fn is_complete(python: &Path, stamp: &Path) -> bool {
    executable::is_executable(python)
        && fs::read_to_string(stamp).is_ok_and(|found| found == REQUIREMENT)
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
        assert!(!is_complete(&python, &stamp));
        fs::write(&stamp, "xllamacpp==0").unwrap();
        assert!(!is_complete(&python, &stamp));
        fs::write(&stamp, REQUIREMENT).unwrap();
        assert!(is_complete(&python, &stamp));
        fs::remove_file(&python).unwrap();
        symlink(folder.path().join("gone"), &python).unwrap();
        assert!(!is_complete(&python, &stamp));
    }
}
