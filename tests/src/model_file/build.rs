//! Making files of a known shape.

use std::{
    fs::{self, File, OpenOptions},
    ops::Range,
    os::{fd::AsRawFd as _, unix::fs::FileExt as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

use super::{
    content::content_at,
    extents::{Extent, extents_of},
    residency::evict,
};
use crate::disk::MountedDisk;

/// A block of the test's file systems.
const BLOCK_BYTES: u64 = 4096;

/// A file on a test disk, whose content is that of [`content_at`] except in its holes. After it is made
/// nothing of it is cached.
#[derive(Clone, Debug)]
pub struct ModelFile {
    path: PathBuf,
    size_bytes: u64,
    extents: Vec<Extent>,
}

/// Two files whose pieces alternate on the device.
#[derive(Clone, Debug)]
pub struct FragmentedPair {
    /// The file to trace.
    pub model: ModelFile,
    /// The other one, with a piece between any two neighbouring pieces of the first.
    pub neighbour: ModelFile,
}

impl ModelFile {
    /// A file in one extent; its size need not be a multiple of anything.
    ///
    /// # Errors
    /// Where no attempt gives one extent.
    pub fn contiguous(disk: &MountedDisk, name: &str, size_bytes: u64) -> Result<Self> {
        let mut refused = Vec::new();
        for attempt in 0..8 {
            let path = disk.mount_point().join(format!("{name}.{attempt}"));
            let file = create(&path)?;
            allocate(&file, size_bytes)?;
            write_content(&file, 0..size_bytes)?;
            let made = Self::finish(&file, path.clone(), size_bytes)?;
            if made.extents.len() == 1 {
                let named = disk.mount_point().join(name);
                fs::rename(&path, &named).with_context(|| format!("rename {}", path.display()))?;
                refused.into_iter().try_for_each(|path: PathBuf| {
                    fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))
                })?;
                return Ok(Self {
                    path: named,
                    ..made
                });
            }
            // Kept until there is a better one, so that the next one lies elsewhere.
            refused.push(path);
        }
        bail!(
            "no file of {size_bytes} bytes on {} is one extent",
            disk.name()
        )
    }

    /// A file with holes in these ranges of it, which are in whole blocks.
    ///
    /// # Errors
    /// Where the file system fills the holes.
    pub fn sparse(
        disk: &MountedDisk,
        name: &str,
        size_bytes: u64,
        holes: &[Range<u64>],
    ) -> Result<Self> {
        let path = disk.mount_point().join(name);
        let file = create(&path)?;
        file.set_len(size_bytes)
            .context("set the size of the sparse file")?;
        let mut from = 0;
        for hole in holes {
            if !hole.start.is_multiple_of(BLOCK_BYTES)
                || !hole.end.is_multiple_of(BLOCK_BYTES)
                || hole.start < from
            {
                bail!("the hole {hole:?} is not in whole blocks, or not after the one before it");
            }
            write_content(&file, from..hole.start)?;
            from = hole.end;
        }
        write_content(&file, from..size_bytes.max(from))?;
        let made = Self::finish(&file, path, size_bytes)?;
        for hole in holes {
            if let Some(extent) = made.extents.iter().find(|extent| {
                extent.file_offset_bytes < hole.end && hole.start < extent.file_end_bytes()
            }) {
                bail!("the file system put {extent:?} into the hole {hole:?}");
            }
        }
        Ok(made)
    }

    /// A file of `pieces` pieces of `piece_bytes`, each an extent of its own, with pieces of a second file
    /// between them.
    ///
    /// File systems give a growing file the blocks behind its own last ones, so that writing two files in
    /// turns does not mix them. Instead every other piece is cut out of one long file, and the second one
    /// gets what that frees: it is sparse, and each of its pieces stands as far from its first one in the
    /// file as the freed blocks do on the device, which is where both file systems look first
    /// (`ext4_ext_find_goal`, `xfs_bmap_adjacent`).
    ///
    /// # Errors
    /// Where the pieces do not alternate on the device all the same.
    pub fn fragmented(
        disk: &MountedDisk,
        name: &str,
        pieces: u64,
        piece_bytes: u64,
    ) -> Result<FragmentedPair> {
        // Farther than any distance on a test's disk, so that no offset falls below 0.
        let first_offset = 1 << 30;
        let neighbour_path = disk.mount_point().join(format!("{name}.neighbour"));
        let neighbour = create(&neighbour_path)?;
        neighbour
            .set_len(2 * first_offset)
            .context("set the size of the neighbour")?;
        fill(&neighbour, first_offset..first_offset + piece_bytes)?;
        let anchor = *extents_of(&neighbour_path)?
            .first()
            .context("the neighbour has no extent")?;

        // It begins and ends with a piece of the model.
        let long = Self::contiguous(disk, name, (2 * pieces - 1) * piece_bytes)?;
        let start = long.extents[0].device_offset_bytes;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&long.path)
            .with_context(|| format!("open {}", long.path.display()))?;
        for piece in 1..pieces {
            // What stood there before has moved up by then.
            change_range(
                &file,
                libc::FALLOC_FL_COLLAPSE_RANGE,
                piece * piece_bytes,
                piece_bytes,
            )
            .context("cut a piece out of the file")?;
        }
        write_content(&file, 0..pieces * piece_bytes)?;
        // ext4 gives freed blocks away only after the commit.
        disk.synchronise()?;
        for piece in 1..pieces {
            let freed = start + (2 * piece - 1) * piece_bytes;
            let offset = (first_offset + freed)
                .checked_sub(anchor.device_offset_bytes)
                .context("the neighbour's first piece lies too far up")?;
            // XFS may put a block of its own there, with which the neighbour's list of extents has outgrown its inode (seen
            // on 5.10): then half a piece has room beside it.
            for length in [piece_bytes, piece_bytes / 2] {
                fill(&neighbour, offset..offset + length)?;
                let between = freed..freed + piece_bytes;
                if extents_of(&neighbour_path)?
                    .iter()
                    .any(|extent| between.contains(&extent.device_offset_bytes))
                {
                    break;
                }
                change_range(
                    &neighbour,
                    libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
                    offset,
                    length,
                )
                .context("give a piece back")?;
                disk.synchronise()?;
            }
        }
        let pair = FragmentedPair {
            model: Self::finish(&file, long.path, pieces * piece_bytes)?,
            neighbour: Self::finish(&neighbour, neighbour_path, 2 * first_offset)?,
        };
        pair.check_alternation(pieces)?;
        Ok(pair)
    }

    /// A file that somebody else made; its content is not that of [`content_at`].
    ///
    /// # Errors
    /// Where its extents cannot be told, or a page of it stays cached.
    pub fn existing(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let size_bytes = file.metadata().context("look at the file")?.len();
        Self::finish(&file, path, size_bytes)
    }

    fn finish(file: &File, path: PathBuf, size_bytes: u64) -> Result<Self> {
        file.sync_all()
            .with_context(|| format!("write {} back", path.display()))?;
        let length = file.metadata().context("look at the file")?.len();
        if length != size_bytes {
            bail!("{} has {length} bytes, not {size_bytes}", path.display());
        }
        let extents = extents_of(&path)?;
        evict(&path)?;
        Ok(Self {
            path,
            size_bytes,
            extents,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Its extents, in whole blocks.
    #[must_use]
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Bytes of it that are on the device: its size without holes, and without the rest of its last block.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        self.extents
            .iter()
            .map(|extent| {
                extent
                    .file_end_bytes()
                    .min(self.size_bytes)
                    .saturating_sub(extent.file_offset_bytes)
            })
            .sum()
    }

    /// Its inode number.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub fn inode(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path)
            .with_context(|| format!("look at {}", self.path.display()))?
            .ino())
    }

    /// What it has at an offset, which is a multiple of 8: its content, and zeros in holes.
    pub fn expected_content(&self, offset_bytes: u64, buffer: &mut [u8]) {
        content_at(offset_bytes, buffer);
        for (position, byte) in (offset_bytes..).zip(buffer) {
            let in_data = self.extents.iter().any(|extent| {
                (extent.file_offset_bytes..extent.file_end_bytes()).contains(&position)
            });
            if !in_data {
                *byte = 0;
            }
        }
    }

    /// Takes it out of the page cache.
    ///
    /// # Errors
    /// Where a page stays.
    pub fn evict(&self) -> Result<()> {
        evict(&self.path)
    }
}

