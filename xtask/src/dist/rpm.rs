//! The package for Fedora, SUSE and their like: made by rpmbuild out of files that are there, installed and removed again in a
//! folder to see that it can be. rpm's tools are the machine's own, else Debian's package of them, unpacked.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    documents::Documents,
    tree::{self, TIME, files_below, run},
};
use crate::{
    executable,
    packages::{Architecture, Unpacked},
    progress,
    workspace::Workspace,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// rpm's programs.
#[derive(Debug)]
pub struct Tools {
    rpm: PathBuf,
    rpmbuild: PathBuf,
    /// What they are started with, where they are unpacked.
    variables: Vec<(&'static str, OsString)>,
}

impl Tools {
    /// Those of this machine, or of Debian's package, in a folder of its own.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn get(workspace: &Workspace) -> Result<Self> {
        match Self::of_machine() {
            Some(tools) => Ok(tools),
            None => Self::unpacked(
                &workspace.tools().join("rpm"),
                workspace.tools().join("apt"),
            ),
        }
    }

    fn of_machine() -> Option<Self> {
        Some(Self {
            rpm: executable::find("rpm")?,
            rpmbuild: executable::find("rpmbuild")?,
            variables: Vec::new(),
        })
    }

    fn unpacked(root: &Path, apt: PathBuf) -> Result<Self> {
        let architecture = Architecture::of_machine()
            .context("Debian's packages of rpm are for other processors; install rpmbuild")?;
        let unpacked = Unpacked { root, architecture };
        let find = |program| {
            let path = unpacked.find(program)?;
            unpacked.libraries(&path).is_ok().then_some(path)
        };
        if find("rpmbuild").is_none() || find("rpm").is_none() {
            unpacked.fetch(&["rpm".to_owned()], apt, "to make the package for rpm")?;
        }
        let get = |program| {
            find(program).with_context(|| {
                format!("Debian's package of rpm has no {program} that runs here; install rpmbuild")
            })
        };
        Ok(Self {
            rpm: get("rpm")?,
            rpmbuild: get("rpmbuild")?,
            variables: vec![
                ("LD_LIBRARY_PATH", unpacked.library_folders()?),
                ("RPM_CONFIGDIR", root.join("usr/lib/rpm").into()),
            ],
        })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// As rpm calls a processor.
const fn name_of(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    }
}

/// Makes the package; its path.
///
/// # Errors
/// A file cannot be written; rpmbuild or gzip fails.
pub fn pack(
    tools: &Tools,
    folder: &Path,
    architecture: Architecture,
    program: &Path,
    documents: &Documents,
) -> Result<PathBuf> {
    let work = tempfile::tempdir_in(folder).context("cannot make a folder")?;
    let root = work.path().join("root");
    tree::lay_out(&root, program, documents, "usr/share/zsh/site-functions")?;
    tree::make_readable(&root)?;
    tree::set_times(&root)?;
    let spec = work.path().join("tracer.spec");
    fs::write(&spec, spec_file(&root)?).context("cannot write the spec file")?;
    let define = |name: &str, value: &str| format!("{name} {value}");
    let text = |path: &Path| path.display().to_string();
    run(tools
        .command(&tools.rpmbuild)
        .env("SOURCE_DATE_EPOCH", TIME.to_string())
        .args(["-bb", "--quiet", "--target"])
        .arg(format!("{}-linux", name_of(architecture)))
        .args(
            [
                define("_topdir", &text(&work.path().join("top"))),
                define("laid_out", &text(&root)),
                define("_rpmdir", &text(folder)),
                define("_rpmfilename", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm"),
                // The same package of the same files, wherever and whenever it is made.
                define("_buildhost", "localhost"),
                define("use_source_date_epoch_as_buildtime", "1"),
                define("clamp_mtime_to_source_date_epoch", "1"),
                // The files are as they should be: nothing is stripped, compressed or made of them.
                define("__os_install_post", "%{nil}"),
                define("debug_package", "%{nil}"),
                define("_build_id_links", "none"),
                define("_binary_payload", "w9.xzdio"),
            ]
            .iter()
            .flat_map(|definition| ["--define", definition]),
        )
        .arg(&spec))?;
    let package = folder.join(format!("tracer-{VERSION}-1.{}.rpm", name_of(architecture)));
    ensure!(
        package.is_file(),
        "rpmbuild has made no {}",
        package.display()
    );
    Ok(package)
}

fn spec_file(root: &Path) -> Result<String> {
    let mut files = String::from("%dir /usr/share/doc/tracer\n");
    for path in files_below(root)? {
        let below = path
            .strip_prefix(root)
            .context("a file lies below its root")?;
        files.push_str(&format!("/{}\n", below.display()));
    }
    Ok(format!(
        "Name: tracer\nVersion: {VERSION}\nRelease: 1\nSummary: shows how an LLM engine reads its weights from storage\n\
         License: (MIT OR Apache-2.0) AND (MIT OR GPL-2.0-only)\nAutoReqProv: no\n\
         %description\nEvery read that reaches the disk is counted once, and every figure is checked\n\
         against a second count. To trace without root:\n\
         setcap cap_bpf,cap_perfmon+ep /usr/bin/tracer\n\
         %install\ncp -a %{{laid_out}}/. %{{buildroot}}/\n%files\n%defattr(-,root,root)\n{files}"
    ))
}

/// Installs the package into an empty root, runs the program, and removes it: nothing of it may be left.
///
/// # Errors
/// Any of it fails. Without root nothing is tried, and that is said.
pub fn try_out(tools: &Tools, package: &Path) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        progress::say(
            "the package for rpm is not tried out: installing it, in a folder too, takes root",
        );
        return Ok(());
    }
    let root = tempfile::tempdir().context("cannot make a folder")?;
    let call = || {
        let mut command = tools.command(&tools.rpm);
        command
            .arg("--root")
            .arg(root.path())
            // Debian's rpm has its list elsewhere, for each user.
            .args(["--dbpath", "/var/lib/rpm", "--nodeps"]);
        command
    };
    run(call().arg("--install").arg(package))?;
    tree::says_its_version(&root.path().join("usr/bin/tracer"))?;
    run(call().args(["--erase", "tracer"]))?;
    let left = files_below(&root.path().join("usr"))?;
    if !left.is_empty() || root.path().join("usr/share/doc/tracer").exists() {
        bail!("removed, the package leaves {left:?}");
    }
    progress::say("the package for rpm was installed in an empty folder, run and removed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs a program that only says its version, twice, and has rpm install and remove it.
    fn packed_and_tried_out(tools: &Tools) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(&path, content).expect("written");
            path
        };
        let says = format!("#!/bin/sh\necho tracer {VERSION}\n");
        let program = file("program", &says);
        file("man/tracer.1", ".TH tracer 1\n");
        file("completions/_tracer", "#compdef tracer\n");
        let documents = Documents {
            manual: folder.path().join("man"),
            completions: folder.path().join("completions"),
            licences: vec![file("LICENSE-MIT", "MIT\n")],
            unit: file("tracer-watch.service", "[Service]\n"),
        };
        let architecture = Architecture::of_machine().expect("a known machine");
        let make = || {
            let package = pack(tools, folder.path(), architecture, &program, &documents);
            package.expect("a package")
        };
        let package = make();
        let first = fs::read(&package).expect("read");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        file("program", &says);
        assert!(
            first == fs::read(make()).expect("read"),
            "not the same bytes"
        );
        let listed = tools
            .command(&tools.rpm)
            .args(["--query", "--package", "--list"])
            .arg(&package)
            .output()
            .expect("listed");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for line in [
            "/usr/bin/tracer",
            "/usr/share/man/man1/tracer.1.gz",
            "/usr/share/zsh/site-functions/_tracer",
            "/usr/share/doc/tracer/LICENSE-MIT",
            "/usr/lib/systemd/system/tracer-watch.service",
        ] {
            assert!(
                listed.lines().any(|found| found == line),
                "{line}: {listed}"
            );
        }
        try_out(tools, &package).expect("it can be installed and removed");
    }

    #[test]
    fn a_package_is_made_the_same_again_is_installed_and_leaves_nothing() {
        // Of Debian's where this machine has none: they stay with what setup brings.
        let tools = Workspace::find().and_then(|workspace| Tools::get(&workspace));
        match tools {
            Ok(tools) => packed_and_tried_out(&tools),
            Err(error) => eprintln!("skipped: {error:#}"),
        }
    }
}
