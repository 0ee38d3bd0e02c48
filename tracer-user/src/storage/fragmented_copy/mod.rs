//! A copy of a model in a given number of extents, so that what fragmentation costs is told from what the device costs.
//!
//! Writing to two files in turns does not mix them: file systems give a growing file the blocks behind its own last ones.
//! Instead a file of twice the size is allocated, and behind each piece as much as the piece is long is cut out of it
//! again (`FALLOC_FL_COLLAPSE_RANGE`, fallocate(2): ext4 and xfs). Only then the content is written. The pieces lie
//! in the order of the file, each as far from the next one as it is long.
//!
//! The file has no name until it is whole ([`UnnamedFile`]): whatever ends the program, the file system takes it back.

mod error;
mod layout;

use std::{
    fs::File,
    hash::{DefaultHasher, Hasher as _},
    io,
    ops::ControlFlow,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, fchown},
    },
    path::{Path, PathBuf},
};

use super::{
    FileExtents, Mapping, SECTOR_BYTES, UnnamedFile,
    extents::{ExtentRecord, fiemap_records},
    map_file, residency,
};
use layout::{Run, long_blocks, pieces};

pub use error::FragmentedCopyError;

/// Bytes read and written at a time.
const CHUNK_BYTES: usize = 4 << 20;

/// Bytes that may be dirty before they are waited for.
const DIRTY_BYTES: u64 = 256 << 20;

/// Room that is left to others, and for the file system's own blocks.
const SPARE_BYTES: u64 = 16 << 20;

/// A copy that was made and read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FragmentedCopy {
    /// Size, bytes.
    pub size_bytes: u64,
    /// Extents that it has, by FIEMAP: what was asked for, or near it where the file system broke the file by itself.
    pub extents: u64,
}

/// Copies `source` to `target`, which must not exist yet, in `extents` extents, on the file system of `target`. Holes
/// become zeros on the disk. The copy has the source's mode, and its owner where that is allowed.
///
/// `progress` is given the bytes done of twice the size (the copy is written, then read again), and may stop it.
///
/// # Errors
/// See [`FragmentedCopyError`]. Nothing is left at the target then.
pub fn make_fragmented_copy(
    source: &Path,
    target: &Path,
    extents: u64,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<FragmentedCopy, FragmentedCopyError> {
    let origin = Origin::open(source)?;
    let directory = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if target.symlink_metadata().is_ok() {
        return Err(FragmentedCopyError::TargetExists(target.to_owned()));
    }
    let mut unnamed = UnnamedFile::strictly_unnamed(directory).map_err(|source| {
        if source.raw_os_error() == Some(libc::EOPNOTSUPP) {
            FragmentedCopyError::Unsupported {
                file_system: format!("the file system of {}", directory.display()),
                action: "keep a file without a name",
                source,
            }
        } else {
            failed("make a file in", directory)(source)
        }
    })?;
    let copy = Copy {
        file: unnamed.file(),
        target,
        file_system: file_system_of(unnamed.file(), target)?,
        block_bytes: block_bytes(unnamed.file(), target)?,
    };
    let mut done = Progress { done: 0, progress };
    copy.lay_out(origin.size_bytes, extents, &mut done)?;
    let written = copy.write(&origin, &mut done)?;
    if copy.checksum(origin.size_bytes, &mut done)? != written {
        return Err(FragmentedCopyError::ContentDiffers(target.to_owned()));
    }
    let found = FileExtents::of(unnamed.file())?.physical_extent_count;
    // Others than root cannot give files away, and need not.
    let _ = fchown(unnamed.file(), Some(origin.uid), Some(origin.gid));
    unnamed.set_mode(origin.mode);
    unnamed
        .name_new(target)
        .map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => FragmentedCopyError::TargetExists(target.to_owned()),
            _ => failed("name", target)(error),
        })?;
    Ok(FragmentedCopy {
        size_bytes: origin.size_bytes,
        extents: found,
    })
}

fn failed(action: &'static str, path: &Path) -> impl Fn(io::Error) -> FragmentedCopyError + use<> {
    let path = path.to_owned();
    move |source| FragmentedCopyError::Io {
        action,
        path: path.clone(),
        source,
    }
}

struct Origin {
    file: File,
    path: PathBuf,
    size_bytes: u64,
    changed: (i64, i64),
    mode: u32,
    uid: u32,
    gid: u32,
    /// Nothing of it was in the page cache, and nothing is to stay.
    is_cold: bool,
}

