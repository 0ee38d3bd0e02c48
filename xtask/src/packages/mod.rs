//! Debian's packages: unpacked below the target folder where that is enough, installed where it is not.

mod apt;
mod architecture;
mod install;
mod libraries;
mod unpacked;

pub use apt::Apt;
pub use architecture::Architecture;
pub use install::install;
pub use unpacked::Unpacked;
