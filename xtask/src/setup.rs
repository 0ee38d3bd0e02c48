//! `cargo xtask setup`: everything that a build needs.

use std::fs::{self, File};

use anyhow::{Context as _, Result};

use crate::{progress, toolchain::Toolchain, tools::linker, workspace::Workspace};

/// A workspace that can be built.
#[derive(Debug)]
pub struct Ready {
    /// Its folders.
    pub workspace: Workspace,
    /// Its toolchain.
    pub toolchain: Toolchain,
}

/// Checks everything and installs what is missing, below the target folder (the toolchain: where rustup keeps
/// it). Another xtask of this workspace is waited for.
///
/// # Errors
/// Something is missing and cannot be installed; the message says what.
pub fn setup() -> Result<Ready> {
    let workspace = Workspace::find()?;
    let toolchain = Toolchain::pinned(&workspace)?;
    let _lock = lock(&workspace)?;
    toolchain.ensure()?;
    linker::ensure(&workspace, &toolchain)?;
    Ok(Ready {
        workspace,
        toolchain,
    })
}

/// One installs at a time. The lock ends with the value.
///
/// # Errors
/// The target folder cannot be written.
pub fn lock(workspace: &Workspace) -> Result<File> {
    let tools = workspace.tools();
    fs::create_dir_all(&tools)
        .and_then(|()| File::create(tools.join(".lock")))
        .and_then(|file| {
            if file.try_lock().is_err() {
                progress::say("waiting for another xtask, which is setting up");
                file.lock()?;
            }
            Ok(file)
        })
        .with_context(|| {
            format!(
                "cannot lock {}; does the target folder belong to another user?",
                tools.display()
            )
        })
}
