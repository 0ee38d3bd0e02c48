//! A guest: its kernel, its files, the machine that it runs in, and how that went.

pub mod cpio;
pub mod ending;
pub mod initramfs;
pub mod job;
pub mod kernel;
pub mod machine;
pub mod modules;
pub mod programs;
pub mod qemu;
