//! `cargo xtask lint`: formatting, lints and documentation. The eBPF side is checked apart from the rest,
//! for its own target: in one build, features would unify.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{
    setup::setup,
    workspace::{cargo, pinned_toolchain, target_directory},
};

/// Runs every check to its end.
///
/// # Errors
/// The checks that failed.
pub fn lint() -> anyhow::Result<()> {
    setup()?;
    pinned_toolchain()?;
    let ebpf_target = target_directory()?.join("ebpf-lint");
    let mut failed = Vec::new();
    let mut check = |what: &'static str, command: &mut Command| -> anyhow::Result<()> {
        eprintln!("xtask: {what}");
        let status = command
            .status()
            .with_context(|| format!("cannot start {what}"))?;
        if !status.success() {
            failed.push(what);
        }
        Ok(())
    };
    check("formatting", cargo().args(["fmt", "--all", "--check"]))?;
    check(
        "lints of the user side",
        cargo().args([
            "clippy",
            "--workspace",
            "--exclude",
            "tracer-ebpf",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ]),
    )?;
    check(
        "lints of the eBPF side",
        cargo()
            .args([
                "clippy",
                "--package",
                "tracer-ebpf",
                "--release",
                "--target",
                "bpfel-unknown-none",
                "-Z",
                "build-std=core",
                "--target-dir",
            ])
            .arg(ebpf_target)
            .args(["--", "--deny", "warnings"])
            .env("RUSTC_BOOTSTRAP", "1"),
    )?;
    check(
        "documentation",
        cargo()
            .args([
                "doc",
                "--workspace",
                "--exclude",
                "tracer-ebpf",
                "--no-deps",
            ])
            .env("RUSTDOCFLAGS", "--deny warnings"),
    )?;
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}
