//! Switching ftrace's `blk` tracer on and off.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{
    records::BlkTrace,
    tracefs::{check_losses, read, tracefs, write},
};
use crate::{
    disk::MountedDisk,
    environment::{Cleanup, MachineLock, on_exit, unavailable},
};

/// Memory for the records of each processor. At about 60 bytes a record this holds half a million.
const BUFFER_KIB: u64 = 32 * 1024;

/// ftrace's `blk` tracer on one disk. It is the tracer of the whole machine, hence the lock; its settings
/// are put back on drop.
#[derive(Debug)]
pub struct FtraceBlk<'lock> {
    tracefs: PathBuf,
    device: String,
    enable: PathBuf,
    _cleanup: Cleanup,
    _lock: &'lock MachineLock,
}

impl<'lock> FtraceBlk<'lock> {
    /// Starts recording the requests of a disk.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has no `blk` tracer, or somebody else's tracer
    /// is in use.
    pub fn start(disk: &MountedDisk, lock: &'lock MachineLock) -> Result<Self> {
        let tracefs = tracefs()?;
        let tracers = read(&tracefs.join("available_tracers"))?;
        if !tracers.split_whitespace().any(|tracer| tracer == "blk") {
            return Err(unavailable(
                "this kernel has no blk tracer (CONFIG_BLK_DEV_IO_TRACE)",
            ));
        }
        let current = read(&tracefs.join("current_tracer"))?;
        // `blk` is a test run's that was killed: nobody else holds the lock.
        if !matches!(current.trim(), "nop" | "blk") {
            return Err(unavailable(format!(
                "ftrace is in use with the tracer {:?}",
                current.trim()
            )));
        }
        // "7 (expanded: 1408)" before the first trace ever, which makes it 1408; else the number alone.
        let buffer = read(&tracefs.join("buffer_size_kb"))?;
        let buffer = buffer
            .rsplit(|character: char| !character.is_ascii_digit())
            .find(|word| !word.is_empty())
            .with_context(|| format!("buffer_size_kb holds {buffer:?}"))?
            .to_owned();
        let tracing_on = read(&tracefs.join("tracing_on"))?;
        let enable = Path::new("/sys/block")
            .join(disk.name())
            .join("trace/enable");
        let cleanup = on_exit({
            let (tracefs, enable) = (tracefs.clone(), enable.clone());
            move || {
                for (path, text) in [
                    (enable, "0"),
                    (tracefs.join("current_tracer"), "nop"),
                    (tracefs.join("trace"), ""),
                    (tracefs.join("buffer_size_kb"), buffer.trim()),
                    (tracefs.join("tracing_on"), tracing_on.trim()),
                ] {
                    if let Err(error) = fs::write(&path, text) {
                        eprintln!("cannot put {} back to {text:?}: {error}", path.display());
                    }
                }
            }
        });
        write(&tracefs.join("current_tracer"), "nop")?;
        write(&tracefs.join("buffer_size_kb"), &BUFFER_KIB.to_string())?;
        write(&tracefs.join("current_tracer"), "blk")?;
        write(&tracefs.join("tracing_on"), "1")?;
        write(&enable, "1")?;
        // Only now: writing the mask first would switch it on by itself.
        write(&enable.with_file_name("act_mask"), "requeue,issue,complete")?;
        write(&tracefs.join("trace"), "")?;
        let number = disk.number();
        Ok(Self {
            tracefs,
            device: format!("{},{}", number.major, number.minor),
            enable,
            _cleanup: cleanup,
            _lock: lock,
        })
    }

    /// Stops recording.
    ///
    /// # Errors
    /// Where the kernel lost a record, so that the trace is no reference.
    pub fn finish(self) -> Result<BlkTrace> {
        for (path, expected) in [
            (self.tracefs.join("current_tracer"), "blk"),
            (self.tracefs.join("tracing_on"), "1"),
            (self.enable.clone(), "1"),
        ] {
            let found = read(&path)?;
            if found.trim() != expected {
                bail!(
                    "somebody else changed {} from {expected} to {} meanwhile",
                    path.display(),
                    found.trim()
                );
            }
        }
        write(&self.enable, "0")?;
        let text = fs::read(self.tracefs.join("trace")).context("read the trace")?;
        check_losses(&self.tracefs)?;
        BlkTrace::parse(&String::from_utf8_lossy(&text), &self.device)
    }
}
