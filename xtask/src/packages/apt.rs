//! Debian's packages without installing them: apt with folders of its own below the target folder, so that neither
//! root is needed nor the machine's own state touched.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};

use super::architecture::Architecture;
use crate::{executable, progress};

/// Checks signatures of all suites, also of those that this machine does not use itself.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names of Debian's releases: by them its mirror is told from other archives of the machine.
const RELEASES: [&str; 9] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "sid",
];

/// A state of apt.
#[derive(Debug)]
pub struct Apt {
    folder: PathBuf,
    sources: Sources,
    architecture: Architecture,
}

#[derive(Debug)]
enum Sources {
    /// The machine's own.
    Machine,
    /// One suite.
    Suite(String),
}

impl Apt {
    /// Packages from this machine's own sources. Those that are installed here count as there where they are of its
    /// architecture.
    ///
    /// # Errors
    /// The folder cannot be made, or there is no apt.
    pub fn of_machine(folder: PathBuf, architecture: Architecture) -> Result<Self> {
        Self::new(folder, Sources::Machine, architecture)
    }

    /// Packages of one suite, from the mirror that this machine uses.
    ///
    /// # Errors
    /// The folder cannot be made, there is no apt, or the machine uses no mirror of Debian.
    pub fn of_suite(folder: PathBuf, suite: &str, architecture: Architecture) -> Result<Self> {
        ensure!(
            Path::new(KEYRING).exists(),
            "there is no {KEYRING}, which the package debian-archive-keyring has"
        );
        let mirror = mirror_of(&machine_archives()?, suite).context(
            "this machine's apt sources name no mirror of Debian, from which other kernels could be fetched",
        )?;
        let line = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        Self::new(folder, Sources::Suite(line), architecture)
    }

    fn new(folder: PathBuf, sources: Sources, architecture: Architecture) -> Result<Self> {
        ensure!(
            executable::find("apt-get").is_some(),
            "there is no apt-get here, which fetches Debian's packages"
        );
        for sub in ["lists/partial", "cache/archives/partial"] {
            let path = folder.join(sub);
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let apt = Self {
            folder,
            sources,
            architecture,
        };
        if let Sources::Suite(line) = &apt.sources {
            let path = apt.source_list();
            fs::write(&path, line).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(apt)
    }

    fn source_list(&self) -> PathBuf {
        self.folder.join("sources.list")
    }

    /// A program of apt with this state.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut option = |name: &str, value: &Path| {
            command.arg("-o").arg(format!("{name}={}", value.display()));
        };
        option("Dir::State::lists", &self.folder.join("lists"));
        option("Dir::Cache", &self.folder.join("cache"));
        if let Sources::Suite(_) = self.sources {
            option("Dir::Etc::sourcelist", &self.source_list());
            option("Dir::Etc::sourceparts", Path::new("/dev/null"));
            option("Dir::Etc::preferencesparts", Path::new("/dev/null"));
        }
        let of_machine = self.architecture.is_of_machine();
        if matches!(self.sources, Sources::Suite(_)) || !of_machine {
            // Packages that are installed here are not in the suite, or are of no use to the guest.
            option("Dir::State::status", Path::new("/dev/null"));
        }
        if !of_machine {
            let name = self.architecture.debian();
            command
                .args(["-o", &format!("APT::Architecture={name}")])
                .args(["-o", &format!("APT::Architectures::={name}")]);
        }
        command
            .args([
                // The folders are ours alone.
                "-o",
                "Debug::NoLocking=1",
                // apt's own user may not enter the target folder.
                "-o",
                "APT::Sandbox::User=root",
                "-o",
                "Acquire::Languages=none",
                "-o",
                "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
                "-q",
            ])
            .env("LC_ALL", "C");
        command
    }

    /// Fetches the lists of packages.
    ///
    /// # Errors
    /// The mirror cannot be reached, or a signature is wrong.
    pub fn update(&self) -> Result<()> {
        let mut update = self.command("apt-get");
        update.args(["-o", "APT::Update::Error-Mode=any", "update"]);
        let what = match &self.sources {
            Sources::Machine => "fetching the lists of packages".to_owned(),
            Sources::Suite(line) => {
                let suite = line.split_whitespace().rev().nth(1).unwrap_or_default();
                format!("fetching the list of packages of {suite}")
            }
        };
        progress::step(&what, &mut update)
    }

