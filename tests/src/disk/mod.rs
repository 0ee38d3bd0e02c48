//! Disks to read from: loop devices, disks of a virtual machine, and what is laid over them, with a file system, and
//! their own counters.

mod file_system;
mod loop_disk;
mod mounted_disk;
mod mounts;
mod program;
mod spare_disk;
mod stacked_disk;
mod statistics;
mod zram_disk;
mod zram_swap;

pub use file_system::FileSystem;
pub use loop_disk::LoopDisk;
pub use mounted_disk::{DeviceNumber, MountedDisk};
pub use mounts::Mount;
pub use spare_disk::SpareDisk;
pub use stacked_disk::{Stack, StackedDisk};
pub use statistics::DeviceStatistics;
pub use zram_disk::ZramDisk;
pub use zram_swap::ZramSwap;
