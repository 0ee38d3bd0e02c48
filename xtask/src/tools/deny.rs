//! `cargo xtask deny`: licences, versions and sources of what the workspace is built from, by cargo-deny.
//!
//! `deny.toml` says what is allowed.

use std::process::Command;

use anyhow::Result;

use super::from_crates_io::Tool;
use crate::{
    cargo,
    setup::{self, Ready},
};

const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    // It is at work for seconds, and built for minutes.
    is_optimised: false,
};

/// The checks. Advisories are not among them: their list is to be had from a git repository only.
const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// Installs cargo-deny below the target folder, and runs it.
///
/// # Errors
/// It cannot be installed, or does not allow something; it has said what.
pub fn deny() -> Result<()> {
    let Ready {
        workspace,
        toolchain,
    } = setup::setup()?;
    {
        let _lock = setup::lock(&workspace)?;
        DENY.ensure(&workspace, &toolchain)?;
    }
    let mut command = Command::new(workspace.tool(DENY.name));
    command
        .current_dir(&workspace.root)
        .args(["--locked", "check"])
        .args(CHECKS);
    cargo::succeed(&mut command)
}
