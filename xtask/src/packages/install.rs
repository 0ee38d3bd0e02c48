//! Packages that have to be installed on the machine itself.

use anyhow::{Result, bail};

use crate::{executable, privilege::Elevation, progress, shell};

/// Installs packages through apt, as root, and says so. `purpose` is what needs them, as in `virtual machines need`.
///
/// # Errors
/// They cannot be installed; the message says what to do.
pub fn install(packages: &[&str], purpose: &str) -> Result<()> {
    let by_hand = ["apt-get", "install", "--no-install-recommends"]
        .into_iter()
        .chain(packages.iter().copied());
    let by_hand = shell::command_line(by_hand);
    let Some(apt) = executable::find("apt-get") else {
        bail!(
            "{purpose} these packages of Debian's, by whatever name they go here: {}",
            packages.join(", ")
        );
    };
    let Ok(elevation) = Elevation::find(["apt-get"]) else {
        bail!("{purpose} packages that are missing here; as root: {by_hand}");
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
        bail!("{error:#}\n{purpose} what is missing here; as root: {by_hand}");
    }
    Ok(())
}
