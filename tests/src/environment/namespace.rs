//! A mount namespace of our own.

use anyhow::{Context as _, Result};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// Moves this process into a mount namespace of its own, from which no mount reaches the outside; the
/// kernel unmounts all in it when its last process ends. Call it while the process has one thread.
///
/// # Errors
/// Without CAP_SYS_ADMIN.
pub fn enter_private_mount_namespace() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("make a private mount namespace")?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .context("make the mounts of the namespace private")
}
