//! The kernel's own tracing files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MsFlags, mount};

use crate::environment::unavailable;

/// Whether this kernel has a tracepoint, such as `filemap/mm_filemap_fault`.
///
/// # Errors
/// [`crate::environment::Unavailable`] where tracefs cannot be mounted.
pub fn has_tracepoint(path: &str) -> Result<bool> {
    Ok(tracefs()?.join("events").join(path).exists())
}

/// Mounts tracefs in this process's own namespace where it is not mounted yet, for the tracer too.
///
/// # Errors
/// [`crate::environment::Unavailable`] where it cannot be mounted.
pub fn mount_tracefs() -> Result<()> {
    tracefs().map(drop)
}

/// Where tracefs is mounted; mounted in this process's own namespace where it is not yet.
pub(super) fn tracefs() -> Result<PathBuf> {
    let path = Path::new("/sys/kernel/tracing");
    if path.join("current_tracer").exists() {
        return Ok(path.into());
    }
    mount(
        Some("tracefs"),
        path,
        Some("tracefs"),
        MsFlags::empty(),
        None::<&str>,
    )
    .map_err(|error| unavailable(format!("tracefs cannot be mounted: {error}")))?;
    Ok(path.into())
}

/// Fails where a buffer lost records: the whole machine's, or an instance's folder.
pub(super) fn check_losses(buffer: &Path) -> Result<()> {
    let mut seen = 0;
    for entry in fs::read_dir(buffer.join("per_cpu")).context("list the processors' buffers")? {
        let path = entry
            .context("list the processors' buffers")?
            .path()
            .join("stats");
        for line in read(&path)?.lines() {
            let Some((name, value)) = line.split_once(':') else {
                continue;
            };
            if matches!(name, "overrun" | "commit overrun" | "dropped events") {
                seen += 1;
                if value.trim() != "0" {
                    bail!("ftrace lost records: {} says {line:?}", path.display());
                }
            }
        }
    }
    if seen == 0 {
        bail!("ftrace does not say whether it lost records");
    }
    Ok(())
}

pub(super) fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("write {text:?} to {}", path.display()))
}
