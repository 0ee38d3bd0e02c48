//! The package for Debian and its like: made by dpkg-deb, installed and removed again in a folder to see that it can be.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::{
    documents::Documents,
    tree::{self, TIME, files_below, run},
};
use crate::{packages::Architecture, progress};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Makes the package; its path.
///
/// # Errors
/// A file cannot be written; dpkg-deb or gzip is missing or fails.
pub fn pack(
    folder: &Path,
    architecture: Architecture,
    program: &Path,
    documents: &Documents,
) -> Result<PathBuf> {
    let tree = tempfile::tempdir_in(folder).context("cannot make a folder")?;
    let root = tree.path().join("root");
    tree::lay_out(
        &root,
        program,
        documents,
        "usr/share/zsh/vendor-completions",
    )?;
    let copyright = root.join("usr/share/doc/tracer/copyright");
    fs::write(&copyright, COPYRIGHT).context("cannot write the copyright file")?;
    let control = root.join("DEBIAN/control");
    fs::create_dir_all(root.join("DEBIAN")).context("cannot make a folder")?;
    fs::write(&control, control_file(architecture, installed_kib(&root)?))
        .context("cannot write the control file")?;
    tree::make_readable(&root)?;
    tree::set_times(&root)?;
    let package = folder.join(format!("tracer_{VERSION}_{}.deb", architecture.debian()));
    run(Command::new("dpkg-deb")
        .env("SOURCE_DATE_EPOCH", TIME.to_string())
        .args(["--build", "--root-owner-group", "-Zxz"])
        .arg(&root)
        .arg(&package))?;
    Ok(package)
}

const COPYRIGHT: &str = "The tracer is under MIT or Apache-2.0, its eBPF programs under MIT or GPL-2.0.\nThe texts are beside this file.\n";

fn control_file(architecture: Architecture, installed_kib: u64) -> String {
    format!(
        "Package: tracer\nVersion: {VERSION}\nArchitecture: {}\nMaintainer: the tracer's authors <root@localhost>\nInstalled-Size: {installed_kib}\nSection: utils\nPriority: optional\nRecommends: libcap2-bin\nDescription: shows how an LLM engine reads its weights from storage\n Every read that reaches the disk is counted once, and every figure is checked\n against a second count. To trace without root:\n setcap cap_bpf,cap_perfmon+ep /usr/bin/tracer\n",
        architecture.debian()
    )
}

/// Installs the package into an empty root, runs the program, and removes it: nothing of it may be left.
///
/// # Errors
/// Any of it fails. Without root nothing is tried, and that is said.
pub fn try_out(package: &Path) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        progress::say("the package is not tried out: installing it, in a folder too, takes root");
        return Ok(());
    }
    let root = tempfile::tempdir().context("cannot make a folder")?;
    let dpkg = root.path().join("var/lib/dpkg");
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(dpkg.join(folder)).context("cannot make a folder")?;
    }
    fs::write(dpkg.join("status"), "").context("cannot write dpkg's list")?;
    let call = |arguments: &[&str]| {
        let mut command = Command::new("dpkg");
        command
            .arg(format!("--root={}", root.path().display()))
            .args(["--force-architecture", "--force-depends", "--log=/dev/null"])
            .args(arguments);
        command
    };
    let package = package.to_str().context("the package's path is no UTF-8")?;
    run(&mut call(&["--install", package]))?;
    tree::says_its_version(&root.path().join("usr/bin/tracer"))?;
    run(&mut call(&["--purge", "tracer"]))?;
    let left = files_below(&root.path().join("usr"))?;
    if !left.is_empty() {
        bail!("removed, the package leaves {left:?}");
    }
    progress::say("the package was installed in an empty folder, run and removed");
    Ok(())
}

fn installed_kib(root: &Path) -> Result<u64> {
    let mut bytes = 0;
    for file in files_below(root)? {
        bytes += file.metadata().context("cannot look at a file")?.len();
    }
    Ok(bytes.div_ceil(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs a program that only says its version, and has dpkg install and remove it.
    #[test]
    fn a_package_is_installed_and_leaves_nothing() {
        if ["dpkg-deb", "dpkg", "gzip"]
            .iter()
            .any(|program| crate::executable::find(program).is_none())
        {
            eprintln!("skipped: this machine has no dpkg");
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, content).expect("written");
            path
        };
        let program = file("program", &format!("#!/bin/sh\necho tracer {VERSION}\n"));
        file("man/tracer.1", ".TH tracer 1\n");
        file("completions/_tracer", "#compdef tracer\n");
        file("completions/tracer.bash", "complete tracer\n");
        let documents = Documents {
            manual: folder.path().join("man"),
            completions: folder.path().join("completions"),
            licences: vec![file("LICENSE-MIT", "MIT\n")],
            unit: file("tracer-watch.service", "[Service]\n"),
        };
        let architecture = Architecture::of_machine().unwrap_or(Architecture::Amd64);
        let package = pack(folder.path(), architecture, &program, &documents).expect("a package");
        let bytes = || fs::read(&package).expect("read");
        let first = bytes();
        // Later, and with files that are newer: the same bytes.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        fs::write(&program, format!("#!/bin/sh\necho tracer {VERSION}\n")).expect("written");
        pack(folder.path(), architecture, &program, &documents).expect("again");
        assert!(first == bytes(), "not the same bytes");
        let listed = Command::new("dpkg-deb")
            .arg("--contents")
            .arg(&package)
            .output()
            .expect("listed");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for line in [
            "./usr/bin/tracer",
            "./usr/share/man/man1/tracer.1.gz",
            "./usr/share/zsh/vendor-completions/_tracer",
            "./usr/share/bash-completion/completions/tracer",
            "./usr/share/doc/tracer/copyright",
            "./usr/lib/systemd/system/tracer-watch.service",
        ] {
            assert!(listed.contains(line), "{line}: {listed}");
        }
        assert!(listed.contains("root/root"), "{listed}");
        try_out(&package).expect("it can be installed and removed");
    }
}
