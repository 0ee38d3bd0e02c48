//! bpf-linker, which links eBPF programs, at its pinned version and below the target folder.
//!
//! 0.10.3 is the last version that works with the LLVM of Rust 1.95 (22); it loads that LLVM from the toolchain.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{cargo::cargo, progress, toolchain::Toolchain, workspace::Workspace};

/// The pinned version.
const VERSION: &str = "0.10.3";

/// Where the linker is installed. `.cargo/config.toml` names the same place.
pub fn path(workspace: &Workspace) -> PathBuf {
    workspace.tools().join("bin/bpf-linker")
}

/// Installs the linker; instant, and without network, where it is there.
///
/// The linker itself is asked for its version: a file that was cut short, or that another system wrote,
/// gives no answer. `cargo install` moves the finished file into place, so an interrupted one leaves none.
///
/// # Errors
/// The linker cannot be downloaded or built.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    if installed_version(workspace).as_deref() == Some(VERSION) {
        return Ok(());
    }
    // Kept for the next attempt where this one is interrupted.
    let build = workspace.tools().join("build");
    let mut install = cargo(workspace, toolchain);
    install
        // --force: replaces another version, and a file that cargo does not know of.
        .args([
            "install",
            "--locked",
            "--force",
            "bpf-linker",
            "--version",
            VERSION,
            "--root",
        ])
        .arg(workspace.tools())
        .env("CARGO_TARGET_DIR", &build);
    progress::step(
        &format!("installing bpf-linker {VERSION}, a minute or two"),
        &mut install,
    )?;
    let found = installed_version(workspace);
    ensure!(
        found.as_deref() == Some(VERSION),
        "cargo has installed bpf-linker {VERSION}, but {} says {}",
        path(workspace).display(),
        found.as_deref().unwrap_or("nothing")
    );
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}

fn installed_version(workspace: &Workspace) -> Option<String> {
    let output = Command::new(path(workspace))
        .arg("--version")
        .output()
        .ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    output
        .status
        .success()
        .then(|| version_in(&answer).map(str::to_owned))?
}

/// The version in the answer to `--version`.
fn version_in(answer: &str) -> Option<&str> {
    let mut words = answer.split_whitespace();
    (words.next()? == "bpf-linker").then(|| words.next())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_linkers_answer_alone() {
        assert_eq!(version_in("bpf-linker 0.10.3\n"), Some("0.10.3"));
        assert_eq!(
            version_in("bpf-linker 0.10.3-dev LLVM\n"),
            Some("0.10.3-dev")
        );
        assert_eq!(version_in("bpf-linker\n"), None);
        assert_eq!(version_in("GNU ld 0.10.3\n"), None);
        assert_eq!(version_in(""), None);
    }

    #[test]
    fn the_configuration_names_the_place_where_the_linker_is_installed() {
        let workspace = Workspace {
            root: "".into(),
            target: "target".into(),
        };
        let line = format!("linker = \"{}\"", path(&workspace).display());
        assert!(
            include_str!("../../.cargo/config.toml")
                .lines()
                .any(|found| found == line)
        );
    }
}
