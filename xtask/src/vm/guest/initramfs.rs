//! The guest's files: busybox and other programs, the kernel's modules, what is tested, and the job.

use std::{
    fs,
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::{Context as _, Result};

use super::{
    cpio::Archive,
    job::Job,
    kernel::Kernel,
    modules::{self, Module},
    programs::Files,
};

/// The first process.
const INIT: &str = include_str!("init.sh");

/// Users: root, and one that is not.
const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\nuser:x:1000:\n";

/// Writes the archive that a kernel starts with.
///
/// # Errors
/// A file cannot be read, or the archive not be written.
pub fn write(path: &Path, kernel: &Kernel, programs: &Files, job: &Job) -> Result<()> {
    let modules = modules::collect(&kernel.modules, &modules::WANTED)?;
    let write = || -> Result<()> {
        let file = BufWriter::new(fs::File::create(path)?);
        let file = add_system(Archive::new(file), &kernel.release, &modules, programs)?;
        // A second archive, which the kernel unpacks over the first.
        let mut file = add_job(Archive::new(file), job)?;
        file.flush()?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

fn add_system<W: Write>(
    mut archive: Archive<W>,
    release: &str,
    modules: &[Module],
    programs: &Files,
) -> Result<W> {
    for folder in [
        "dev",
        "guest/disk",
        "guest/out",
        "mnt",
        "proc",
        "root",
        "run",
        "sys",
        "tmp",
    ] {
        archive.folder(Path::new(folder))?;
    }
    archive.file(Path::new("init"), 0o755, INIT.as_bytes())?;
    archive.file(Path::new("etc/passwd"), 0o644, USERS.as_bytes())?;
    archive.file(Path::new("etc/group"), 0o644, GROUPS.as_bytes())?;
    archive.link(Path::new("etc/mtab"), Path::new("/proc/self/mounts"))?;
    for (link, target) in [
        ("sbin", "bin"),
        ("usr/bin", "../bin"),
        ("usr/sbin", "../bin"),
        // Some paths of libraries begin with it, as they do where /lib is a link.
        ("usr/lib", "../lib"),
        ("usr/lib64", "../lib64"),
    ] {
        archive.link(Path::new(link), Path::new(target))?;
    }
    for (path, source) in programs {
        // The links above stand in for these folders.
        let path = path.strip_prefix("/usr").unwrap_or(path);
        add_file(&mut archive, path, source)?;
    }
    let folder = Path::new("lib/modules").join(release);
    for module in modules {
        archive.file(&folder.join(&module.path), 0o644, &module.content)?;
    }
    let dependencies = modules::dependency_file(modules)?;
    archive.file(&folder.join("modules.dep"), 0o644, dependencies.as_bytes())?;
    let aliases = modules::alias_file(modules);
    archive.file(&folder.join("modules.alias"), 0o644, aliases.as_bytes())?;
    Ok(archive.finish()?)
}

fn add_job<W: Write>(mut archive: Archive<W>, job: &Job) -> Result<W> {
    archive.file(Path::new("guest/job/run"), 0o755, job.script()?.as_bytes())?;
    if let Some(settings) = job.terminal_settings() {
        archive.file(Path::new("guest/job/terminal"), 0o644, settings.as_bytes())?;
    }
    for file in &job.files {
        add_file(&mut archive, file, file)?;
    }
    Ok(archive.finish()?)
}

/// Adds a file of this machine.
fn add_file<W: Write>(archive: &mut Archive<W>, path: &Path, source: &Path) -> Result<()> {
    let content = fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
    archive.file(path, 0o755, &content)?;
    Ok(())
}
