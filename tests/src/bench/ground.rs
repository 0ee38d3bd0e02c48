//! Where a measurement takes place: a disk in memory, with models on it.

use std::{
    env,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use nix::{
    fcntl::{FallocateFlags, fallocate},
    mount::{MntFlags, MsFlags, mount, umount2},
};

use crate::{
    disk::{FileSystem, LoopDisk},
    environment::{
        Cleanup, MachineLock, Scratch, clean_up_on_signals, enter_private_mount_namespace, on_exit,
    },
    model_file::{ModelFile, extents_of},
    reference::has_tracepoint,
};

/// Of the file system.
const BLOCK_BYTES: u64 = 4096;

/// A folder in memory, and the machine's turn. All of it is undone on drop and on signals, and by the kernel when this
/// process is killed.
#[derive(Debug)]
pub struct BenchPlace {
    scratch: Scratch,
    _memory: Cleanup,
    turn: MachineLock,
}

impl BenchPlace {
    /// Waits until no test on the kernel and no other measurement runs, and makes it. Call it while the process has
    /// one thread.
    ///
    /// # Errors
    /// Without root.
    pub fn new() -> Result<Self> {
        let turn = MachineLock::acquire()?;
        enter_private_mount_namespace()?;
        clean_up_on_signals()?;
        let folder = env::temp_dir().join("tracer-bench");
        let memory = mount_memory(&folder)?;
        // Mounts tracefs, in which other tracers find the names of events.
        has_tracepoint("block/block_rq_issue")?;
        Ok(Self {
            scratch: Scratch::new(&folder)?,
            _memory: memory,
            turn,
        })
    }

    /// A disk in it with room for so many bytes of files. Its sectors are memory, so that nothing but the kernel's and
    /// the tracer's own work takes time.
    ///
    /// # Errors
    /// This machine cannot make such a disk.
    pub fn ground(&self, file_bytes: u64) -> Result<BenchGround<'_>> {
        BenchGround::new(&self.scratch, &self.turn, file_bytes)
    }
}

/// Makes a folder whose files are memory, until the value is dropped. Other processes do not see it where the mount
/// namespace is a private one.
///
/// # Errors
/// Without root.
pub fn mount_memory(folder: &Path) -> Result<Cleanup> {
    fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    let memory = on_exit({
        let folder = folder.to_owned();
        move || {
            let _ = umount2(&folder, MntFlags::MNT_DETACH);
            let _ = fs::remove_dir(&folder);
        }
    });
    mount(
        Some("bench"),
        folder,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("size=100%"),
    )
    .with_context(|| format!("mount a tmpfs on {}", folder.display()))?;
    Ok(memory)
}

/// Where a measurement takes place: a disk of its own.
#[derive(Debug)]
pub struct BenchGround<'place> {
    disk: LoopDisk,
    scratch: &'place Scratch,
    turn: &'place MachineLock,
}

impl<'place> BenchGround<'place> {
    /// One with room for so many bytes of files.
    ///
    /// # Errors
    /// This machine cannot make such a disk.
    pub fn new(
        scratch: &'place Scratch,
        turn: &'place MachineLock,
        file_bytes: u64,
    ) -> Result<Self> {
        let disk = LoopDisk::new(
            scratch,
            FileSystem::Ext4,
            // The file system has some use for the rest.
            (file_bytes + file_bytes / 8 + (64 << 20)).next_multiple_of(1 << 20),
        )?;
        Ok(Self {
            disk,
            scratch,
            turn,
        })
    }

    /// A model of about this size (bytes) on the disk, which a tracer writes.
    ///
    /// # Errors
    /// The tracer fails.
    pub fn model(&self, tracer: &Path, bytes: u64) -> Result<PathBuf> {
        let model = self.disk.mount_point().join("model.gguf");
        make_model(tracer, &model, bytes)?;
        self.disk.synchronise()?;
        Ok(model)
    }

    /// The same in so many extents, or a few more. Takes twice the room while it is made.
    ///
    /// # Errors
    /// The tracer fails, or the file system cannot cut pieces out of a file.
    pub fn model_in_extents(&self, tracer: &Path, bytes: u64, extents: u64) -> Result<PathBuf> {
        let whole = self.scratch.fresh_path("model.gguf");
        make_model(tracer, &whole, bytes)?;
        let size = fs::metadata(&whole).context("look at the model")?.len();
        let piece = size / extents / BLOCK_BYTES * BLOCK_BYTES;
        ensure!(piece > 0, "{size} bytes are too few for {extents} extents");
        let pieces = i64::try_from(size.div_ceil(piece))?;
        let piece = i64::try_from(piece)?;
        let path = self.disk.mount_point().join("fragmented.gguf");
        let mut file = File::create_new(&path).context("make the fragmented file")?;
        fallocate(&file, FallocateFlags::empty(), 0, (2 * pieces - 1) * piece)
            .context("allocate the fragmented file")?;
        for number in 1..pieces {
            // What stood there before has moved up by then. What remains keeps its places on the device.
            let cut = FallocateFlags::FALLOC_FL_COLLAPSE_RANGE;
            fallocate(&file, cut, number * piece, piece)
                .context("cut a piece out of the fragmented file")?;
        }
        let mut model = File::open(&whole).context("open the model")?;
        io::copy(&mut model, &mut file).context("write the fragmented model")?;
        file.set_len(size).context("cut the fragmented file")?;
        file.sync_all().context("write the fragmented file back")?;
        fs::remove_file(&whole).context("remove the model's first copy")?;
        let found = extents_of(&path)?.len();
        ensure!(
            u64::try_from(found)? >= extents,
            "the file is in {found} extents, not in {extents}"
        );
        Ok(path)
    }

    /// Some other file of this size (bytes) on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn other_file(&self, bytes: u64) -> Result<PathBuf> {
        let file = ModelFile::sparse(&self.disk, "other", bytes, &[])?;
        Ok(file.path().to_owned())
    }

    /// The disk.
    #[must_use]
    pub const fn disk(&self) -> &LoopDisk {
        &self.disk
    }

    /// The turn, which no test on the kernel has at the same time.
    #[must_use]
    pub const fn turn(&self) -> &'place MachineLock {
        self.turn
    }

    /// A folder in memory for what tracers write.
    #[must_use]
    pub const fn scratch(&self) -> &'place Scratch {
        self.scratch
    }
}

fn make_model(tracer: &Path, path: &Path, bytes: u64) -> Result<()> {
    let made = Command::new(tracer)
        .arg("make-model")
        .arg(path)
        .args(["--size", &bytes.to_string()])
        .output()
        .with_context(|| format!("run {}", tracer.display()))?;
    ensure!(
        made.status.success(),
        "{} make-model: {}",
        tracer.display(),
        String::from_utf8_lossy(&made.stderr).trim_end()
    );
    Ok(())
}
