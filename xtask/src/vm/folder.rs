//! What virtual machines keep below the target folder.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::{packages::Architecture, progress, workspace::Workspace};

/// The folder, locked: one virtual machine at a time. The lock ends with the value.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Waits for its turn, and removes what a killed xtask left.
    ///
    /// # Errors
    /// The target folder cannot be written.
    pub fn lock(workspace: &Workspace) -> Result<Self> {
        let path = workspace.target.join("vm");
        let lock = || -> std::io::Result<File> {
            fs::create_dir_all(&path)?;
            let file = File::create(path.join(".lock"))?;
            if file.try_lock().is_err() {
                progress::say("waiting for another virtual machine of this workspace");
                file.lock()?;
            }
            Ok(file)
        };
        let lock = lock().with_context(|| format!("cannot lock {}", path.display()))?;
        let folder = Self { path, _lock: lock };
        let runs = folder.runs();
        if runs.exists() {
            fs::remove_dir_all(&runs)
                .with_context(|| format!("cannot remove {}", runs.display()))?;
        }
        Ok(folder)
    }

    /// A state of apt.
    pub fn apt(&self, name: &str) -> PathBuf {
        self.path.join("apt").join(name)
    }

    /// Where a series' kernel is unpacked.
    pub fn kernel(&self, series: &str) -> PathBuf {
        self.path.join("kernels").join(series)
    }

    /// Where packages with programs for the guest are unpacked.
    pub fn programs(&self, architecture: Architecture) -> PathBuf {
        self.path.join(architecture.folder("programs"))
    }

    /// What a kernel printed when it ran last.
    pub fn console(&self, series: &str) -> PathBuf {
        self.path.join("consoles").join(series)
    }

    /// Results of the tests on a kernel.
    pub fn results(&self, kernel: &str) -> PathBuf {
        results(&self.path, kernel)
    }

    /// A new folder for one start of a machine, which goes with the value.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn run(&self) -> Result<tempfile::TempDir> {
        let runs = self.runs();
        fs::create_dir_all(&runs)
            .and_then(|()| tempfile::tempdir_in(&runs))
            .with_context(|| format!("cannot make a folder in {}", runs.display()))
    }

    fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }
}

/// Where the results of the tests on the machine's own kernel lie.
pub fn own_results(workspace: &Workspace) -> PathBuf {
    results(&workspace.target.join("vm"), OWN)
}

/// The machine's own kernel among the results.
pub const OWN: &str = "own";

fn results(folder: &Path, kernel: &str) -> PathBuf {
    folder.join("results").join(format!("{kernel}.json"))
}
