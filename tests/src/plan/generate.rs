//! Plans of a known shape.

use super::{PlannedRead, ReadPlan};
use crate::model_file::ModelFile;

impl ReadPlan {
    /// The whole file from start to end. The last read may reach beyond the end.
    #[must_use]
    pub fn sequential(size_bytes: u64, length_bytes: u64) -> Self {
        Self {
            reads: (0..size_bytes.div_ceil(length_bytes))
                .map(|index| PlannedRead {
                    offset_bytes: index * length_bytes,
                    length_bytes,
                })
                .collect(),
        }
    }

    /// The whole file from its last read to its first.
    #[must_use]
    pub fn reversed(size_bytes: u64, length_bytes: u64) -> Self {
        let mut plan = Self::sequential(size_bytes, length_bytes);
        plan.reads.reverse();
        plan
    }

    /// All data of a file, which may be sparse, in the order of the file. No read crosses an extent's edge.
    #[must_use]
    pub fn over_data(file: &ModelFile, length_bytes: u64) -> Self {
        let mut reads = Vec::new();
        for extent in file.extents() {
            let end = extent.file_end_bytes().min(file.size_bytes());
            let mut offset_bytes = extent.file_offset_bytes;
            while offset_bytes < end {
                reads.push(PlannedRead {
                    offset_bytes,
                    length_bytes: length_bytes.min(extent.file_end_bytes() - offset_bytes),
                });
                offset_bytes += length_bytes;
            }
        }
        Self { reads }
    }

    /// `count` reads at random multiples of their length, repeats among them. The same seed gives the same
    /// plan.
    #[must_use]
    pub fn random(size_bytes: u64, length_bytes: u64, count: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        Self {
            reads: (0..count)
                .map(|_| PlannedRead {
                    offset_bytes: random.u64(0..size_bytes / length_bytes) * length_bytes,
                    length_bytes,
                })
                .collect(),
        }
    }

    /// Reads of `length_bytes` whose gaps are, one after the other, each boundary between two classes and
    /// its two neighbours at a distance of `unit_bytes`; then backward ones: overlapping by one unit, the
    /// same read again, and far back. Takes [`ReadPlan::STRIDED_SPAN_BYTES`] of the file.
    #[must_use]
    pub fn strided_over_gap_classes(unit_bytes: u64, length_bytes: u64) -> Self {
        const KIB: i64 = 1 << 10;
        const MIB: i64 = 1 << 20;
        let (unit, length) = (unit_bytes.cast_signed(), length_bytes.cast_signed());
        let gaps = [
            0,
            unit,
            128 * KIB - unit,
            128 * KIB,
            128 * KIB + unit,
            MIB - unit,
            MIB,
            MIB + unit,
            0,
            4 * MIB,
            -unit,
            -length,
            -length - unit,
            -MIB,
            64 * KIB,
            -3 * MIB,
            0,
        ];
        let mut start = 0;
        let mut reads = vec![PlannedRead {
            offset_bytes: 0,
            length_bytes,
        }];
        for gap in gaps {
            start += length + gap;
            reads.push(PlannedRead {
                offset_bytes: start.cast_unsigned(),
                length_bytes,
            });
        }
        Self { reads }
    }

    /// What [`ReadPlan::strided_over_gap_classes`] spans for reads of up to 128 KiB, bytes.
    pub const STRIDED_SPAN_BYTES: u64 = 12 << 20;
}

#[cfg(test)]
mod tests {
    use super::ReadPlan;

    #[test]
    fn the_strided_plan_stays_in_its_span() {
        for (unit, length) in [(512, 512), (512, 4096), (4096, 4096), (4096, 131_072)] {
            let plan = ReadPlan::strided_over_gap_classes(unit, length);
            for read in &plan.reads {
                assert!(read.offset_bytes.is_multiple_of(unit), "{unit} {read:?}");
                assert!(
                    read.offset_bytes + read.length_bytes <= ReadPlan::STRIDED_SPAN_BYTES,
                    "{unit} {read:?}"
                );
            }
        }
    }

    #[test]
    fn the_whole_file_is_read_in_both_directions() {
        let plan = ReadPlan::sequential(10_000, 4096);
        assert_eq!(plan.reads.len(), 3);
        assert_eq!(plan.reads[2].offset_bytes, 8192);
        assert_eq!(ReadPlan::reversed(10_000, 4096).reads[0], plan.reads[2]);
    }
}
