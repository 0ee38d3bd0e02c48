//! The files of a recording → records, in the order of their time.

pub mod binary;
pub mod error;
pub mod one_recording;
pub mod order;
pub mod record;
pub mod sequence;
pub mod summary;
pub mod surroundings;
pub mod text;
pub mod text_line;
pub mod trace;

#[cfg(test)]
pub mod encoder;
