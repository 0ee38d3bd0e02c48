//! Disks to read from: loop devices with a file system, and their own counters.

mod loop_disk;
mod statistics;

pub use loop_disk::{DeviceNumber, FileSystem, LoopDisk};
pub use statistics::DeviceStatistics;
