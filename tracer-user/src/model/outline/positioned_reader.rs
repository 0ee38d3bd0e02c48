//! Reads an open file front to back without moving its position.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// A reader with a position of its own: the file's position belongs to whoever opened it, and a duplicated handle would
/// share it.
pub(super) struct PositionedReader<'a> {
    file: &'a File,
    position_bytes: u64,
}

impl<'a> PositionedReader<'a> {
    /// Starts at the first byte.
    pub(super) fn new(file: &'a File) -> Self {
        Self {
            file,
            position_bytes: 0,
        }
    }
}

impl Read for PositionedReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.position_bytes)?;
        self.position_bytes += count as u64;
        Ok(count)
    }
}
