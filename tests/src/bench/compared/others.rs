//! Other tracers that are compared with, as far as this machine has them.

use std::{
    env,
    path::{Path, PathBuf},
};

use clap::ValueEnum;

use super::variant::Variant;

/// Another tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Other {
    /// bpftrace with the pair of probes by which latency is usually measured.
    Bpftrace,
    /// `perf record` of all events of the block layer.
    Perf,
    /// ftrace's `blk` tracer.
    Ftrace,
}

impl Other {
    /// Where it is in the search path.
    ///
    /// # Errors
    /// It is not there; the text says so.
    pub fn find(self) -> Result<Variant, String> {
        match self {
            Self::Bpftrace => program("bpftrace").map(Variant::Bpftrace),
            Self::Perf => program("perf").map(Variant::Perf),
            Self::Ftrace => Ok(Variant::Ftrace),
        }
    }
}

fn program(name: &str) -> Result<PathBuf, String> {
    env::var_os("PATH")
        .iter()
        .flat_map(env::split_paths)
        .map(|folder| folder.join(name))
        .find(|path| Path::is_file(path))
        .ok_or_else(|| format!("{name} is not installed here"))
}