impl Origin {
    fn open(path: &Path) -> Result<Self, FragmentedCopyError> {
        // Looked at before it is opened: opening a FIFO waits for its writer.
        let metadata = path.metadata().map_err(failed("look at", path))?;
        if !metadata.is_file() || metadata.len() == 0 {
            return Err(FragmentedCopyError::NoContent(path.to_owned()));
        }
        let file = File::open(path).map_err(failed("open", path))?;
        let is_cold = residency(&file).is_ok_and(|residency| {
            residency
                .observed()
                .is_some_and(|pages| pages.resident_pages == 0)
        });
        Ok(Self {
            file,
            path: path.to_owned(),
            size_bytes: metadata.len(),
            changed: (metadata.mtime(), metadata.mtime_nsec()),
            mode: metadata.permissions().mode() & 0o777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            is_cold,
        })
    }

    fn is_unchanged(&self) -> bool {
        self.file.metadata().is_ok_and(|now| {
            now.len() == self.size_bytes && (now.mtime(), now.mtime_nsec()) == self.changed
        })
    }
}

/// Type of the file system, if it has extents on a disk.
fn file_system_of(file: &File, target: &Path) -> Result<String, FragmentedCopyError> {
    let own = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    match map_file(&own)? {
        Mapping::Mapped(device) => Ok(device.file_system.name().to_owned()),
        Mapping::Unmappable(reason) => Err(FragmentedCopyError::NoExtents {
            target: target.to_owned(),
            reason,
        }),
    }
}

fn block_bytes(file: &File, target: &Path) -> Result<u64, FragmentedCopyError> {
    nix::sys::statvfs::fstatvfs(file)
        .map(|volume| volume.fragment_size().max(SECTOR_BYTES))
        .map_err(|error| failed("look at the file system of", target)(error.into()))
}

struct Progress<'a> {
    done: u64,
    progress: &'a mut dyn FnMut(u64) -> ControlFlow<()>,
}

impl Progress<'_> {
    fn add(&mut self, bytes: u64) -> Result<(), FragmentedCopyError> {
        self.done += bytes;
        match (self.progress)(self.done) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(FragmentedCopyError::Stopped),
        }
    }
}

/// The copy in the making.
struct Copy<'a> {
    file: &'a File,
    target: &'a Path,
    file_system: String,
    block_bytes: u64,
}

