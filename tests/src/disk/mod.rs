//! Disks to read from: loop devices with a file system, and their own counters.

mod loop_disk;
mod mounts;
mod statistics;
mod zram_disk;

pub use loop_disk::{DeviceNumber, FileSystem, LoopDisk};
pub use mounts::Mount;
pub use statistics::DeviceStatistics;
pub use zram_disk::ZramDisk;
