//! Extents of a file as the file system reports them (FIEMAP, Documentation/filesystems/fiemap.rst).

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use fiemap::{Fiemap, FiemapExtentFlags, FiemapFlags};
use thiserror::Error;

use super::units::{FileOffset, SECTOR_BYTES};

/// Why a file's extents do not say where its bytes lie on the device.
#[derive(Debug, Error)]
pub enum ExtentsError {
    /// The file system has no FIEMAP at all (tmpfs, most network file systems, FUSE).
    #[error(
        "the file system cannot say where the file lies (FIEMAP is not supported); copy the file to ext4 or xfs on a local disk"
    )]
    NotSupported,
    /// The file is still being written: blocks are not allocated although it was just synced.
    #[error(
        "bytes from offset {0} have no place on the disk yet (delayed allocation): the file is being written; wait until the copy is complete"
    )]
    DelayedAllocation(FileOffset),
    /// The data is kept inside metadata; no extent of the device holds it alone.
    #[error(
        "the data at offset {0} is stored inside the file's metadata (inline data); such a file is too small to be traced"
    )]
    InlineData(FileOffset),
    /// The last block is shared with the tails of other files.
    #[error(
        "the data at offset {0} shares its block with other files (tail packing); mount without tail packing and copy the file again"
    )]
    PackedTail(FileOffset),
    /// Compressed or encrypted by the file system: device bytes are not file bytes.
    #[error(
        "the data at offset {0} is encoded by the file system (compressed or encrypted): bytes on the disk are not bytes of the file; switch compression off for it and copy it again"
    )]
    Encoded(FileOffset),
    /// The file system does not know, or will not say, where the data is.
    #[error(
        "the file system does not say where the data at offset {0} lies (extent of unknown location)"
    )]
    UnknownLocation(FileOffset),
    /// Offsets that are no multiple of a sector cannot be matched with requests.
    #[error(
        "the extent at offset {offset} (physical {physical_bytes}, {length_bytes} bytes) is not aligned to {SECTOR_BYTES} bytes"
    )]
    NotAligned {
        /// Offset in the file.
        offset: FileOffset,
        /// Offset on the file system's device, in bytes.
        physical_bytes: u64,
        /// Length in bytes.
        length_bytes: u64,
    },
    /// The kernel's answer contradicts itself: extents out of order, overlapping, or beyond 64 bits.
    #[error(
        "the kernel reported an impossible extent at offset {0} (out of order, overlapping or too large); the file probably changed while it was looked at: try again"
    )]
    Impossible(FileOffset),
    /// A system call failed.
    #[error("cannot {action}: {source}")]
    Io {
        action: &'static str,
        source: io::Error,
    },
}

/// One record of FIEMAP, as the file system gave it: not clipped, not merged.
#[derive(Debug, Clone, Copy)]
pub struct ExtentRecord {
    /// Offset in the file, in bytes.
    pub logical_bytes: u64,
    /// Offset on the file system's device, in bytes.
    pub physical_bytes: u64,
    /// Length in bytes.
    pub length_bytes: u64,
    pub flags: FiemapExtentFlags,
}

/// A piece of a file that lies in one piece on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileExtent {
    /// Where it begins in the file, in bytes. A multiple of 512.
    pub file_offset_bytes: u64,
    /// Where it begins on the file system's device (not yet the disk: the partition's start is missing), in bytes.
    /// A multiple of 512.
    pub physical_bytes: u64,
    /// Length on disk, in bytes; a multiple of 512. The file's last extent may reach past the end of the file, up to
    /// the end of the file's last block, because that is what a read of the block transfers. Use
    /// [`FileExtents::clip_to_size`] before adding such bytes to anything that is compared with the file's size.
    pub length_bytes: u64,
    /// Other files may share these blocks (reflink): a read of them is not surely a read of this file.
    pub shared: bool,
}

impl FileExtent {
    fn continues(&self, previous: &Self) -> bool {
        previous
            .file_offset_bytes
            .checked_add(previous.length_bytes)
            == Some(self.file_offset_bytes)
            && previous.physical_bytes.checked_add(previous.length_bytes)
                == Some(self.physical_bytes)
    }
}

/// Identifies one layout of a file: equal for equal size and extents. It is FNV-1a over them, the same on every
/// machine and in every version; not meant to resist an attacker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtentsFingerprint(pub u64);

