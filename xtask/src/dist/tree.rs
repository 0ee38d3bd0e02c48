//! The files of a package, as they lie below the root; and what packing them takes.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, ensure};

use super::documents::Documents;
use crate::progress;

/// When every file of a package was made, by what it says: 1980, seconds. The time of the build would make another package of the
/// same files, and some take the beginning of time for none.
pub const TIME: u64 = 315_532_800;

/// Lays out what is in every package; completions for zsh go to this folder.
///
/// # Errors
/// A file cannot be written; gzip is missing or fails.
pub fn lay_out(root: &Path, program: &Path, documents: &Documents, zsh: &str) -> Result<()> {
    put(program, &root.join("usr/bin/tracer"), 0o755)?;
    for page in files(&documents.manual)? {
        let target = root.join("usr/share/man/man1").join(name(&page));
        put(&page, &target, 0o644)?;
        // Without name and time, so that the same page is packed the same each time.
        run(Command::new("gzip").arg("-9n").arg(&target))?;
    }
    for completion in files(&documents.completions)? {
        let target = match completion.extension().and_then(|kind| kind.to_str()) {
            Some("bash") => root.join("usr/share/bash-completion/completions/tracer"),
            Some("fish") => root.join("usr/share/fish/vendor_completions.d/tracer.fish"),
            _ => root.join(zsh).join("_tracer"),
        };
        put(&completion, &target, 0o644)?;
    }
    let units = root.join("usr/lib/systemd/system");
    put(&documents.unit, &units.join(name(&documents.unit)), 0o644)?;
    for licence in &documents.licences {
        put(
            licence,
            &root.join("usr/share/doc/tracer").join(name(licence)),
            0o644,
        )?;
    }
    Ok(())
}

/// Gives every file and folder the same time.
///
/// # Errors
/// One cannot be changed.
pub fn set_times(folder: &Path) -> Result<()> {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME);
    for path in files(folder)? {
        if path.is_dir() {
            set_times(&path)?;
        } else {
            File::open(&path)
                .and_then(|file| file.set_modified(time))
                .with_context(|| format!("cannot set the time of {}", path.display()))?;
        }
    }
    File::open(folder)
        .and_then(|file| file.set_modified(time))
        .with_context(|| format!("cannot set the time of {}", folder.display()))
}

pub fn put(from: &Path, to: &Path, mode: u32) -> Result<()> {
    let folder = to.parent().context("a file lies in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::copy(from, to))
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot put {} to {}", from.display(), to.display()))
}

fn name(path: &Path) -> &std::ffi::OsStr {
    path.file_name().unwrap_or_default()
}

/// Files of a folder, by name.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot list {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    Ok(files)
}

/// Files of a folder and of those in it; a folder that is not there has none.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for path in files(folder)? {
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Folders of a package are for everybody, whatever the umask here.
pub fn make_readable(folder: &Path) -> Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot open {} to all", folder.display()))?;
    for path in files(folder)? {
        if path.is_dir() {
            make_readable(&path)?;
        }
    }
    Ok(())
}

/// Whether an installed program runs, and is of this version.
///
/// # Errors
/// It does not run, or says something else.
pub fn says_its_version(program: &Path) -> Result<()> {
    let version = Command::new(program)
        .arg("--version")
        .output()
        .context("cannot run the installed program")?;
    ensure!(
        version.status.success()
            && String::from_utf8_lossy(&version.stdout).trim()
                == concat!("tracer ", env!("CARGO_PKG_VERSION")),
        "the installed program says {version:?}"
    );
    Ok(())
}

pub fn run(command: &mut Command) -> Result<()> {
    let line = progress::command_line(command);
    let output = command
        .output()
        .with_context(|| format!("cannot run {line}"))?;
    ensure!(
        output.status.success(),
        "{line} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(())
}
