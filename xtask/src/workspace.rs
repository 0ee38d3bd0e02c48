//! Where things are, and cargo.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail};

/// Root of the workspace: the folder above this crate.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Where tools are installed: `.cargo/config.toml` names the linker there, whatever the target directory.
pub fn tools() -> PathBuf {
    root().join("target/tools")
}

/// The cargo that runs us, in the workspace.
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Where cargo builds: `target/`, or what CARGO_TARGET_DIR or a configuration file says.
///
/// # Errors
/// Cargo does not say.
pub fn target_directory() -> anyhow::Result<PathBuf> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("cargo metadata is no JSON")?;
    metadata
        .get("target_directory")
        .and_then(serde_json::Value::as_str)
        .map(PathBuf::from)
        .context("cargo metadata names no target directory")
}

/// The pinned toolchain, from `rust-toolchain.toml`.
///
/// # Errors
/// The file is missing or names none.
pub fn pinned_toolchain() -> anyhow::Result<String> {
    let path = root().join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    channel(&text)
        .map(str::to_owned)
        .with_context(|| format!("{} names no channel", path.display()))
}

fn channel(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "channel").then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::{channel, pinned_toolchain};

    #[test]
    fn the_channel_is_read() {
        assert_eq!(
            channel("[toolchain]\nchannel = \"1.95.0\"\n"),
            Some("1.95.0")
        );
        assert_eq!(channel("[toolchain]\n"), None);
    }

    #[test]
    fn build_script_and_toolchain_file_name_the_same_compiler() {
        let pinned = pinned_toolchain().expect("the file is part of the project");
        let script = include_str!("../../tracer-user/build.rs");
        assert!(script.contains(&format!("const TOOLCHAIN: &str = \"{pinned}\"")));
    }
}
