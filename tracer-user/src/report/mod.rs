//! Finished records → terminal table and Markdown. Reads records only, never a live object.

mod attribution;
mod device;
mod figures;
mod inspection;
mod markdown;
mod terminal;
mod units;

pub use device::device_test;
pub use inspection::inspection;
pub use markdown::markdown;
pub use terminal::terminal;
pub use units::{bytes, rate};
