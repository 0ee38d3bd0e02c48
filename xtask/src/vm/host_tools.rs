//! What the machine itself has to have installed for virtual machines.

use std::{collections::BTreeSet, process::Command};

use anyhow::{Result, bail};

use super::architecture::Architecture;
use crate::{executable, privilege::Elevation, progress, shell};

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
    let by_hand = ["apt-get", "install", "--no-install-recommends"]
        .into_iter()
        .chain(packages.iter().copied());
    let by_hand = shell::command_line(by_hand);
    let Some(apt) = executable::find("apt-get") else {
        bail!(
            "virtual machines need these packages of Debian's, by whatever name they go here: {}",
            packages.join(", ")
        );
    };
    let Ok(elevation) = Elevation::find(["apt-get"]) else {
        bail!("virtual machines need packages that are missing here; as root: {by_hand}");
    };
    let variables = [("DEBIAN_FRONTEND", "noninteractive".into())];
    let run = |what: &str, arguments: &[&str]| {
        let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        progress::step(what, &mut elevation.command(&apt, &arguments, &variables))
    };
    let install: Vec<&str> = ["install", "--yes", "--no-install-recommends"]
        .into_iter()
        .chain(packages.iter().copied())
        .collect();
    let installed = run("fetching the lists of packages", &["update"])
        .and_then(|()| run(&format!("installing {}", packages.join(", ")), &install));
    if let Err(error) = installed {
        bail!("{error:#}\nvirtual machines need what is missing here; as root: {by_hand}");
    }
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
        .filter(|(tool, _)| find(tool).is_none())
        .map(|(_, package)| package)
        .collect()
}

/// Finds a tool, also where only root's search path leads.
fn find(tool: &str) -> Option<std::path::PathBuf> {
    executable::find(tool).or_else(|| {
        ["/usr/sbin", "/sbin"]
            .map(|folder| std::path::Path::new(folder).join(tool))
            .into_iter()
            .find(|path| executable::is_executable(path))
    })
}

/// A command of a tool.
pub fn command(tool: &str) -> Command {
    Command::new(find(tool).unwrap_or_else(|| tool.into()))
}