impl fmt::Display for ExtentsFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// All places of a file that can be read from its device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileExtents {
    /// Size of the file, in bytes.
    pub size_bytes: u64,
    /// Written extents, by file offset, merged where they continue both in the file and on the device (and are
    /// shared or not alike). Clipped to the size rounded up to a block.
    pub extents: Vec<FileExtent>,
    /// Bytes within the size that no read ever fetches from the device: real holes and unwritten extents.
    /// Coverage divides by `size_bytes - holes_bytes`.
    pub holes_bytes: u64,
    /// The part of `holes_bytes` that has blocks, but never written ones (fallocate).
    pub unwritten_bytes: u64,
    /// The part of `holes_bytes` at the file's end that the file system keeps in its metadata (erofs does so with what
    /// does not fill a block): it is read, with the metadata, and no extent says where.
    pub tail_in_metadata_bytes: u64,
    /// Pieces on the device: what a fragmentation tool counts as extents. Not the file system's records, which are
    /// cut at 128 MiB on ext4, and not split where only the sharing differs.
    pub physical_extent_count: u64,
}

impl FileExtents {
    /// Asks the file system. Written data is synced first (`FIEMAP_FLAG_SYNC`), so that delayed allocation is
    /// settled. `file` needs no more than read access.
    pub fn of(file: &File) -> Result<Self, ExtentsError> {
        let failed = |action| move |source| ExtentsError::Io { action, source };
        let block_bytes = nix::sys::statvfs::fstatvfs(file)
            .map_err(io::Error::from)
            .map_err(failed("look at the file's file system"))?
            .fragment_size();
        let size_bytes = || {
            file.metadata()
                .map_err(failed("look at the file"))
                .map(|metadata| metadata.len())
        };
        let size_before = size_bytes()?;
        let records = fiemap_records(file)?;
        if size_bytes()? != size_before {
            return Err(ExtentsError::Impossible(FileOffset(size_before)));
        }
        Self::from_records(size_before, block_bytes, records)
    }

    /// The same from records already at hand. `block_bytes` is the file system's block size (at least a sector).
    pub fn from_records(
        size_bytes: u64,
        block_bytes: u64,
        records: impl IntoIterator<Item = ExtentRecord>,
    ) -> Result<Self, ExtentsError> {
        let block_bytes = block_bytes.max(SECTOR_BYTES).next_multiple_of(SECTOR_BYTES);
        let end = size_bytes
            .checked_next_multiple_of(block_bytes)
            .ok_or(ExtentsError::Impossible(FileOffset(size_bytes)))?;
        let mut extents: Vec<FileExtent> = Vec::new();
        let mut physical_extent_count = 0;
        let (mut written_bytes, mut unwritten_bytes) = (0, 0);
        let (mut previous_end, mut tail_in_metadata_bytes) = (0, 0);
        for record in records {
            let offset = FileOffset(record.logical_bytes);
            if record.logical_bytes >= end {
                continue; // Blocks kept beyond the end of the file are never read.
            }
            let rest = size_bytes.saturating_sub(record.logical_bytes);
            let is_inline = record.flags.contains(FiemapExtentFlags::DATA_INLINE);
            if is_inline && previous_end > 0 && rest < block_bytes && record.length_bytes >= rest {
                tail_in_metadata_bytes = rest;
                break;
            }
            // Before the length: what has no place yet may have none.
            refuse_unusable(&record)?;
            if record.length_bytes == 0 {
                continue;
            }
            let record_end = record
                .logical_bytes
                .checked_add(record.length_bytes)
                .ok_or(ExtentsError::Impossible(offset))?;
            if record.logical_bytes < previous_end
                || record
                    .physical_bytes
                    .checked_add(record.length_bytes)
                    .is_none()
            {
                return Err(ExtentsError::Impossible(offset));
            }
            previous_end = record_end;
            let within_size = size_bytes
                .min(record_end)
                .saturating_sub(record.logical_bytes);
            if record.flags.contains(FiemapExtentFlags::UNWRITTEN) {
                unwritten_bytes += within_size;
                continue;
            }
            written_bytes += within_size;
            let extent = FileExtent {
                file_offset_bytes: record.logical_bytes,
                physical_bytes: record.physical_bytes,
                length_bytes: record_end.min(end) - record.logical_bytes,
                shared: record.flags.contains(FiemapExtentFlags::SHARED),
            };
            match extents.last_mut() {
                Some(last) if extent.continues(last) && extent.shared == last.shared => {
                    last.length_bytes += extent.length_bytes;
                }
                Some(last) if extent.continues(last) => extents.push(extent),
                _ => {
                    physical_extent_count += 1;
                    extents.push(extent);
                }
            }
        }
        Ok(Self {
            size_bytes,
            extents,
            holes_bytes: size_bytes - written_bytes,
            unwritten_bytes,
            tail_in_metadata_bytes,
            physical_extent_count,
        })
    }

