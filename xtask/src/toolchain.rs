//! The pinned Rust toolchain: rust-toolchain.toml says which, rustup installs it.
//!
//! rustup may have been told not to install anything by itself (`RUSTUP_AUTO_INSTALL=0`): cargo then runs
//! without the components that rust-toolchain.toml asks for, and says nothing.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::{executable, progress, shell, workspace::Workspace};

/// What rust-toolchain.toml asks for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Toolchain {
    /// A version, such as `1.95.0`.
    pub channel: String,
    /// Components by rustup's names.
    #[serde(default)]
    pub components: Vec<String>,
}

#[derive(Deserialize)]
struct ToolchainFile {
    toolchain: Toolchain,
}

impl Toolchain {
    /// Reads rust-toolchain.toml.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn pinned(workspace: &Workspace) -> Result<Self> {
        let path = workspace.root.join("rust-toolchain.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} names no toolchain", path.display()))
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        Ok(toml::from_str::<ToolchainFile>(text)?.toolchain)
    }

    /// Installs what is missing; instant, and without network, where nothing is.
    ///
    /// # Errors
    /// Something is missing and cannot be installed: no rustup, or no network.
    pub fn ensure(&self) -> Result<()> {
        let Some(rustup) = executable::find("rustup") else {
            return self.check_without_rustup();
        };
        let sysroot = match self.sysroot(&rustup)? {
            Some(sysroot) => sysroot,
            None => {
                let mut install = Command::new(&rustup);
                install.args([
                    "toolchain",
                    "install",
                    &self.channel,
                    "--profile",
                    "minimal",
                ]);
                install.args(
                    self.components
                        .iter()
                        .flat_map(|name| ["--component", name]),
                );
                progress::step(&format!("installing Rust {}", self.channel), &mut install)?;
                self.sysroot(&rustup)?.with_context(|| {
                    format!(
                        "rustup has installed Rust {}, but cannot run it",
                        self.channel
                    )
                })?
            }
        };
        let missing = self.missing_components(&sysroot)?;
        if missing.is_empty() {
            return Ok(());
        }
        let mut add = Command::new(&rustup);
        add.args(["component", "add", "--toolchain", &self.channel])
            .args(&missing);
        progress::step(
            &format!("adding {} to Rust {}", missing.join(", "), self.channel),
            &mut add,
        )?;
        let missing = self.missing_components(&sysroot)?;
        ensure!(
            missing.is_empty(),
            "rustup says that it added them, but {} still lacks {}",
            sysroot.display(),
            missing.join(", ")
        );
        Ok(())
    }

    /// Installs the standard library of another target, where it is missing.
    ///
    /// # Errors
    /// It is missing and cannot be installed: no rustup, or no network.
    pub fn ensure_target(&self, target: &str) -> Result<()> {
        let Some(rustup) = executable::find("rustup") else {
            let output = Command::new("rustc")
                .args(["--print", "sysroot"])
                .output()
                .context("cannot run rustc")?;
            let sysroot = String::from_utf8_lossy(&output.stdout);
            ensure!(
                has_target(Path::new(sysroot.trim_end()), target),
                "the build needs Rust's standard library for {target}, and there is no rustup to add it"
            );
            return Ok(());
        };
        let has = || -> Result<bool> {
            Ok(self
                .sysroot(&rustup)?
                .is_some_and(|sysroot| has_target(&sysroot, target)))
        };
        if has()? {
            return Ok(());
        }
        let mut add = Command::new(&rustup);
        add.args(["target", "add", "--toolchain", &self.channel, target]);
        progress::step(
            &format!("adding {target} to Rust {}", self.channel),
            &mut add,
        )?;
        ensure!(
            has()?,
            "rustup says that it added {target}, but it is not there"
        );
        Ok(())
    }

    /// The toolchain's folder, or `None` where it is not installed.
    fn sysroot(&self, rustup: &Path) -> Result<Option<PathBuf>> {
        let output = Command::new(rustup)
            .args(["run", &self.channel, "rustc", "--print", "sysroot"])
            // Installing is ours, with progress.
            .env("RUSTUP_AUTO_INSTALL", "0")
            .output()
            .context("cannot run rustup")?;
        let sysroot = String::from_utf8_lossy(&output.stdout);
        Ok(output
            .status
            .success()
            .then(|| PathBuf::from(sysroot.trim_end())))
    }

    fn missing_components(&self, sysroot: &Path) -> Result<Vec<&str>> {
        let mut missing = Vec::new();
        for component in &self.components {
            let file = proof_of(component).with_context(|| {
                format!("rust-toolchain.toml asks for `{component}`, and xtask does not know how to look for it")
            })?;
            if !sysroot.join(file).exists() {
                missing.push(component.as_str());
            }
        }
        Ok(missing)
    }

    /// A compiler that a distribution installed will do if it is the pinned one.
    fn check_without_rustup(&self) -> Result<()> {
        let ask = |argument: &[&str]| -> Result<String> {
            let output = Command::new("rustc")
                .args(argument)
                .output()
                .context("cannot run rustc")?;
            Ok(String::from_utf8_lossy(&output.stdout)
                .trim_end()
                .to_owned())
        };
        let version = ask(&["--version"])?;
        let sysroot = PathBuf::from(ask(&["--print", "sysroot"])?);
        let missing = self.missing_components(&sysroot)?;
        if is_version(&version, &self.channel) && missing.is_empty() {
            return Ok(());
        }
        bail!(
            "the build needs Rust {} with {}; here are {version} and no rustup. Install rustup, then: {}",
            self.channel,
            self.components.join(", "),
            shell::command_line([
                "rustup",
                "toolchain",
                "install",
                &self.channel,
                "--component",
                &self.components.join(","),
            ])
        );
    }
}

