//! Where things are.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cargo_metadata::MetadataCommand;

/// Folders of the workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder of the workspace's Cargo.toml.
    pub root: PathBuf,
    /// Cargo's target folder, wherever `CARGO_TARGET_DIR` or `build.target-dir` put it.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo; no network.
    ///
    /// # Errors
    /// Cargo cannot read the workspace.
    pub fn find() -> Result<Self> {
        let metadata = MetadataCommand::new()
            .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
            .no_deps()
            .exec()
            .context("`cargo metadata` cannot say where the target folder is")?;
        Ok(Self {
            root: metadata.workspace_root.into_std_path_buf(),
            target: metadata.target_directory.into_std_path_buf(),
        })
    }

    /// What setup installs. `.cargo/config.toml` names the linker in it by its usual place; for another
    /// target folder [`crate::cargo::cargo`] overrides that.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where a program from crates.io is installed.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.tools().join("bin").join(name)
    }
}
