//! (disk, sectors) → parts of models: the user side's own way, independent of the kernel side's table.

use serde::{Deserialize, Serialize};
use smallvec::smallvec;
use tracer_common::gap::SECTOR_BYTES;

use crate::{
    stats::{FileRange, Part, Parts},
    storage::{DeviceExtents, Sector},
};

use super::{file_selection::FileSelection, owner::Owner};

/// The files of one partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layout {
    /// Their extents on the whole disk.
    pub extents: DeviceExtents,
    /// Whose they are, in the order in which the files were given to [`Layout::extents`].
    pub owners: Vec<Owner>,
}

/// Finds the parts of models in ranges of sectors.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Locator {
    /// By slot of the disk.
    pub disks: Vec<Vec<Layout>>,
    /// The part of the files that is looked at; none where all of it is.
    #[serde(skip)]
    pub only: Option<FileSelection>,
}

impl Locator {
    /// Parts of models in `bytes` bytes from a sector on, one for each model that the range touches.
    #[must_use]
    pub fn parts(&self, disk: u8, sector: u64, bytes: u64) -> Parts {
        let mut parts = Parts::new();
        let Some(layouts) = self.disks.get(usize::from(disk)) else {
            return parts;
        };
        for layout in layouts {
            for overlap in layout
                .extents
                .overlaps(Sector(sector), bytes / SECTOR_BYTES)
            {
                let Some(owner) = layout.owners.get(overlap.file) else {
                    continue;
                };
                if overlap.bytes_within_file == 0 {
                    continue;
                }
                let start_sector = overlap.sector.0;
                let range = FileRange {
                    file: owner.file,
                    offset_bytes: overlap.file_offset.0,
                    length_bytes: overlap.bytes_within_file,
                };
                let Some(only) = &self.only else {
                    add(&mut parts, owner.model, start_sector, range);
                    continue;
                };
                let end = range.offset_bytes.saturating_add(range.length_bytes);
                for own in only.within(*owner, range.offset_bytes..end) {
                    let before = own.start - range.offset_bytes;
                    let range = FileRange {
                        file: owner.file,
                        offset_bytes: own.start,
                        length_bytes: own.end - own.start,
                    };
                    add(
                        &mut parts,
                        owner.model,
                        start_sector + before / SECTOR_BYTES,
                        range,
                    );
                }
            }
        }
        parts
    }

    /// Bytes of one model in a range.
    #[must_use]
    pub fn bytes_of(&self, model: u16, disk: u8, from_sector: u64, to_sector: u64) -> u64 {
        self.parts(
            disk,
            from_sector,
            to_sector.saturating_sub(from_sector) * SECTOR_BYTES,
        )
        .iter()
        .filter(|part| part.model == model)
        .map(|part| part.bytes)
        .sum()
    }
}

/// Adds a range of a file, which begins in this sector, to its model's part.
fn add(parts: &mut Parts, model: u16, start_sector: u64, range: FileRange) {
    // A file's last block is read whole; what lies beyond the file's end is not the model's.
    let end_sector = start_sector + range.length_bytes.div_ceil(SECTOR_BYTES);
    match parts.iter_mut().find(|part| part.model == model) {
        Some(part) => {
            part.start_sector = part.start_sector.min(start_sector);
            part.end_sector = part.end_sector.max(end_sector);
            part.bytes += range.length_bytes;
            part.ranges.push(range);
        }
        None => parts.push(Part {
            model,
            start_sector,
            end_sector,
            bytes: range.length_bytes,
            ranges: smallvec![range],
        }),
    }
}
