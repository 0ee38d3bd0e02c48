//! Where a measurement takes place: a disk in memory, with a model on it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::{
    disk::{FileSystem, LoopDisk},
    environment::{
        Cleanup, MachineLock, Scratch, clean_up_on_signals, enter_private_mount_namespace, on_exit,
    },
    reference::has_tracepoint,
};

/// A disk whose sectors are memory, so that nothing but the kernel's and the tracer's own work takes time, and a model
/// on it. All of it is undone on drop and on signals, and by the kernel when this process is killed.
#[derive(Debug)]
pub struct BenchGround {
    model: PathBuf,
    disk: LoopDisk,
    scratch: Scratch,
    _memory: Cleanup,
    turn: MachineLock,
}

impl BenchGround {
    /// Makes it, with a model of about this size (bytes) that a tracer writes. Waits until no test on the kernel and
    /// no other measurement runs. Call it while the process has one thread.
    ///
    /// # Errors
    /// Without root, or where this machine cannot make such a disk.
    pub fn new(tracer: &Path, model_bytes: u64) -> Result<Self> {
        let turn = MachineLock::acquire()?;
        enter_private_mount_namespace()?;
        clean_up_on_signals()?;
        let folder = env::temp_dir().join("tracer-bench");
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let memory = on_exit({
            let folder = folder.clone();
            move || {
                let _ = umount2(&folder, MntFlags::MNT_DETACH);
                let _ = fs::remove_dir(&folder);
            }
        });
        mount(
            Some("bench"),
            &folder,
            Some("tmpfs"),
            MsFlags::empty(),
            Some("size=100%"),
        )
        .with_context(|| format!("mount a tmpfs on {}", folder.display()))?;
        // Mounts tracefs, in which other tracers find the names of events.
        has_tracepoint("block/block_rq_issue")?;
        let scratch = Scratch::new(&folder)?;
        // The file system has some use for a tenth of it.
        let disk = LoopDisk::new(
            &scratch,
            FileSystem::Ext4,
            (model_bytes + model_bytes / 8 + (64 << 20)).next_multiple_of(1 << 20),
        )?;
        let model = disk.mount_point().join("model.gguf");
        let made = Command::new(tracer)
            .arg("make-model")
            .arg(&model)
            .args(["--size", &model_bytes.to_string()])
            .output()
            .with_context(|| format!("run {}", tracer.display()))?;
        ensure!(
            made.status.success(),
            "{} make-model: {}",
            tracer.display(),
            String::from_utf8_lossy(&made.stderr).trim_end()
        );
        disk.synchronise()?;
        Ok(Self {
            model,
            disk,
            scratch,
            _memory: memory,
            turn,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Path {
        &self.model
    }

    /// The disk that it is on.
    #[must_use]
    pub const fn disk(&self) -> &LoopDisk {
        &self.disk
    }

    /// The turn, which no test on the kernel has at the same time.
    #[must_use]
    pub const fn turn(&self) -> &MachineLock {
        &self.turn
    }

    /// A folder in memory for what tracers write.
    #[must_use]
    pub const fn scratch(&self) -> &Scratch {
        &self.scratch
    }
}
