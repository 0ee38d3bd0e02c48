//! PyTorch as Debian has it, for one test: unpacked below the target folder, not installed.
//!
//! Its own wheels bring CUDA, gigabytes of it; Debian's is built for the processor alone. With all that it is linked with
//! it is 151 MB to download and 630 MB unpacked (Debian 12).

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::starter::write_starter;
use crate::{
    packages::{Architecture, Unpacked},
    progress,
    setup::{self, Ready},
};

const PACKAGE: &str = "python3-torch";

/// A Python that has PyTorch; where it cannot be had, that is said.
pub fn find(ready: &Ready) -> Option<PathBuf> {
    ensure(ready)
        .inspect_err(|error| {
            progress::say(&format!(
                "the test of PyTorch cannot run: {error:#}; it needs the package {PACKAGE}"
            ));
        })
        .ok()
}

/// Its modules, where it is installed.
const INSTALLED: &str = "/usr/lib/python3/dist-packages/torch";

/// The Python of the machine that PyTorch is installed for.
const PYTHON: &str = "/usr/bin/python3";

/// That Python, or a script that starts it. The packages are fetched where they are not there.
///
/// # Errors
/// They cannot be had, or what is unpacked does not run here.
fn ensure(ready: &Ready) -> Result<PathBuf> {
    if Path::new(INSTALLED).exists() {
        return Ok(PYTHON.into());
    }
    let architecture =
        Architecture::of_machine().context("Debian's packages are for other processors")?;
    let root = ready.workspace.tools().join("pytorch");
    let unpacked = Unpacked {
        root: &root,
        architecture,
    };
    let _lock = setup::lock(&ready.workspace)?;
    // Written last of all: what has a stamp has run.
    let stamp = root.join("xtask-stamp");
    let is_whole = stamp.exists();
    if !is_whole {
        if root.exists() {
            fs::remove_dir_all(&root)
                .with_context(|| format!("cannot remove {}", root.display()))?;
        }
        let apt = ready.workspace.tools().join("apt");
        unpacked.fetch(&[PACKAGE.to_owned()], apt, "for the test of PyTorch")?;
    }
    // The one that the package depends on, which is unpacked only where it is not installed. Another one's modules are others.
    let python = unpacked
        .find("python3")
        .or_else(|| Some(PathBuf::from(PYTHON)).filter(|path| path.exists()))
        .context("there is no Python of Debian's")?;
    let variables = [
        ("LD_LIBRARY_PATH", unpacked.library_folders()?),
        ("PYTHONPATH", modules(&root)),
        // The tests run as root, the folder is the user's.
        ("PYTHONDONTWRITEBYTECODE", "1".into()),
    ];
    // Also where all is there: the target folder may have been moved.
    let starter = root.join("python");
    write_starter(&starter, &python, &variables)?;
    if !is_whole {
        try_it(&starter)?;
        fs::write(&stamp, PACKAGE).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(starter)
}

fn try_it(python: &Path) -> Result<()> {
    let output = Command::new(python)
        .args(["-c", "import torch"])
        .output()
        .with_context(|| format!("cannot run {}", python.display()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.trim_end().lines().last().unwrap_or_default();
        bail!("what {} starts does not run: {last}", python.display());
    }
    Ok(())
}

fn modules(root: &Path) -> OsString {
    root.join("usr/lib/python3/dist-packages").into()
}
