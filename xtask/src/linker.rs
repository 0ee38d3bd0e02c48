//! bpf-linker, which links eBPF programs.
//!
//! 0.10.3 is the last version that works with the LLVM of Rust 1.95 (22); it loads that LLVM from the toolchain.

use std::path::PathBuf;

use anyhow::Result;

use crate::{tool::Tool, toolchain::Toolchain, workspace::Workspace};

const LINKER: Tool = Tool {
    name: "bpf-linker",
    version: "0.10.3",
    is_optimised: true,
};

/// Where the linker is installed. `.cargo/config.toml` names the same place.
pub fn path(workspace: &Workspace) -> PathBuf {
    LINKER.path(workspace)
}

/// Installs the linker.
///
/// # Errors
/// The linker cannot be downloaded or built.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    LINKER.ensure(workspace, toolchain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_the_place_where_the_linker_is_installed() {
        let workspace = Workspace {
            root: "".into(),
            target: "target".into(),
        };
        let line = format!("linker = \"{}\"", path(&workspace).display());
        assert!(
            include_str!("../../.cargo/config.toml")
                .lines()
                .any(|found| found == line)
        );
    }
}
