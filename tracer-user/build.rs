//! Builds the eBPF programs, which the loader embeds.
//!
//! `aya-build` hands every line of the inner cargo on as a warning of ours: some sixty of `Compiling …` in a build where
//! nothing is wrong. So it runs in a second process of this script, and what it prints passes through here.

use std::{
    env,
    process::{Command, ExitCode},
};

use anyhow::Context as _;
use aya_build::{Package, Toolchain};

/// The compiler of `rust-toolchain.toml`: compiler and linker then share one LLVM.
const TOOLCHAIN: &str = "1.95.0";

/// Set in the process that builds.
const BUILDS: &str = "TRACER_BUILDS_EBPF";

/// What a line for cargo begins with where a person is to see it.
const WARNING: &str = "cargo:warning=";

fn main() -> anyhow::Result<ExitCode> {
    if env::var_os(BUILDS).is_some() {
        build()?;
        return Ok(ExitCode::SUCCESS);
    }
    // aya-build reruns this for changes of the eBPF crate itself, not of what it shares with us.
    println!("cargo:rerun-if-changed=../tracer-common/src");
    let script = env::current_exe().context("the build script does not know its own file")?;
    let output = Command::new(script)
        .env(BUILDS, "1")
        // `-Z build-std=core` on the stable compiler: the target has no prebuilt `core`.
        .env("RUSTC_BOOTSTRAP", "1")
        .output()
        .context("the build script cannot start itself again")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        for line in printed.lines() {
            eprintln!("{}", line.strip_prefix(WARNING).unwrap_or(line));
        }
        eprint!("{errors}");
        return Ok(ExitCode::FAILURE);
    }
    for line in printed.lines() {
        if !line.strip_prefix(WARNING).is_some_and(is_progress) {
            println!("{line}");
        }
    }
    eprint!("{errors}");
    Ok(ExitCode::SUCCESS)
}

fn build() -> anyhow::Result<()> {
    aya_build::build_ebpf(
        [Package {
            name: "tracer-ebpf",
            root_dir: "../tracer-ebpf",
            ..Package::default()
        }],
        Toolchain::Custom(TOOLCHAIN),
    )
    .context(
        "building the eBPF programs failed; `cargo xtask setup` installs the linker and the sources of `core`",
    )
}

/// Whether a line of cargo's says how far it is, as `   Compiling core v0.0.0` does: a word that ends at the twelfth
/// column. What the compiler has to say looks otherwise.
fn is_progress(line: &str) -> bool {
    line.split_at_checked(12).is_some_and(|(status, rest)| {
        let word = status.trim_start();
        rest.starts_with(' ')
            && word.starts_with(|first: char| first.is_ascii_uppercase())
            && word.chars().all(|letter| letter.is_ascii_alphabetic())
    })
}
