//! What goes with the program.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{cargo, progress, setup::Ready};

/// What belongs to the program, whatever the processor.
#[derive(Debug)]
pub struct Documents {
    /// Manual pages, uncompressed.
    pub manual: PathBuf,
    pub completions: PathBuf,
    pub licences: Vec<PathBuf>,
    /// The service, for systemd. Nothing enables it.
    pub unit: PathBuf,
}

impl Documents {
    /// Writes those that are made from the command line.
    ///
    /// # Errors
    /// What writes them cannot be built or run.
    pub fn write(ready: &Ready, folder: &Path) -> Result<Self> {
        progress::say("writing manual pages and completions");
        let mut command = cargo::cargo(&ready.workspace, &ready.toolchain);
        command
            .args(["run", "--quiet", "--package", "command-docs", "--"])
            .arg(folder);
        cargo::succeed(&mut command)?;
        Ok(Self {
            manual: folder.join("man"),
            completions: folder.join("completions"),
            licences: ["LICENSE-MIT", "LICENSE-APACHE", "LICENSE-GPL2"]
                .map(|name| ready.workspace.root.join(name))
                .to_vec(),
            unit: ready
                .workspace
                .root
                .join("deploy/systemd/tracer-watch.service"),
        })
    }
}
