//! From sectors of a disk back to offsets in files.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    extents::FileExtents,
    units::{FileOffset, KernelDevice, SECTOR_BYTES, Sector},
};

/// Why files cannot be laid out on a device.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum DeviceExtentsError {
    /// Two offsets of one file lie in the same blocks (a file that shares blocks with itself, by deduplication).
    /// A read of them cannot be given one offset, and its bytes would count twice.
    #[error(
        "file {file}: offsets {first} and {second} lie in the same blocks of the disk (deduplicated within the file); copy the file without sharing (cp --reflink=never)"
    )]
    OverlapWithinFile {
        /// Index of the file, in the order in which files were given.
        file: usize,
        /// One of the offsets.
        first: FileOffset,
        second: FileOffset,
    },
    /// An extent ends beyond what 64 bits of bytes can address, or is not aligned to sectors.
    #[error("file {file}: the extent at offset {offset} does not fit the device")]
    BeyondDevice {
        /// Index of the file.
        file: usize,
        /// Offset of the extent in the file.
        offset: FileOffset,
    },
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Run {
    start: Sector,
    end: Sector,
    file: usize,
    file_offset: FileOffset,
    shared: bool,
}

/// The part of a sector range that belongs to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the file, in the order in which files were given.
    pub file: usize,
    /// First sector of the overlap.
    pub sector: Sector,
    /// Sectors of the overlap: what was transferred for the file.
    pub length_sectors: u64,
    /// Offset in the file of the overlap's first byte.
    pub file_offset: FileOffset,
    /// Bytes of the overlap that lie before the end of the file: what may be added to unique bytes. Less than
    /// `length_sectors` × 512 only at the end of a file whose size is no multiple of the block.
    pub bytes_within_file: u64,
    /// Other files may share these sectors, whether they were given here or not.
    pub shared: bool,
}

/// Extents of one or more files on one disk, sorted by sector.
///
/// Extents of one file never overlap. Those of different files may (reflink); then every file gets its [`Overlap`],
/// marked `shared`, and the caller must not add them up as if the device had been read twice.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceExtents {
    device: KernelDevice,
    sizes_bytes: Vec<u64>,
    runs: Vec<Run>,
    /// Largest end among `runs[..=index]`: grows monotonically even where runs overlap, so that a binary search
    /// finds the first run that can still reach a sector.
    furthest_ends: Vec<Sector>,
}

impl DeviceExtents {
    /// Lays files out on the disk `device`. `partition_start` is the first sector of the partition (0 on a whole disk)
    /// that holds the file system of every one of them.
    pub fn new<'a>(
        device: KernelDevice,
        partition_start: Sector,
        files: impl IntoIterator<Item = &'a FileExtents>,
    ) -> Result<Self, DeviceExtentsError> {
        let (mut runs, mut sizes_bytes): (Vec<Run>, _) = (Vec::new(), Vec::new());
        for (file, extents) in files.into_iter().enumerate() {
            sizes_bytes.push(extents.size_bytes);
            for extent in &extents.extents {
                let file_offset = FileOffset(extent.file_offset_bytes);
                let start = Sector::at_byte(extent.physical_bytes)
                    .and_then(|sector| partition_start.checked_add(sector.0))
                    .filter(|_| extent.length_bytes.is_multiple_of(SECTOR_BYTES));
                let end =
                    start.and_then(|start| start.checked_add(extent.length_bytes / SECTOR_BYTES));
                let (Some(start), Some(end)) =
                    (start, end.filter(|end| end.start_byte().is_some()))
                else {
                    return Err(DeviceExtentsError::BeyondDevice {
                        file,
                        offset: file_offset,
                    });
                };
                runs.push(Run {
                    start,
                    end,
                    file,
                    file_offset,
                    shared: extent.shared,
                });
            }
        }
        runs.sort_unstable_by_key(|run| (run.file, run.start));
        for pair in runs.windows(2) {
            if let [first, second] = pair
                && first.file == second.file
                && second.start < first.end
            {
                return Err(DeviceExtentsError::OverlapWithinFile {
                    file: first.file,
                    first: first.file_offset,
                    second: second.file_offset,
                });
            }
        }
        runs.sort_unstable_by_key(|run| (run.start, run.file));
        mark_shared(&mut runs);
        let furthest_ends = runs
            .iter()
            .scan(Sector(0), |furthest, run| {
                *furthest = run.end.max(*furthest);
                Some(*furthest)
            })
            .collect();
        Ok(Self {
            device,
            sizes_bytes,
            runs,
            furthest_ends,
        })
    }

    /// The whole disk whose sectors these are: the device that block events name.
    pub fn device(&self) -> KernelDevice {
        self.device
    }

    /// Parts of the `length_sectors` from `start` that belong to files, by sector. What is in none of them is the
    /// device's other traffic.
    pub fn overlaps(
        &self,
        start: Sector,
        length_sectors: u64,
    ) -> impl Iterator<Item = Overlap> + '_ {
        let end = Sector(start.0.saturating_add(length_sectors));
        let first = self
            .furthest_ends
            .partition_point(|furthest| *furthest <= start);
        self.runs
            .iter()
            .skip(first)
            .take_while(move |run| run.start < end)
            .filter_map(move |run| {
                let (from, to) = (run.start.max(start), run.end.min(end));
                let length_sectors = to.sectors_since(from).filter(|length| *length > 0)?;
                let file_offset = run
                    .file_offset
                    .checked_add(from.sectors_since(run.start)?.checked_mul(SECTOR_BYTES)?)?;
                let left_bytes = self
                    .sizes_bytes
                    .get(run.file)?
                    .saturating_sub(file_offset.0);
                Some(Overlap {
                    file: run.file,
                    sector: from,
                    length_sectors,
                    file_offset,
                    bytes_within_file: left_bytes.min(length_sectors.saturating_mul(SECTOR_BYTES)),
                    shared: run.shared,
                })
            })
    }

    /// Sector ranges (start, length in sectors), sorted by start: what the kernel side filters by. Ranges of different
    /// files may overlap.
    pub fn sector_ranges(&self) -> impl ExactSizeIterator<Item = (Sector, u64)> + '_ {
        self.runs
            .iter()
            .map(|run| (run.start, run.end.0 - run.start.0))
    }
}

