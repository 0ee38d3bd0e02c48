//! The figures that requests must give: the definitions of `docs/METRICS.md`, written a second time.

use crate::model_file::{Extent, ModelFile};

use super::requests::DeviceRequest;

const SECTOR_BYTES: u64 = 512;

/// How many gaps each class has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapCounts {
    /// Gap 0.
    pub sequential: u64,
    /// Above 0 and below 131,072 bytes.
    pub small: u64,
    /// From 131,072 to 1,048,576 bytes, both included.
    pub medium: u64,
    /// Above 1,048,576 bytes.
    pub large: u64,
    /// Below 0.
    pub backward: u64,
}

impl GapCounts {
    fn add(&mut self, gap_bytes: i128) {
        let count = match gap_bytes {
            ..0 => &mut self.backward,
            0 => &mut self.sequential,
            1..131_072 => &mut self.small,
            131_072..=1_048_576 => &mut self.medium,
            _ => &mut self.large,
        };
        *count += 1;
    }

    #[must_use]
    pub const fn total(&self) -> u64 {
        self.sequential + self.small + self.medium + self.large + self.backward
    }

    /// The classes with the names that they have in `run.json`.
    #[must_use]
    pub const fn named(&self) -> [(&'static str, u64); 5] {
        [
            ("sequential", self.sequential),
            ("small", self.small),
            ("medium", self.medium),
            ("large", self.large),
            ("backward", self.backward),
        ]
    }
}

/// What the reads of a file must come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpectedFigures {
    /// Requests that touch the file.
    pub reads: u64,
    /// Bytes of the file in them: not those beyond its end, nor those between its extents.
    pub total_bytes: u64,
    /// Distinct bytes of the file in them.
    pub unique_bytes: u64,
    /// Gaps between each and the one before it.
    pub gaps: GapCounts,
}

impl ExpectedFigures {
    /// The figures of requests in the order of their issue; those that do not touch the file are passed
    /// over.
    #[must_use]
    pub fn of_requests(requests: &[DeviceRequest], file: &ModelFile) -> Self {
        Self::of_requests_on(requests, &data_extents(file))
    }

    fn of_requests_on(requests: &[DeviceRequest], extents: &[(u64, u64)]) -> Self {
        let mut figures = Self::default();
        let mut ranges = Vec::new();
        let mut previous_end = None::<u64>;
        for request in requests {
            let request_end = request.start_bytes + request.length_bytes;
            let touched: Vec<(u64, u64)> = extents
                .iter()
                .map(|(start, end)| (request.start_bytes.max(*start), request_end.min(*end)))
                .filter(|(start, end)| start < end)
                .collect();
            let (Some(start), Some(end)) = (
                touched.iter().map(|(start, _)| *start).min(),
                touched.iter().map(|(_, end)| *end).max(),
            ) else {
                continue;
            };
            figures.reads += 1;
            figures.total_bytes += touched.iter().map(|(start, end)| end - start).sum::<u64>();
            ranges.extend(touched);
            if let Some(previous_end) = previous_end {
                figures
                    .gaps
                    .add(i128::from(start) - i128::from(previous_end));
            }
            // A request ends with a sector, also where the file ends within it.
            previous_end = Some(end.next_multiple_of(SECTOR_BYTES));
        }
        figures.unique_bytes = length_of_union(ranges);
        figures
    }
}

/// The file's bytes on the device: start and end of each extent, without what lies beyond the file's end.
fn data_extents(file: &ModelFile) -> Vec<(u64, u64)> {
    file.extents()
        .iter()
        .map(|extent: &Extent| {
            let beyond_end = extent.file_end_bytes().saturating_sub(file.size_bytes());
            (
                extent.device_offset_bytes,
                extent.device_end_bytes() - beyond_end.min(extent.length_bytes),
            )
        })
        .collect()
}

fn length_of_union(mut ranges: Vec<(u64, u64)>) -> u64 {
    ranges.sort_unstable();
    let mut length = 0;
    let mut covered_to = 0;
    for (start, end) in ranges {
        let from = start.max(covered_to);
        if end > from {
            length += end - from;
            covered_to = end;
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::{DeviceRequest, ExpectedFigures, GapCounts, length_of_union};
    use proptest::prelude::*;

    fn request(start_bytes: u64, length_bytes: u64) -> DeviceRequest {
        DeviceRequest {
            start_bytes,
            length_bytes,
        }
    }

    #[test]
    fn gaps_fall_on_the_documented_side() {
        for (gap, class) in [
            (0, "sequential"),
            (512, "small"),
            (128 * 1024 - 512, "small"),
            (128 * 1024, "medium"),
            (1024 * 1024, "medium"),
            (1024 * 1024 + 512, "large"),
            (-512, "backward"),
        ] {
            let mut counts = GapCounts::default();
            counts.add(gap);
            assert_eq!(
                counts
                    .named()
                    .map(|(name, count)| (name, count == 1))
                    .iter()
                    .find(|(_, is)| *is),
                Some(&(class, true)),
                "{gap}"
            );
        }
    }

    #[test]
    fn only_what_lies_in_an_extent_counts() {
        // Two extents with a neighbour's between them, and a request across all three.
        let extents = [
            (10_000 * 512, 10_008 * 512),
            (10_016 * 512, 10_024 * 512 - 100),
        ];
        let figures = ExpectedFigures::of_requests_on(
            &[
                request(10_004 * 512, 20 * 512),
                request(10_008 * 512, 8 * 512),
                request(10_024 * 512, 512),
                request(10_000 * 512, 512),
            ],
            &extents,
        );
        assert_eq!(
            figures,
            ExpectedFigures {
                reads: 2,
                total_bytes: 4 * 512 + 8 * 512 - 100 + 512,
                unique_bytes: 5 * 512 + 8 * 512 - 100,
                gaps: GapCounts {
                    backward: 1,
                    ..GapCounts::default()
                },
            }
        );
    }

    #[test]
    fn the_end_of_a_file_within_a_sector_is_followed_by_the_next_sector() {
        let figures = ExpectedFigures::of_requests_on(
            &[request(0, 4096), request(8192, 512)],
            &[(0, 4000), (8192, 9000)],
        );
        assert_eq!(figures.gaps.small, 1);
        let adjacent = ExpectedFigures::of_requests_on(
            &[request(0, 4096), request(4096, 512)],
            &[(0, 4000), (4096, 9000)],
        );
        assert_eq!(adjacent.gaps.sequential, 1);
    }

    proptest! {
        #[test]
        fn unique_is_the_number_of_distinct_bytes(ranges in prop::collection::vec((0u64..200, 0u64..50), 0..30)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(start, length)| (start, start + length)).collect();
            let distinct: std::collections::HashSet<u64> =
                ranges.iter().flat_map(|(start, end)| *start..*end).collect();
            prop_assert_eq!(length_of_union(ranges), distinct.len() as u64);
        }
    }
}
