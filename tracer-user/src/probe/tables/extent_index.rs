//! The index by which the programs find the extent of a sector.

use tracer_common::{
    extent::Extent,
    settings::{DeviceFilter, ExtentIndex},
};

/// Most pieces that a device is cut into.
const MOST_PIECES: usize = 1 << 18;
/// Pieces to an extent: where extents are of about one size, the first look finds nearly every one.
const PIECES_TO_AN_EXTENT: usize = 8;

/// The indices of all devices, and the table that they point into.
pub fn build(
    devices: &[DeviceFilter],
    extents: &[Extent],
) -> anyhow::Result<(Vec<ExtentIndex>, Vec<u32>)> {
    let mut table = Vec::new();
    let mut indices = Vec::with_capacity(devices.len());
    for device in devices {
        let first = device.first_extent as usize;
        let own = extents
            .get(first..first + device.extents as usize)
            .unwrap_or_default();
        let (Some(first_extent), Some(last_extent)) = (own.first(), own.last()) else {
            indices.push(ExtentIndex::default());
            continue;
        };
        let first_sector = first_extent.start_sector;
        let last_sector = last_extent.end_sector - first_sector - 1;
        let wanted = (PIECES_TO_AN_EXTENT * own.len())
            .next_power_of_two()
            .min(MOST_PIECES) as u64;
        let mut shift = 0;
        while last_sector >> shift >= wanted {
            shift += 1;
        }
        let pieces = (last_sector >> shift) + 1;
        indices.push(ExtentIndex {
            first_sector,
            first_piece: u32::try_from(table.len())?,
            pieces: u32::try_from(pieces)?,
            shift,
            reserved: 0,
        });
        for piece in 0..pieces {
            let start = first_sector + (piece << shift);
            let before = own.partition_point(|extent| extent.end_sector <= start);
            table.push(device.first_extent + u32::try_from(before)?);
        }
    }
    Ok((indices, table))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracer_common::{extent::Extent, settings::DeviceFilter};

    use super::build;

    proptest! {
        /// From where the index leads, the first extent that ends after a sector is reached by going on; and no piece is
        /// missing up to the last extent's end.
        #[test]
        fn the_index_leads_to_the_extent_or_before_it(
            sizes in prop::collection::vec((0u64..5000, 1u64..3000), 1..60), start in 0u64..10_000,
            probes in prop::collection::vec(any::<prop::sample::Index>(), 1..50),
        ) {
            let mut extents = Vec::new();
            let mut sector = start;
            for (gap, size) in sizes {
                sector += gap;
                extents.push(Extent {
                    start_sector: sector, end_sector: sector + size, first_bit: 0, beyond_end_bytes: 0, model: 0, file: 0,
                });
                sector += size;
            }
            // The second device has all but the first of them.
            let count = extents.len() as u32;
            let devices = [
                DeviceFilter { first_extent: 0, extents: 1, ..Default::default() },
                DeviceFilter { first_extent: 1, extents: count - 1, ..Default::default() },
                DeviceFilter { first_extent: 0, extents: count, ..Default::default() },
            ];
            let (indices, table) = build(&devices, &extents).expect("small");
            for (device, index) in devices.iter().zip(&indices) {
                let own = &extents[device.first_extent as usize..][..device.extents as usize];
                let Some(end) = own.last().map(|extent| extent.end_sector) else {
                    prop_assert_eq!(index.pieces, 0);
                    continue;
                };
                for probe in &probes {
                    let sector = probe.index(end as usize) as u64;
                    let piece = sector.saturating_sub(index.first_sector) >> index.shift;
                    prop_assert!(piece < u64::from(index.pieces));
                    let found = table[(index.first_piece + piece as u32) as usize];
                    let sought = device.first_extent
                        + own.partition_point(|extent| extent.end_sector <= sector) as u32;
                    prop_assert!(found <= sought);
                    // No extent before the sought one ends after the piece's first sector: the way on is short.
                    let piece_start = index.first_sector + (piece << index.shift);
                    for between in found..sought {
                        prop_assert!(extents[between as usize].end_sector > piece_start);
                    }
                }
                let beyond = (end - index.first_sector) >> index.shift;
                prop_assert!(beyond + 1 >= u64::from(index.pieces));
            }
        }
    }
}
