//! What the machine itself has to have installed for virtual machines.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Result, bail};

use crate::{
    executable,
    packages::{self, Architecture},
};

/// Programs beside the emulators, with the package of Debian's that has each.
const TOOLS: [(&str, &str); 4] = [
    ("mkfs.ext4", "e2fsprogs"),
    ("xz", "xz-utils"),
    ("tar", "tar"),
    ("dpkg-deb", "dpkg"),
];

/// Checks for the tools, and for the emulators of these architectures, and installs what is missing, through apt.
///
/// # Errors
/// Something is missing and cannot be installed; the message says what to do.
pub fn ensure(architectures: &BTreeSet<Architecture>) -> Result<()> {
    let packages = missing(architectures);
    if packages.is_empty() {
        return Ok(());
    }
    packages::install(&packages, "virtual machines need")?;
    let missing = missing(architectures);
    if !missing.is_empty() {
        bail!(
            "apt says that it installed them, but there is nothing of {}",
            missing.join(", ")
        );
    }
    Ok(())
}

fn missing(architectures: &BTreeSet<Architecture>) -> Vec<&'static str> {
    architectures
        .iter()
        .map(|architecture| architecture.emulator())
        .chain(TOOLS)
        .filter(|(tool, _)| executable::find_for_root(tool).is_none())
        .map(|(_, package)| package)
        .collect()
}

/// A command of a tool.
pub fn command(tool: &str) -> Command {
    Command::new(executable::find_for_root(tool).unwrap_or_else(|| tool.into()))
}
