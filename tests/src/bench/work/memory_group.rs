//! A memory cgroup with a limit, of either version.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::environment::{Cleanup, on_exit};

/// Version 2, and version 1 where systems usually mount it.
const ROOTS: [(&str, &str); 2] = [
    ("/sys/fs/cgroup", "memory.max"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
];

/// Joins a group, then becomes the program: `sh -c JOIN sh GROUP PROGRAM ARGUMENTS`.
const JOIN: &str = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";

/// A group, removed when it is dropped.
#[derive(Debug)]
pub(super) struct MemoryGroup {
    path: PathBuf,
    _removal: Cleanup,
}

impl MemoryGroup {
    /// Makes one with this limit.
    pub(super) fn new(limit_bytes: u64) -> Result<Self> {
        for (root, limit) in ROOTS {
            let root = Path::new(root);
            let is_version_2 = root.join("cgroup.controllers").exists();
            if is_version_2 {
                // Refused where it is on already by other means; the limit's file then tells.
                let _ = fs::write(root.join("cgroup.subtree_control"), "+memory");
            } else if !root.join(limit).exists() {
                continue;
            }
            let path = root.join(format!("tracer-bench-{}", std::process::id()));
            fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
            let removal = on_exit({
                let path = path.clone();
                move || {
                    let _ = fs::remove_dir(&path);
                }
            });
            let limit = path.join(limit);
            fs::write(&limit, limit_bytes.to_string())
                .with_context(|| format!("write {}", limit.display()))?;
            return Ok(Self {
                path,
                _removal: removal,
            });
        }
        bail!("there are no memory cgroups here")
    }

    /// The same command in the group.
    pub(super) fn command(&self, inner: &Command) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", JOIN, "sh"])
            .arg(&self.path)
            .arg(inner.get_program())
            .args(inner.get_args());
        command
    }
}
