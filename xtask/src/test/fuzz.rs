//! `cargo xtask fuzz`: libFuzzer on the parsers of what others wrote.
//!
//! The pinned compiler counts which code an input reaches (LLVM's pass `sancov-module`), so no nightly one is needed; nor an
//! address sanitizer, since the parsers have no `unsafe`. Overflows and broken assertions end a target as panics do.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    cargo,
    packages::Architecture,
    progress,
    setup::{self, Ready},
};

/// What the compiler adds: counters of the ways that code goes, a table of their places, and calls with what is compared.
const INSTRUMENTATION: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// Longest that one input may take, seconds; most memory, MiB. A parser that needs more has a fault.
const LIMITS: [&str; 2] = ["-timeout=20", "-rss_limit_mb=2048"];

/// An input that is kept has at most so many bytes.
const MOST_BYTES_KEPT: u64 = 4096;

/// What to run, and for how long.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Targets, by the names of the files in fuzz/fuzz_targets; all where none is named.
    pub targets: Vec<String>,
    /// End a target after so many seconds.
    #[arg(long, default_value_t = 900)]
    pub seconds: u64,
    /// End a target after so many inputs.
    #[arg(long, default_value_t = 10_000_000)]
    pub inputs: u64,
    /// Keep in fuzz/kept what reaches code that nothing else does. A fault's input goes into fuzz/corpus by hand, under a name
    /// that says what it is: the unit tests run what is there.
    #[arg(long)]
    pub keep: bool,
}

/// Runs the targets one after the other, those after one that found something too.
///
/// # Errors
/// A target found an input that ends it; or nothing can be built.
pub fn fuzz(options: &Options) -> Result<()> {
    let ready = setup::setup()?;
    let all = targets(&ready.workspace.root)?;
    if let Some(unknown) = options.targets.iter().find(|name| !all.contains(name)) {
        bail!(
            "there is no target `{unknown}`; there are: {}",
            all.join(", ")
        );
    }
    let chosen = if options.targets.is_empty() {
        &all
    } else {
        &options.targets
    };
    let programs = build(&ready)?;
    let mut found = Vec::new();
    for target in chosen {
        progress::say(&format!(
            "fuzzing {target}, {} inputs or {} s",
            options.inputs, options.seconds
        ));
        if let Err(error) = run(&ready, &programs.join(target), target, options) {
            found.push(format!("{target}: {error:#}"));
        }
    }
    ensure!(found.is_empty(), "{}", found.join("\n  "));
    Ok(())
}

/// Names of the targets.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
        let path = entry?.path();
        names.extend(
            path.file_stem()
                .and_then(|name| name.to_str())
                .map(Into::into),
        );
    }
    names.sort();
    Ok(names)
}

/// Builds all targets; the folder of their programs.
fn build(ready: &Ready) -> Result<PathBuf> {
    let architecture = Architecture::of_machine().context("no target is known for this machine")?;
    let target = architecture.gnu_target();
    let folder = ready.workspace.target.join("fuzz");
    let flags: Vec<String> = INSTRUMENTATION
        .iter()
        .map(|flag| format!("'{flag}'"))
        .collect();
    progress::say("building the fuzz targets");
    let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
    command
        .args(["build", "--release", "--locked"])
        .args(["--manifest-path", "fuzz/Cargo.toml", "--target", target])
        // As an environment variable the flags would reach the build scripts, and the eBPF programs too.
        .arg("--config")
        .arg(format!("target.{target}.rustflags=[{}]", flags.join(",")))
        .env("CARGO_TARGET_DIR", &folder);
    cargo::succeed(&mut command)?;
    Ok(folder.join(target).join("release"))
}

fn run(ready: &Ready, program: &Path, target: &str, options: &Options) -> Result<()> {
    let seeds = ready.workspace.root.join("fuzz/corpus").join(target);
    let folder = ready.workspace.target.join("fuzz");
    let grown = folder.join("corpus").join(target);
    let faults = folder.join("faults").join(target);
    for folder in [&grown, &faults] {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let archive = Archive::of(ready, target);
    archive.unpack()?;
    let mut command = Command::new(program);
    command
        .args([&grown, &seeds, &archive.unpacked])
        .args(LIMITS)
        .arg(format!("-max_total_time={}", options.seconds))
        .arg(format!("-runs={}", options.inputs))
        .arg(format!("-artifact_prefix={}/", faults.display()))
        .arg("-print_final_stats=1");
    cargo::succeed(&mut command)
        .with_context(|| format!("the input that ends it is in {}", faults.display()))?;
    if options.keep {
        archive.keep(program, [&seeds, &grown])?;
    }
    Ok(())
}

/// What former runs found that reaches code, as one file of the repository: thousands of small ones would be in everybody's way.
struct Archive {
    file: PathBuf,
    /// The folder that it is unpacked into.
    unpacked: PathBuf,
}

impl Archive {
    fn of(ready: &Ready, target: &str) -> Self {
        let kept = ready.workspace.root.join("fuzz/kept");
        Self {
            file: kept.join(format!("{target}.tar.gz")),
            unpacked: ready.workspace.target.join("fuzz/kept").join(target),
        }
    }

    fn unpack(&self) -> Result<()> {
        empty(&self.unpacked)?;
        if !self.file.exists() {
            return Ok(());
        }
        let mut command = Command::new("tar");
        command.arg("--extract").arg("--file").arg(&self.file);
        command.arg("--directory").arg(&self.unpacked);
        cargo::succeed(&mut command)
    }

    /// Puts the smallest inputs together that reach what all of these and those that were kept do.
    fn keep(&self, program: &Path, found: [&Path; 2]) -> Result<()> {
        let merged = self.unpacked.with_extension("merged");
        empty(&merged)?;
        let mut command = Command::new(program);
        command
            .arg("-merge=1")
            .arg(format!("-max_len={MOST_BYTES_KEPT}"))
            .arg(&merged)
            .args(found)
            .arg(&self.unpacked);
        cargo::succeed(&mut command).context("choose what is kept")?;
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        let mut command = Command::new("tar");
        command
            .args(["--create", "--use-compress-program", "gzip -n9"])
            .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0"])
            .arg("--file")
            .arg(&self.file)
            .arg("--directory")
            .arg(&merged)
            .arg(".");
        cargo::succeed(&mut command).context("pack what is kept")
    }
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))
}
