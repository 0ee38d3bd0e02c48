//! A memory cgroup that is not the tracer's: as of a container, or of a service.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{Cleanup, on_exit, unavailable};

const VERSION_1: &str = "/sys/fs/cgroup/memory";
const VERSION_2: &str = "/sys/fs/cgroup";

/// Joins a group, then becomes the program: `sh -c JOIN sh GROUP PROGRAM ARGUMENTS`.
const JOIN: &str = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";

/// A cgroup with a limit, which swap is not part of. It goes on drop, when nobody is in it any more.
#[derive(Debug)]
pub struct MemoryGroup {
    directory: PathBuf,
    /// The file of its limit.
    limit: PathBuf,
    _cleanup: Cleanup,
}

impl MemoryGroup {
    /// Makes it.
    ///
    /// # Errors
    /// [`super::Unavailable`] where this machine shows no hierarchy with the memory controller.
    pub fn new(limit_bytes: u64) -> Result<Self> {
        let (root, limit) = if Path::new(VERSION_1).join("memory.limit_in_bytes").exists() {
            (Path::new(VERSION_1), "memory.limit_in_bytes")
        } else {
            let root = Path::new(VERSION_2);
            fs::write(root.join("cgroup.subtree_control"), "+memory")
                .map_err(|error| unavailable(format!("no memory cgroups: {error}")))?;
            (root, "memory.max")
        };
        let directory = root.join(format!("tests-{}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
        let cleanup = on_exit({
            let directory = directory.clone();
            move || remove(&directory)
        });
        let group = Self {
            limit: directory.join(limit),
            directory,
            _cleanup: cleanup,
        };
        group.set_limit(limit_bytes)?;
        Ok(group)
    }

    /// Sets another limit; what is above it has to go now.
    ///
    /// # Errors
    /// More is in use than can be taken away.
    pub fn set_limit(&self, bytes: u64) -> Result<()> {
        fs::write(&self.limit, bytes.to_string())
            .with_context(|| format!("write {}", self.limit.display()))
    }

    /// The same command in the group.
    #[must_use]
    pub fn command(&self, inner: &Command) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", JOIN, "sh"])
            .arg(&self.directory)
            .arg(inner.get_program())
            .args(inner.get_args());
        command
    }

    /// Where a process writes 0 to go into it.
    #[must_use]
    pub fn procs(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }
}

fn remove(directory: &Path) {
    // Who was in it may be ending.
    for _ in 0..50 {
        if fs::remove_dir(directory).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
    eprintln!("{} cannot be removed", directory.display());
}
