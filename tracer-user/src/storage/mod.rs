//! Where a file lies: which device, which sectors, how much of it is in the page cache.
//!
//! Block events name a whole disk and a sector; everything else in the tracer speaks of files. This room holds the
//! translation and nothing that needs tracing: [`map_file`] finds the disk, [`FileExtents`] asks the file system for
//! the extents, [`DeviceExtents`] turns a request's sectors into file offsets, [`residency`] looks into the page cache.

mod device;
mod device_extents;
mod device_statistics;
mod extents;
mod filefrag;
mod filesystem;
mod fragmented_copy;
mod mount_table;
mod overlay;
mod residency;
mod sysfs;
mod units;
mod unnamed_file;

pub use device::{FileDevice, Mapping, MappingError, UnmappableReason, map_file};
pub use device_extents::{DeviceExtents, DeviceExtentsError, Overlap};
pub use device_statistics::DeviceStatistics;
pub use extents::{ExtentRecord, ExtentsError, ExtentsFingerprint, FileExtent, FileExtents};
pub use filefrag::{FilefragError, parse_filefrag};
pub use filesystem::{FileSystem, FileSystemError, OVERLAYFS_MAGIC};
pub use fragmented_copy::{FragmentedCopy, FragmentedCopyError, make_fragmented_copy};
pub use mount_table::{Mount, MountTable, MountTableError};
pub use residency::{
    Residency, ResidencyMethod, ResidentPages, UnobservedReason, residency, residency_of_range,
    resident_page_bitmap,
};
pub use sysfs::{BlockDevice, DriverKind, QueueFacts, Sysfs, SysfsError};
pub use units::{FileOffset, KernelDevice, KernelDeviceError, SECTOR_BYTES, Sector};
pub use unnamed_file::UnnamedFile;

#[cfg(test)]
mod test_disk;
#[cfg(test)]
pub(crate) use residency::{CACHES_IN_USE, keep_caches};
