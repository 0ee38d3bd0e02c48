//! Sizes, times and ratios as people write and read them.

mod parsed;
mod shown;

pub use parsed::{parse_bytes, parse_bytes_or_off, parse_duration};
pub use shown::*;
