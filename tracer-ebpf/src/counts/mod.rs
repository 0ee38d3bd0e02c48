//! What is counted in maps beside the counter blocks: bits of what was read and evicted, slices of time, spans of files.

pub mod bitmap;
pub mod slice;
