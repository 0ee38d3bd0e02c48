//! Where a file lies on its device, by FIEMAP.

use std::{fs::File, path::Path};

use anyhow::{Context as _, Result, bail};
use fiemap::{Fiemap, FiemapExtentFlags, FiemapFlags};

/// A piece of a file that is contiguous on the device, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its start in the file.
    pub file_offset_bytes: u64,
    /// Its start on the device.
    pub device_offset_bytes: u64,
    /// Its length, in whole blocks: the last one may reach beyond the file's end.
    pub length_bytes: u64,
}

impl Extent {
    /// End on the device.
    #[must_use]
    pub const fn device_end_bytes(&self) -> u64 {
        self.device_offset_bytes + self.length_bytes
    }

    /// End in the file.
    #[must_use]
    pub const fn file_end_bytes(&self) -> u64 {
        self.file_offset_bytes + self.length_bytes
    }
}

/// The extents of a file that hold data, in the file's order. Holes and allocated pieces without data are
/// not among them: reading those touches no device. Pieces that are adjacent in the file and on the device
/// are one extent.
///
/// # Errors
/// Where the file system gives no addresses on the device.
pub fn extents_of(path: &Path) -> Result<Vec<Extent>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut extents = Vec::<Extent>::new();
    for extent in Fiemap::with_flags(&file, FiemapFlags::SYNC) {
        let extent =
            extent.with_context(|| format!("ask for the extents of {}", path.display()))?;
        let unusable = FiemapExtentFlags::UNKNOWN
            | FiemapExtentFlags::DELALLOC
            | FiemapExtentFlags::ENCODED
            | FiemapExtentFlags::NOT_ALIGNED;
        if extent.fe_flags.intersects(unusable) {
            bail!(
                "{} has an extent without address: {extent:?}",
                path.display()
            );
        }
        if extent.fe_flags.contains(FiemapExtentFlags::UNWRITTEN) {
            continue;
        }
        let extent = Extent {
            file_offset_bytes: extent.fe_logical,
            device_offset_bytes: extent.fe_physical,
            length_bytes: extent.fe_length,
        };
        match extents.last_mut() {
            Some(last)
                if last.file_end_bytes() == extent.file_offset_bytes
                    && last.device_end_bytes() == extent.device_offset_bytes =>
            {
                last.length_bytes += extent.length_bytes;
            }
            _ => extents.push(extent),
        }
    }
    Ok(extents)
}
