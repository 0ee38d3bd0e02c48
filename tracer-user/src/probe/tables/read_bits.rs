//! The bitmap of what was read: first a bit for each block, then one for each sector.

use tracer_common::extent::{Extent, SECTORS_IN_BLOCK};

/// Sectors of the extents, with what lies between them in their numbers.
pub fn sectors_of(extents: &[Extent]) -> u64 {
    extents
        .iter()
        .map(|extent| extent.first_bit + (extent.end_sector - extent.start_sector))
        .max()
        .unwrap_or_default()
}

/// Where the bits of single sectors begin in the bitmap of what was read, after those of the blocks.
pub fn first_sector_bit(extents: &[Extent]) -> u64 {
    sectors_of(extents)
        .div_ceil(SECTORS_IN_BLOCK)
        .next_multiple_of(64)
}