impl Copy<'_> {
    /// Allocates the blocks of the copy where they are to be; no content yet.
    fn lay_out(
        &self,
        size_bytes: u64,
        extents: u64,
        progress: &mut Progress<'_>,
    ) -> Result<(), FragmentedCopyError> {
        let blocks = size_bytes.div_ceil(self.block_bytes);
        if extents == 0 || extents > blocks {
            return Err(FragmentedCopyError::ExtentCount {
                asked: extents,
                blocks,
                block_bytes: self.block_bytes,
            });
        }
        let long_bytes = long_blocks(blocks) * self.block_bytes;
        self.check_space(long_bytes)?;
        self.change_range("allocate blocks", 0, 0, long_bytes)?;
        let pieces = pieces(&self.runs()?, blocks, extents);
        let mut end = 0;
        for piece in &pieces {
            end += piece.kept * self.block_bytes;
            if piece.cut > 0 {
                // From front to back: what lies behind is one long piece still, and quickly moved.
                let cut = piece.cut * self.block_bytes;
                self.change_range(
                    "cut blocks out of a file",
                    libc::FALLOC_FL_COLLAPSE_RANGE,
                    end,
                    cut,
                )?;
                progress.add(0)?;
            }
        }
        self.file
            .set_len(size_bytes)
            .map_err(failed("set the size of", self.target))
    }

    fn check_space(&self, long_bytes: u64) -> Result<(), FragmentedCopyError> {
        let volume = nix::sys::statvfs::fstatvfs(self.file)
            .map_err(|error| failed("look at the file system of", self.target)(error.into()))?;
        // The type of the count differs by target.
        #[allow(clippy::useless_conversion)]
        let available_bytes =
            u64::from(volume.blocks_available()).saturating_mul(volume.fragment_size());
        let needed_bytes = long_bytes.saturating_add(SPARE_BYTES);
        if available_bytes < needed_bytes {
            return Err(FragmentedCopyError::NoSpace {
                target: self.target.to_owned(),
                needed_bytes,
                available_bytes,
            });
        }
        Ok(())
    }

    /// Where the allocated blocks lie, written or not.
    fn runs(&self) -> Result<Vec<Run>, FragmentedCopyError> {
        let mut runs: Vec<Run> = Vec::new();
        for ExtentRecord {
            logical_bytes,
            physical_bytes,
            length_bytes,
            ..
        } in fiemap_records(self.file)?
        {
            let run = Run {
                logical: logical_bytes / self.block_bytes,
                physical: physical_bytes / self.block_bytes,
                length: length_bytes / self.block_bytes,
            };
            match runs.last_mut() {
                // ext4 cuts its records at 128 MiB.
                Some(last)
                    if last.logical + last.length == run.logical
                        && last.physical + last.length == run.physical =>
                {
                    last.length += run.length;
                }
                _ => runs.push(run),
            }
        }
        Ok(runs)
    }

    /// fallocate(2).
    fn change_range(
        &self,
        action: &'static str,
        mode: libc::c_int,
        offset: u64,
        length: u64,
    ) -> Result<(), FragmentedCopyError> {
        let too_large = |_| failed("allocate", self.target)(io::ErrorKind::FileTooLarge.into());
        let offset = libc::off_t::try_from(offset).map_err(too_large)?;
        let length = libc::off_t::try_from(length).map_err(too_large)?;
        // SAFETY: a system call on a descriptor that is open.
        if unsafe { libc::fallocate(self.file.as_raw_fd(), mode, offset, length) } == 0 {
            return Ok(());
        }
        let source = io::Error::last_os_error();
        Err(match source.raw_os_error() {
            // EINVAL: blocks that are allocated in clusters (bigalloc, real-time extents).
            Some(libc::EOPNOTSUPP | libc::EINVAL) => FragmentedCopyError::Unsupported {
                file_system: self.file_system.clone(),
                action,
                source,
            },
            _ => failed("allocate", self.target)(source),
        })
    }

    /// Writes the content to the disk; its checksum.
    fn write(
        &self,
        origin: &Origin,
        progress: &mut Progress<'_>,
    ) -> Result<u64, FragmentedCopyError> {
        let mut checksum = DefaultHasher::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        let (mut offset, mut dirty) = (0, 0);
        while offset < origin.size_bytes {
            let chunk = chunk(&mut buffer, origin.size_bytes - offset);
            origin
                .file
                .read_exact_at(chunk, offset)
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => {
                        FragmentedCopyError::SourceChanged(origin.path.clone())
                    }
                    _ => failed("read", &origin.path)(error),
                })?;
            if origin.is_cold {
                forget(&origin.file, offset, chunk.len());
            }
            checksum.write(chunk);
            self.file
                .write_all_at(chunk, offset)
                .map_err(failed("write", self.target))?;
            offset += chunk.len() as u64;
            dirty += chunk.len() as u64;
            if dirty >= DIRTY_BYTES || offset == origin.size_bytes {
                self.file.sync_all().map_err(failed("write", self.target))?;
                dirty = 0;
            }
            progress.add(chunk.len() as u64)?;
        }
        if !origin.is_unchanged() {
            return Err(FragmentedCopyError::SourceChanged(origin.path.clone()));
        }
        Ok(checksum.finish())
    }

    /// Checksum of what the disk holds.
    fn checksum(
        &self,
        size_bytes: u64,
        progress: &mut Progress<'_>,
    ) -> Result<u64, FragmentedCopyError> {
        // What is synced leaves the cache, so that it comes from the disk.
        forget(self.file, 0, 0);
        let mut checksum = DefaultHasher::new();
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut offset = 0;
        while offset < size_bytes {
            let chunk = chunk(&mut buffer, size_bytes - offset);
            self.file
                .read_exact_at(chunk, offset)
                .map_err(failed("read", self.target))?;
            checksum.write(chunk);
            forget(self.file, offset, chunk.len());
            offset += chunk.len() as u64;
            progress.add(chunk.len() as u64)?;
        }
        Ok(checksum.finish())
    }
}

fn chunk(buffer: &mut [u8], left_bytes: u64) -> &mut [u8] {
    let length = usize::try_from(left_bytes).map_or(buffer.len(), |left| left.min(buffer.len()));
    &mut buffer[..length]
}

/// Takes a range out of the page cache (length 0: to the end). A hint: it may stay.
fn forget(file: &File, offset: u64, length: usize) {
    let (Ok(offset), Ok(length)) = (libc::off_t::try_from(offset), libc::off_t::try_from(length))
    else {
        return;
    };
    // SAFETY: a descriptor and numbers.
    unsafe {
        libc::posix_fadvise(file.as_raw_fd(), offset, length, libc::POSIX_FADV_DONTNEED);
    }
}

#[cfg(test)]
mod tests;
