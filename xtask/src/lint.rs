//! `cargo xtask lint`: formatting, clippy and documentation, with warnings as errors, and documents that are generated.

use std::{env, ffi::OsString, process::Command};

use anyhow::{Result, bail};

use crate::{
    bench,
    cargo::{self, EBPF_TARGET},
    progress,
    setup::{self, Ready},
};

/// Runs every check, those after a failed one too.
///
/// # Errors
/// A check fails.
pub fn lint() -> Result<()> {
    let ready = setup::setup()?;
    let failed: Vec<_> = checks(&ready)
        .into_iter()
        .filter_map(|(what, mut command)| {
            progress::say(what);
            let error = cargo::succeed(&mut command).err()?;
            progress::say(&format!("{error:#}"));
            Some(what)
        })
        .collect();
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    Ok(())
}

fn checks(ready: &Ready) -> [(&'static str, Command); 5] {
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
        ("documentation", documentation),
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