    /// Names of the packages that begin with this.
    ///
    /// # Errors
    /// apt fails.
    pub fn names(&self, beginning: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        let text = output(command.args(["pkgnames", beginning]))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Downloads packages and unpacks them below `root`.
    ///
    /// # Errors
    /// A package cannot be had or unpacked.
    pub fn unpack(&self, packages: &[String], root: &Path) -> Result<()> {
        let mut download = self.command("apt-get");
        download.arg("download").args(packages);
        self.fetch(&mut download, packages, root, |folder| folder.to_owned())
    }

    /// Downloads packages, and what they depend on and does not count as there, and unpacks them below `root`.
    ///
    /// # Errors
    /// A package cannot be had or unpacked.
    pub fn unpack_with_dependencies(&self, packages: &[String], root: &Path) -> Result<()> {
        let mut install = self.command("apt-get");
        install
            .args([
                "install",
                "--download-only",
                "--yes",
                "--no-install-recommends",
            ])
            .args(packages);
        self.fetch(&mut install, packages, root, |_| {
            self.folder.join("cache/archives")
        })
    }

    fn fetch(
        &self,
        command: &mut Command,
        packages: &[String],
        root: &Path,
        place: impl Fn(&Path) -> PathBuf,
    ) -> Result<()> {
        let folder =
            tempfile::tempdir_in(&self.folder).context("cannot make a folder for packages")?;
        command.current_dir(folder.path());
        progress::step(&format!("downloading {}", packages.join(", ")), command)?;
        let place = place(folder.path());
        let found =
            archives_in(&place).with_context(|| format!("cannot list {}", place.display()))?;
        ensure!(
            !found.is_empty(),
            "apt has downloaded nothing for {}",
            packages.join(", ")
        );
        for archive in found {
            let mut unpack = Command::new("dpkg-deb");
            output(unpack.arg("--extract").arg(&archive).arg(root))?;
            fs::remove_file(&archive)
                .with_context(|| format!("cannot remove {}", archive.display()))?;
        }
        Ok(())
    }
}

fn archives_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut archives = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "deb") {
            archives.push(path);
        }
    }
    Ok(archives)
}

/// Runs a command; its output, or an error with what it said.
fn output(command: &mut Command) -> Result<String> {
    let line = progress::command_line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run {line}"))?;
    if !output.status.success() {
        bail!(
            "{line} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The archives of the machine's own sources: a line for each, `URI RELEASE`.
fn machine_archives() -> Result<String> {
    output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE)",
        "Created-By: Packages",
    ]))
}

/// The mirror to take a suite from. Security updates are in an archive of their own, beside the main one.
fn mirror_of(archives: &str, suite: &str) -> Option<String> {
    let pairs: Vec<(&str, &str)> = archives
        .lines()
        .filter_map(|line| line.trim().split_once(' '))
        .collect();
    let with = |ending: &str| {
        pairs
            .iter()
            .find(|(_, release)| {
                RELEASES
                    .iter()
                    .any(|name| release.strip_prefix(name) == Some(ending))
            })
            .map(|(uri, _)| uri.trim_end_matches('/').to_owned())
    };
    if suite.ends_with("-security") {
        with("-security").or_else(|| with("").map(|main| format!("{main}-security")))
    } else {
        with("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHIVES: &str = "https://packages.example.org/tools/ bookworm-tools\n\
        http://mirror.example.org/debian/ bookworm\n\
        http://mirror.example.org/debian/ bookworm-updates\n\
        http://mirror.example.org/security/ bookworm-security\n";

    #[test]
    fn suites_come_from_the_machines_own_mirrors() {
        let mirror = |suite| mirror_of(ARCHIVES, suite);
        assert_eq!(
            mirror("trixie-backports").as_deref(),
            Some("http://mirror.example.org/debian")
        );
        assert_eq!(
            mirror("bullseye-security").as_deref(),
            Some("http://mirror.example.org/security")
        );
    }

    #[test]
    fn security_updates_lie_beside_the_main_archive_where_the_machine_has_none() {
        let archives = "http://mirror.example.org/debian/ trixie\n";
        assert_eq!(
            mirror_of(archives, "bookworm-security").as_deref(),
            Some("http://mirror.example.org/debian-security")
        );
    }

    #[test]
    fn an_archive_of_somebody_else_is_no_mirror_of_debian() {
        assert_eq!(
            mirror_of("http://x.example.org/ubuntu/ noble\n", "trixie-backports"),
            None
        );
        assert_eq!(mirror_of("", "trixie-backports"), None);
    }
}
