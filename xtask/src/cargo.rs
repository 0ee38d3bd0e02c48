//! Calls of cargo.

use std::{
    collections::BTreeMap,
    env,
    io::BufReader,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use cargo_metadata::Message;

use crate::{executable, progress, toolchain::Toolchain, workspace::Workspace};

/// The target that the eBPF programs are built for.
pub const EBPF_TARGET: &str = "bpfel-unknown-none";

/// The program that links them.
pub const EBPF_LINKER: &str = "bpf-linker";

/// Cargo of the pinned toolchain, in the workspace's root.
pub fn cargo(workspace: &Workspace, toolchain: &Toolchain) -> Command {
    let mut command = if executable::find("rustup").is_some() {
        let mut command = Command::new("cargo");
        // As a call of rustup's `cargo +…` would have it, whatever called us.
        command.env("RUSTUP_TOOLCHAIN", &toolchain.channel);
        command
    } else {
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    };
    command
        .current_dir(&workspace.root)
        // .cargo/config.toml says so too, but only for the target folder's usual place.
        .env(
            "CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER",
            workspace.tool(EBPF_LINKER),
        );
    command
}

/// Runs a command of cargo, with its output on our own.
///
/// # Errors
/// It cannot be run, or fails.
pub fn succeed(command: &mut Command) -> Result<()> {
    let line = progress::command_line(command);
    let status = command
        .status()
        .with_context(|| format!("cannot run {line}"))?;
    ensure!(status.success(), "{line} ended with {status}");
    Ok(())
}

/// A program that cargo built.
#[derive(Debug)]
pub struct Built {
    /// The program.
    pub executable: PathBuf,
    /// The folder of its package.
    pub package: PathBuf,
}

/// Builds a program, and learns from cargo where it is.
///
/// # Errors
/// The build fails, or makes no program of this name.
pub fn build(command: &mut Command, target_name: &str) -> Result<Built> {
    let line = progress::command_line(command);
    build_all(command)?
        .remove(target_name)
        .with_context(|| format!("{line} has built no program `{target_name}`"))
}

/// Builds programs, and learns from cargo where they are, by the names of their targets.
///
/// # Errors
/// The build fails.
pub fn build_all(command: &mut Command) -> Result<BTreeMap<String, Built>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let line = progress::command_line(command);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {line}"))?;
    let messages = child.stdout.take().context("cargo has no output")?;
    let mut built = BTreeMap::new();
    for message in Message::parse_stream(BufReader::new(messages)) {
        if let Message::CompilerArtifact(artifact) =
            message.with_context(|| format!("{line}: odd output"))?
            && let Some(executable) = artifact.executable
            && let Some(package) = artifact.manifest_path.parent()
        {
            let program = Built {
                executable: executable.into_std_path_buf(),
                package: package.as_std_path().to_owned(),
            };
            built.insert(artifact.target.name, program);
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {line}"))?;
    ensure!(status.success(), "{line} ended with {status}");
    Ok(built)
}
