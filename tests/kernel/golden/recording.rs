//! What records beside the tracer: blktrace in virtual machines, where nothing forbids it, else ftrace's `blk` tracer.

use anyhow::Result;
use tests::{
    disk::{MountedDisk, SpareDisk},
    environment::MachineLock,
    reference::{BlkTrace, Blktrace, BlktraceRecording, FtraceBlk},
};

use crate::ground::Ground;

/// A recorder at work.
pub enum Recording<'lock> {
    Blktrace(Blktrace<'lock>),
    Ftrace(FtraceBlk<'lock>),
}

/// What it has recorded, without loss.
pub enum Recorded {
    Blktrace(BlktraceRecording),
    Ftrace(BlkTrace),
}

impl<'lock> Recording<'lock> {
    /// Starts. Lockdown closes blktrace's files to everybody; a machine that has disks to spare for tests is a virtual
    /// one, without it.
    pub fn start(ground: &Ground, disk: &MountedDisk, lock: &'lock MachineLock) -> Result<Self> {
        Ok(if SpareDisk::all()?.is_empty() {
            Self::Ftrace(FtraceBlk::start(disk, lock)?)
        } else {
            Self::Blktrace(Blktrace::start(&ground.scratch, disk, lock)?)
        })
    }

    pub fn finish(self) -> Result<Recorded> {
        Ok(match self {
            Self::Blktrace(blktrace) => Recorded::Blktrace(blktrace.finish()?),
            Self::Ftrace(ftrace) => Recorded::Ftrace(ftrace.finish()?),
        })
    }
}

impl Recorded {
    pub fn trace(&self) -> &BlkTrace {
        match self {
            Self::Blktrace(recording) => &recording.trace,
            Self::Ftrace(trace) => trace,
        }
    }

    /// blktrace's own recording, where it was at work.
    pub fn blktrace(&self) -> Option<&BlktraceRecording> {
        match self {
            Self::Blktrace(recording) => Some(recording),
            Self::Ftrace(_) => None,
        }
    }
}
