//! `cargo xtask lint`: the structure of the sources, formatting, clippy and documentation, with warnings as errors, and
//! documents that are generated.

mod circles;
mod conventions;
mod figures;
mod finding;
mod graph;
mod modules;
mod references;
mod resolve;
mod rooms;
mod sources;
mod structure;
mod table;

use std::{env, ffi::OsString, process::Command};

use anyhow::{Result, bail};

use crate::{
    bench,
    cargo::{self, EBPF_TARGET},
    progress,
    setup::{self, Ready},
    workspace::Workspace,
};

/// What to check.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Check only the structure of the sources: which room imports which, circles of files, names and sizes.
    #[arg(long)]
    structure: bool,
    /// Write the generated tables of docs/METRICS.md anew, and check nothing.
    #[arg(long)]
    bless: bool,
}

/// Runs every check, those after a failed one too.
///
/// # Errors
/// A check fails.
pub fn lint(options: &Options) -> Result<()> {
    if options.structure {
        return check_structure(&Workspace::find()?);
    }
    let ready = setup::setup()?;
    if options.bless {
        return cargo::succeed(&mut figures::command(&ready, true));
    }
    let mut failed = Vec::new();
    progress::say(STRUCTURE);
    if let Err(error) = check_structure(&ready.workspace) {
        progress::say(&format!("{error:#}"));
        failed.push(STRUCTURE);
    }
    for (what, mut command) in checks(&ready) {
        progress::say(what);
        if let Err(error) = cargo::succeed(&mut command) {
            progress::say(&format!("{error:#}"));
            failed.push(what);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

const STRUCTURE: &str = "structure of the sources";

fn check_structure(workspace: &Workspace) -> Result<()> {
    let findings = structure::check(&workspace.root)?;
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("mistakes in the {STRUCTURE}: {}", findings.len());
    }
    Ok(())
}

fn checks(ready: &Ready) -> [(&'static str, Command); 7] {
    let cargo = |arguments: &[&str]| {
        let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
        command.args(arguments);
        command
    };
    let user = cargo(&[
        "clippy",
        "--workspace",
        "--exclude",
        "tracer-ebpf",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    // Apart from the rest: in one build the features of what both sides use would be one set.
    let mut ebpf = cargo(&[
        "clippy",
        "--package",
        "tracer-ebpf",
        "--target",
        EBPF_TARGET,
        "-Z",
        "build-std=core",
        "--",
        "-D",
        "warnings",
    ]);
    ebpf.env("CARGO_TARGET_DIR", ready.workspace.target.join("ebpf"))
        // `-Z` on the stable compiler: the target has no prebuilt `core`.
        .env("RUSTC_BOOTSTRAP", "1");
    // A workspace of its own, with a lock file of its own, that nothing else builds.
    let mut fuzz_targets = cargo(&["check", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    fuzz_targets.env(
        "CARGO_TARGET_DIR",
        ready.workspace.target.join("fuzz-check"),
    );
    let mut documentation = cargo(&[
        "doc",
        "--workspace",
        "--exclude",
        "tracer-ebpf",
        "--no-deps",
    ]);
    documentation.env("RUSTDOCFLAGS", warnings_denied(env::var_os("RUSTDOCFLAGS")));
    let mut performance = bench::document_command(ready);
    performance.arg("--check");
    [
        ("formatting", cargo(&["fmt", "--all", "--check"])),
        ("clippy, user side", user),
        ("clippy, eBPF side", ebpf),
        ("fuzz targets", fuzz_targets),
        ("documentation", documentation),
        ("docs/METRICS.md", figures::command(ready, false)),
        ("docs/PERFORMANCE.md", performance),
    ]
}

/// The flags that the user has set, with warnings as errors after them.
fn warnings_denied(flags: Option<OsString>) -> OsString {
    match flags {
        Some(mut flags) if !flags.is_empty() => {
            flags.push(" -D warnings");
            flags
        }
        _ => "-D warnings".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_flags_stay() {
        assert_eq!(warnings_denied(None), "-D warnings");
        assert_eq!(warnings_denied(Some(OsString::new())), "-D warnings");
        assert_eq!(
            warnings_denied(Some("--cfg docsrs".into())),
            "--cfg docsrs -D warnings"
        );
    }
}
