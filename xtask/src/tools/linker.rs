//! bpf-linker, which links eBPF programs.
//!
//! 0.10.3 is the last version that works with the LLVM of Rust 1.95 (22); it loads that LLVM from the toolchain.

use anyhow::Result;

use super::from_crates_io::Tool;
use crate::{cargo::EBPF_LINKER, toolchain::Toolchain, workspace::Workspace};

/// The pinned version.
const LINKER: Tool = Tool {
    name: EBPF_LINKER,
    version: "0.10.3",
    is_optimised: true,
};

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

    /// `.cargo/config.toml` stands for cargo where no xtask has called it.
    #[test]
    fn the_configuration_names_the_place_where_the_linker_is_installed() {
        let workspace = Workspace {
            root: "".into(),
            target: "target".into(),
        };
        let line = format!("linker = \"{}\"", workspace.tool(EBPF_LINKER).display());
        assert!(
            include_str!("../../../.cargo/config.toml")
                .lines()
                .any(|found| found == line)
        );
    }
}
