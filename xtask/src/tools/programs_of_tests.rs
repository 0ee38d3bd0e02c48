//! Programs that the tests and the measurements call: the machine's own, else out of Debian's packages, which are unpacked below the target
//! folder and not installed.

use std::{env, ffi::OsString, fs, path::PathBuf};

use anyhow::{Context as _, Result};

use crate::{
    executable,
    packages::{Architecture, Unpacked},
    progress, setup,
    workspace::Workspace,
};

use super::starter::write_starter;

/// The programs, with the package that has each.
const PROGRAMS: [(&str, &str); 23] = [
    ("addpart", "util-linux"),
    ("btrfs", "btrfs-progs"),
    ("chromium-headless-shell", "chromium-headless-shell"),
    ("containerd", "containerd"),
    ("containerd-shim-runc-v2", "containerd"),
    ("delpart", "util-linux"),
    ("docker", "docker.io"),
    ("docker-init", "tini"),
    ("dockerd", "docker.io"),
    ("filefrag", "e2fsprogs"),
    ("losetup", "mount"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.erofs", "erofs-utils"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mount", "mount"),
    ("prometheus", "prometheus"),
    ("promtool", "prometheus"),
    ("runc", "runc"),
    ("skopeo", "skopeo"),
    ("umoci", "umoci"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
];

/// Those that measurements call besides: what the tracer is compared with.
const COMPARED: [(&str, &str); 2] = [("bpftrace", "bpftrace"), ("perf", "linux-perf")];

/// Gets the programs that this machine lacks, and gives the search path in which all of them are. One that cannot be
/// had is said: tests that need it say so too.
///
/// # Errors
/// The target folder cannot be written.
pub fn search_path(workspace: &Workspace) -> Result<OsString> {
    search_path_of(workspace, PROGRAMS.to_vec())
}

/// The same with the programs that the tracer is compared with.
///
/// # Errors
/// The target folder cannot be written.
pub fn search_path_of_measurements(workspace: &Workspace) -> Result<OsString> {
    search_path_of(workspace, PROGRAMS.into_iter().chain(COMPARED).collect())
}

fn search_path_of(workspace: &Workspace, programs: Vec<(&str, &str)>) -> Result<OsString> {
    let missing: Vec<(&str, &str)> = programs
        .into_iter()
        .filter(|(program, _)| executable::find_for_root(program).is_none())
        .collect();
    let unpacked = if missing.is_empty() {
        None
    } else {
        Some(unpack(workspace, &missing)?)
    };
    let own = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&own)
        .chain(executable::FOLDERS_OF_ROOT.map(PathBuf::from))
        .chain(unpacked);
    env::join_paths(folders).context("the target folder's path has a colon")
}

/// A folder with these programs, as far as they are to be had.
fn unpack(workspace: &Workspace, missing: &[(&str, &str)]) -> Result<PathBuf> {
    let _lock = setup::lock(workspace)?;
    let root = workspace.tools().join("packages");
    let starters = workspace.tools().join("programs");
    let Some(architecture) = Architecture::of_machine() else {
        say_missing(missing, "Debian's packages are for other processors");
        return Ok(starters);
    };
    let unpacked = Unpacked {
        root: &root,
        architecture,
    };
    let runs = |program: &str| {
        let path = unpacked.find(program).context("it is not there")?;
        unpacked.libraries(&path).map(|_libraries| path)
    };
    if missing.iter().any(|(program, _)| runs(program).is_err()) {
        let mut packages: Vec<String> = missing
            .iter()
            .map(|(_, package)| (*package).to_owned())
            .collect();
        packages.sort_unstable();
        packages.dedup();
        let apt = workspace.tools().join("apt");
        // Where one cannot be had, each is looked for all the same, and named.
        if let Err(error) = unpacked.fetch(&packages, apt, "for the tests") {
            progress::say(&format!("{error:#}"));
        }
    }
    fs::create_dir_all(&starters).with_context(|| format!("cannot make {}", starters.display()))?;
    for (program, package) in missing {
        let made = runs(program).and_then(|path| {
            let folders = unpacked.library_folders()?;
            write_starter(
                &starters.join(program),
                &path,
                &[("LD_LIBRARY_PATH", folders)],
            )
        });
        if let Err(error) = made {
            say_missing(&[(program, package)], &format!("{error:#}"));
        }
    }
    Ok(starters)
}

fn say_missing(missing: &[(&str, &str)], why: &str) {
    for (program, package) in missing {
        progress::say(&format!(
            "what needs {program} cannot run: {why}; install the package {package}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_in_order_and_named_once() {
        assert!(PROGRAMS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
