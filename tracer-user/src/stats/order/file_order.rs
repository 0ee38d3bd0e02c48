//! Gaps in file offsets: what the reads look like from the file's side, whatever its extents.
//!
//! The gap of a read is its offset minus the end of the previous read of the same file on the same device,
//! in the order of the kernel's exchange: between two files there is no distance. Hence
//! gaps = reads with a position − files read.

use std::collections::BTreeMap;

use crate::stats::event::FilePosition;

use super::gaps::{GapCounts, class_of_bytes};

/// Gaps in file offsets of one device, fed in the order of the kernel's exchange.
#[derive(Clone, Debug, Default)]
pub struct FileOrderGaps {
    last_ends: BTreeMap<u16, u64>,
    counts: GapCounts,
    without_position: u64,
}

impl FileOrderGaps {
    /// Takes in the next read. One without a position (its part of the model is no contiguous piece of one
    /// file) makes no gap and is no predecessor; it is counted.
    pub fn observe(&mut self, position: Option<FilePosition>, bytes: u64) {
        let Some(position) = position else {
            self.without_position += 1;
            return;
        };
        if let Some(previous_end) = self
            .last_ends
            .insert(position.file, position.end_offset_bytes)
        {
            self.counts
                .record(class_of_bytes(position.offset_bytes, previous_end), bytes);
        }
    }

    /// The gaps so far.
    #[must_use]
    pub const fn counts(&self) -> &GapCounts {
        &self.counts
    }

    /// Reads without a position.
    #[must_use]
    pub const fn without_position(&self) -> u64 {
        self.without_position
    }
}

#[cfg(test)]
mod tests {
    use super::{FileOrderGaps, FilePosition};
    use tracer_common::gap::GapClass;

    fn read(gaps: &mut FileOrderGaps, file: u16, offset_bytes: u64, end_offset_bytes: u64) {
        let position = FilePosition {
            file,
            offset_bytes,
            end_offset_bytes,
        };
        gaps.observe(Some(position), end_offset_bytes - offset_bytes);
    }

    #[test]
    fn two_interleaved_files_are_each_sequential() {
        let mut gaps = FileOrderGaps::default();
        for block in 0..10 {
            read(&mut gaps, 0, block * 4096, block * 4096 + 4096);
            read(&mut gaps, 1, block * 4096, block * 4096 + 4096);
        }
        assert_eq!(gaps.counts().total(), 20 - 2);
        assert_eq!(gaps.counts().count(GapClass::Sequential), 18);
    }

    #[test]
    fn a_read_without_position_is_counted_and_skipped() {
        let mut gaps = FileOrderGaps::default();
        read(&mut gaps, 0, 0, 4096);
        gaps.observe(None, 4096);
        read(&mut gaps, 0, 4096, 5000);
        read(&mut gaps, 0, 5001, 5100);
        assert_eq!(gaps.without_position(), 1);
        assert_eq!(gaps.counts().count(GapClass::Sequential), 1);
        assert_eq!(gaps.counts().count(GapClass::Small), 1);
    }
}