    /// How many of the `length_bytes` from `offset` belong to the file: the part before its end. The last block of a
    /// file is read whole, so the bytes of a read can exceed this; unique bytes must not.
    pub fn clip_to_size(&self, offset: FileOffset, length_bytes: u64) -> u64 {
        length_bytes.min(self.size_bytes.saturating_sub(offset.0))
    }

    /// Identifies this layout; a different one after a run means that the file was rewritten or moved meanwhile and
    /// that the run's attribution is void.
    pub fn fingerprint(&self) -> ExtentsFingerprint {
        const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
        const PRIME: u64 = 0x0000_0100_0000_01b3;
        let words = self.extents.iter().flat_map(|extent| {
            [
                extent.file_offset_bytes,
                extent.physical_bytes,
                extent.length_bytes,
                u64::from(extent.shared),
            ]
        });
        let hash = [self.size_bytes, self.holes_bytes, self.unwritten_bytes]
            .into_iter()
            .chain(words)
            .flat_map(u64::to_le_bytes)
            .fold(OFFSET_BASIS, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(PRIME)
            });
        ExtentsFingerprint(hash)
    }
}

/// Flags under which the physical offset is no place of the file's bytes. The most telling cause goes first: inline
/// data also sets NOT_ALIGNED, delayed allocation also sets UNKNOWN.
fn refuse_unusable(record: &ExtentRecord) -> Result<(), ExtentsError> {
    let offset = FileOffset(record.logical_bytes);
    let has = |flag| record.flags.contains(flag);
    if has(FiemapExtentFlags::DATA_INLINE) {
        return Err(ExtentsError::InlineData(offset));
    }
    if has(FiemapExtentFlags::DATA_TAIL) {
        return Err(ExtentsError::PackedTail(offset));
    }
    if has(FiemapExtentFlags::DELALLOC) {
        return Err(ExtentsError::DelayedAllocation(offset));
    }
    // DATA_ENCRYPTED alone means that the place is right but the bytes are cipher text; it always sets ENCODED too
    // (fiemap_fill_next_extent, fs/ioctl.c), and f2fs sets it on compressed files as well, so both are refused.
    if has(FiemapExtentFlags::ENCODED) || has(FiemapExtentFlags::DATA_ENCRYPTED) {
        return Err(ExtentsError::Encoded(offset));
    }
    if has(FiemapExtentFlags::UNKNOWN) {
        return Err(ExtentsError::UnknownLocation(offset));
    }
    let aligned = [
        record.logical_bytes,
        record.physical_bytes,
        record.length_bytes,
    ]
    .iter()
    .all(|bytes| bytes.is_multiple_of(SECTOR_BYTES));
    if has(FiemapExtentFlags::NOT_ALIGNED) || !aligned {
        return Err(ExtentsError::NotAligned {
            offset,
            physical_bytes: record.physical_bytes,
            length_bytes: record.length_bytes,
        });
    }
    Ok(())
}

/// FIEMAP's records as they come.
pub(super) fn fiemap_records(file: &impl AsFd) -> Result<Vec<ExtentRecord>, ExtentsError> {
    Fiemap::with_flags(file, FiemapFlags::SYNC)
        .map(|answer| match answer {
            Ok(extent) => Ok(ExtentRecord {
                logical_bytes: extent.fe_logical,
                physical_bytes: extent.fe_physical,
                length_bytes: extent.fe_length,
                flags: extent.fe_flags,
            }),
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::ENOTTY | libc::EBADR)
                ) =>
            {
                Err(ExtentsError::NotSupported)
            }
            Err(source) => Err(ExtentsError::Io {
                action: "ask for the file's extents (FIEMAP)",
                source,
            }),
        })
        .collect()
}

#[cfg(test)]
mod tests;
