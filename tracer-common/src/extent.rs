//! Where the model's files lie on the devices: the table the kernel side filters requests with.

/// Most devices that one run traces.
pub const MAX_DEVICES: usize = 4;

/// Most models (groups of files) that one run traces.
pub const MAX_MODELS: usize = 8;

/// Most extents of all models together.
pub const MAX_EXTENTS: u32 = 65_536;

/// Sectors of a block: what of a file is read as a rule begins and ends with one, and is noted in the bitmap of what was read by
/// a bit for each block. What begins or ends elsewhere is noted by sector.
pub const SECTORS_IN_BLOCK: u64 = 8;

/// One piece of a model's file on a device. The table is sorted by device slot, then by start, and its
/// extents do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Extent {
    /// First sector, from the start of the whole disk.
    pub start_sector: u64,
    /// Sector after the last one.
    pub end_sector: u64,
    /// Number of the first sector among those of all extents.
    pub first_bit: u64,
    /// Bytes of the last sector that lie beyond the end of the file: 0 – 511, and 0 for every extent but
    /// the last one of a file whose size is no multiple of 512.
    pub beyond_end_bytes: u32,
    /// Slot of the model, below [`MAX_MODELS`].
    pub model: u16,
    /// Slot of the file.
    pub file: u16,
}

impl Extent {
    /// Bytes of the file in the sectors `from..to`, which lie in this extent.
    #[inline(always)]
    #[must_use]
    pub const fn bytes_between(&self, from: u64, to: u64) -> u64 {
        let bytes = (to - from) * crate::gap::SECTOR_BYTES;
        if to == self.end_sector {
            bytes - self.beyond_end_bytes as u64
        } else {
            bytes
        }
    }
}