/// A file that is there, below the toolchain's folder, where the component is installed.
fn proof_of(component: &str) -> Option<&'static str> {
    match component {
        "clippy" => Some("bin/clippy-driver"),
        "rustfmt" => Some("bin/rustfmt"),
        "rust-src" => Some("lib/rustlib/src/rust/library/core/src/lib.rs"),
        _ => None,
    }
}

fn has_target(sysroot: &Path, target: &str) -> bool {
    sysroot
        .join("lib/rustlib")
        .join(target)
        .join("lib")
        .exists()
}

/// Whether `rustc --version` says this version.
fn is_version(answer: &str, version: &str) -> bool {
    answer.split_whitespace().nth(1) == Some(version)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of_this_workspace() -> Toolchain {
        Toolchain::parse(include_str!("../../rust-toolchain.toml")).unwrap()
    }

    #[test]
    fn every_component_of_this_workspace_can_be_looked_for() {
        let toolchain = of_this_workspace();
        assert!(
            toolchain.components.contains(&"rust-src".to_owned()),
            "core is built from source"
        );
        for component in &toolchain.components {
            assert!(proof_of(component).is_some(), "{component}");
        }
    }

    #[test]
    fn the_build_script_uses_the_pinned_toolchain() {
        let script = include_str!("../../tracer-user/build.rs");
        assert!(script.contains(&format!("\"{}\"", of_this_workspace().channel)));
    }

    #[test]
    fn a_file_without_components_asks_for_none() {
        let toolchain = Toolchain::parse("[toolchain]\nchannel = \"1.2.3\"\n").unwrap();
        assert_eq!(
            (toolchain.channel.as_str(), toolchain.components.len()),
            ("1.2.3", 0)
        );
        Toolchain::parse("[toolchain]\npath = \"/x\"\n").unwrap_err();
    }

    #[test]
    fn what_is_not_in_the_sysroot_is_missing() {
        let sysroot = tempfile::tempdir().unwrap();
        let toolchain = of_this_workspace();
        assert_eq!(
            toolchain.missing_components(sysroot.path()).unwrap(),
            toolchain.components
        );
        for component in &toolchain.components {
            let file = sysroot.path().join(proof_of(component).unwrap());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "").unwrap();
        }
        assert!(
            toolchain
                .missing_components(sysroot.path())
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_target_is_there_with_its_libraries() {
        let sysroot = tempfile::tempdir().unwrap();
        assert!(!has_target(sysroot.path(), "x-musl"));
        fs::create_dir_all(sysroot.path().join("lib/rustlib/x-musl/lib")).unwrap();
        assert!(has_target(sysroot.path(), "x-musl"));
    }

    #[test]
    fn a_version_is_compared_as_a_whole() {
        assert!(is_version("rustc 1.95.0 (59807616e 2026-04-14)", "1.95.0"));
        assert!(!is_version(
            "rustc 1.95.0-nightly (59807616e 2026-04-14)",
            "1.95.0"
        ));
        assert!(!is_version("rustc 11.95.0", "1.95.0"));
        assert!(!is_version("", "1.95.0"));
    }
}
