//! Programs from crates.io, each at its pinned version and below the target folder.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, ensure};

use crate::{cargo::cargo, progress, toolchain::Toolchain, workspace::Workspace};

/// A crate with one program of the same name.
#[derive(Debug)]
pub struct Tool {
    /// Name of both.
    pub name: &'static str,
    /// The pinned version.
    pub version: &'static str,
    /// Whether it works so long that building it for speed pays.
    pub is_optimised: bool,
}

impl Tool {
    /// Installs it; instant, and without network, where it is there. The caller holds the lock of the set-up.
    ///
    /// The program itself is asked for its version: a file that was cut short, or that another system wrote,
    /// gives no answer. `cargo install` moves the finished file into place, so an interrupted one leaves none.
    ///
    /// # Errors
    /// It cannot be downloaded or built.
    pub fn ensure(&self, workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
        let Self { name, version, .. } = self;
        if self.installed_version(workspace).as_deref() == Some(version) {
            return Ok(());
        }
        // Kept for the next attempt where this one is interrupted.
        let build = workspace.tools().join("build");
        let mut install = cargo(workspace, toolchain);
        install
            // --force: replaces another version, and a file that cargo does not know of.
            .args(["install", "--locked", "--force", name])
            .args(["--version", version, "--root"])
            .arg(workspace.tools())
            .env("CARGO_TARGET_DIR", &build);
        if !self.is_optimised {
            install.arg("--debug").env("CARGO_PROFILE_DEV_DEBUG", "0");
        }
        progress::step(
            &format!("installing {name} {version}, a minute or two"),
            &mut install,
        )?;
        let found = self.installed_version(workspace);
        ensure!(
            found.as_deref() == Some(version),
            "cargo has installed {name} {version}, but {} says {}",
            workspace.tool(self.name).display(),
            found.as_deref().unwrap_or("nothing")
        );
        fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
    }

    fn installed_version(&self, workspace: &Workspace) -> Option<String> {
        let output = Command::new(workspace.tool(self.name))
            .arg("--version")
            .output()
            .ok()?;
        let answer = String::from_utf8(output.stdout).ok()?;
        output
            .status
            .success()
            .then(|| version_in(&answer, self.name).map(str::to_owned))?
    }
}

/// The version in a program's answer to `--version`.
fn version_in<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let mut words = answer.split_whitespace();
    (words.next()? == name).then(|| words.next())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_the_programs_answer_alone() {
        let version = |answer| version_in(answer, "bpf-linker");
        assert_eq!(version("bpf-linker 0.10.3\n"), Some("0.10.3"));
        assert_eq!(version("bpf-linker 0.10.3-dev LLVM\n"), Some("0.10.3-dev"));
        assert_eq!(version("bpf-linker\n"), None);
        assert_eq!(version("GNU ld 0.10.3\n"), None);
        assert_eq!(version(""), None);
        assert_eq!(
            version_in("cargo-deny 0.20.2\n", "cargo-deny"),
            Some("0.20.2")
        );
    }
}