impl FragmentedPair {
    /// Each piece an extent of its own, and between any two neighbouring extents of the model one of the
    /// neighbour's.
    fn check_alternation(&self, pieces: u64) -> Result<()> {
        let starts = |file: &ModelFile| {
            let mut starts: Vec<u64> = file
                .extents
                .iter()
                .map(|extent| extent.device_offset_bytes)
                .collect();
            starts.sort_unstable();
            starts
        };
        let (model, neighbour) = (starts(&self.model), starts(&self.neighbour));
        if (model.len() as u64) < pieces {
            bail!(
                "the file has {} extents, not {pieces}: {:?}",
                model.len(),
                self.model.extents
            );
        }
        for pair in model.windows(2) {
            let [from, to] = [pair[0], pair[1]];
            if !neighbour.iter().any(|start| (from..to).contains(start)) {
                bail!("nothing of the second file lies between {from} and {to} on the device");
            }
        }
        Ok(())
    }
}

fn create(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(|| format!("make {}", path.display()))
}

fn allocate(file: &File, size_bytes: u64) -> Result<()> {
    change_range(file, 0, 0, size_bytes).context("allocate the file")
}

/// fallocate(2).
fn change_range(file: &File, mode: libc::c_int, offset: u64, length: u64) -> Result<()> {
    let offset = libc::off_t::try_from(offset).context("the offset is too large")?;
    let length = libc::off_t::try_from(length).context("the range is too large")?;
    // SAFETY: a system call on a descriptor that is open.
    if unsafe { libc::fallocate(file.as_raw_fd(), mode, offset, length) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}

/// Allocates a range in one piece, and writes it.
fn fill(file: &File, range: Range<u64>) -> Result<()> {
    change_range(file, 0, range.start, range.end - range.start).context("allocate a piece")?;
    write_content(file, range)?;
    file.sync_all().context("write a piece back")
}

fn write_content(file: &File, range: Range<u64>) -> Result<()> {
    let mut buffer = vec![0u8; 1 << 20];
    let mut offset = range.start;
    while offset < range.end {
        let length = (range.end - offset).min(buffer.len() as u64) as usize;
        content_at(offset, &mut buffer[..length]);
        file.write_all_at(&buffer[..length], offset)
            .with_context(|| format!("write {length} bytes at {offset}"))?;
        offset += length as u64;
    }
    Ok(())
}