/// Marks runs that overlap a run of another file, which the file system need not have flagged.
fn mark_shared(runs: &mut [Run]) {
    let mut furthest: Option<(Sector, usize)> = None;
    for index in 0..runs.len() {
        if let Some((end, holder)) = furthest
            && runs[index].start < end
        {
            runs[index].shared = true;
            runs[holder].shared = true;
        }
        if furthest.is_none_or(|(end, _)| runs[index].end > end) {
            furthest = Some((runs[index].end, index));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::extents::FileExtent;

    use super::*;
    use proptest::prelude::*;

    const DISK: KernelDevice = KernelDevice(254 << 20);

    fn file(size_bytes: u64, extents: &[(u64, u64, u64)]) -> FileExtents {
        let extents: Vec<_> = extents
            .iter()
            .map(|&(offset, physical, length)| FileExtent {
                file_offset_bytes: offset * 512,
                physical_bytes: physical * 512,
                length_bytes: length * 512,
                shared: false,
            })
            .collect();
        FileExtents {
            size_bytes,
            physical_extent_count: extents.len() as u64,
            extents,
            holes_bytes: 0,
            unwritten_bytes: 0,
            tail_in_metadata_bytes: 0,
        }
    }

    #[test]
    fn a_request_across_an_extents_edge_gives_the_file_only_its_part() {
        let model = file(16 * 512, &[(8, 100, 8), (0, 200, 8)]);
        let layout = DeviceExtents::new(DISK, Sector(1000), [&model]).unwrap();
        let found: Vec<_> = layout.overlaps(Sector(1090), 15).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (
                found[0].sector,
                found[0].length_sectors,
                found[0].file_offset
            ),
            (Sector(1100), 5, FileOffset(8 * 512))
        );
        assert_eq!(layout.overlaps(Sector(1108), 92).count(), 0);
        assert_eq!(layout.overlaps(Sector(1107), 94).count(), 2);
        assert_eq!(
            layout.overlaps(Sector(100), 8).count(),
            0,
            "the partition's start must be added"
        );
        assert_eq!(layout.overlaps(Sector(1100), 0).count(), 0);
        assert_eq!(layout.overlaps(Sector(u64::MAX), u64::MAX).count(), 0);
    }

    #[test]
    fn the_last_blocks_surplus_is_transferred_but_not_unique() {
        let model = file(1000, &[(0, 100, 8)]);
        let layout = DeviceExtents::new(DISK, Sector(0), [&model]).unwrap();
        let found: Vec<_> = layout.overlaps(Sector(101), 7).collect();
        assert_eq!(
            (found[0].length_sectors, found[0].bytes_within_file),
            (7, 488)
        );
    }

    #[test]
    fn sharing_between_files_is_marked_and_within_a_file_refused() {
        let (one, two) = (
            file(64 * 512, &[(0, 100, 64)]),
            file(8 * 512, &[(0, 120, 8)]),
        );
        let layout = DeviceExtents::new(DISK, Sector(0), [&one, &two]).unwrap();
        let found: Vec<_> = layout.overlaps(Sector(120), 8).collect();
        assert_eq!(
            found.iter().map(|o| (o.file, o.shared)).collect::<Vec<_>>(),
            [(0, true), (1, true)]
        );
        // Found behind the shorter run too, although that one ends before.
        assert_eq!(
            layout.overlaps(Sector(150), 1).next().unwrap().file_offset,
            FileOffset(50 * 512)
        );
        let twice = file(16 * 512, &[(0, 100, 8), (8, 104, 8)]);
        assert!(matches!(
            DeviceExtents::new(DISK, Sector(0), [&twice]),
            Err(DeviceExtentsError::OverlapWithinFile { file: 0, .. })
        ));
    }

    /// (owner sector → file, file sector) of every sector of a small device, written the naive way.
    type NaiveMap = Vec<Vec<(usize, u64)>>;

    fn arbitrary_file() -> impl Strategy<Value = FileExtents> {
        // Lengths and gaps on the device; the order in the file is shuffled by a key.
        prop::collection::vec((1u64..20, 0u64..10, any::<u32>()), 0..12)
            .prop_flat_map(|pieces| {
                let total: u64 = pieces.iter().map(|(length, ..)| length).sum();
                (Just(pieces), 0..=(total * 512))
            })
            .prop_map(|(pieces, cut_bytes)| {
                let mut physical = 0;
                let mut placed: Vec<_> = pieces
                    .iter()
                    .map(|(length, gap, key)| {
                        let start = physical + gap;
                        physical = start + length;
                        (*key, start, *length)
                    })
                    .collect();
                placed.sort_unstable();
                let mut offset = 0;
                let extents: Vec<_> = placed
                    .into_iter()
                    .map(|(_, start, length)| {
                        let extent = (offset, start, length);
                        offset += length + 1; // a hole of one sector between extents
                        extent
                    })
                    .collect();
                file((offset * 512).saturating_sub(cut_bytes), &extents)
            })
    }

    proptest! {
        #[test]
        fn lookups_agree_with_a_map_of_every_sector(
            files in prop::collection::vec(arbitrary_file(), 1..4),
            partition_start in 0u64..50,
            start in 0u64..450,
            length in 0u64..120,
        ) {
            let layout = DeviceExtents::new(DISK, Sector(partition_start), &files).unwrap();
            let mut naive: NaiveMap = vec![Vec::new(); 1000];
            for (index, file) in files.iter().enumerate() {
                for extent in &file.extents {
                    for sector in 0..extent.length_bytes / 512 {
                        naive[(partition_start + extent.physical_bytes / 512 + sector) as usize]
                            .push((index, extent.file_offset_bytes / 512 + sector));
                    }
                }
            }
            let mut expected = Vec::new();
            for sector in start..start + length {
                for (index, file_sector) in &naive[sector as usize] {
                    let bytes = (file_sector * 512..(file_sector + 1) * 512).filter(|b| *b < files[*index].size_bytes).count() as u64;
                    expected.push((sector, *index, *file_sector, bytes));
                }
            }
            let mut found = Vec::new();
            let mut previous = Sector(0);
            for overlap in layout.overlaps(Sector(start), length) {
                prop_assert!(overlap.sector >= previous);
                previous = overlap.sector;
                let mut bytes_left = overlap.bytes_within_file;
                for step in 0..overlap.length_sectors {
                    let sector = overlap.sector.0 + step;
                    let bytes = bytes_left.min(512);
                    bytes_left -= bytes;
                    found.push((sector, overlap.file, overlap.file_offset.0 / 512 + step, bytes));
                    if naive[sector as usize].len() > 1 { prop_assert!(overlap.shared); }
                }
                prop_assert_eq!(bytes_left, 0);
            }
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }

        /// Reading the whole device finds each file's readable bytes once: coverage cannot pass 100 %.
        #[test]
        fn unique_bytes_of_a_file_never_exceed_its_size(file in arbitrary_file()) {
            let layout = DeviceExtents::new(DISK, Sector(7), [&file]).unwrap();
            let unique: u64 = layout.overlaps(Sector(0), u64::MAX).map(|o| o.bytes_within_file).sum();
            prop_assert!(unique <= file.size_bytes);
        }
    }
}
