//! What requests on a device are in a file.

use std::ops::Range;

use super::DeviceRequest;
use crate::model_file::ModelFile;

/// The ranges of a file that requests read, in the order of the requests; without what lies beyond its end.
#[must_use]
pub fn file_ranges(requests: &[DeviceRequest], file: &ModelFile) -> Vec<Range<u64>> {
    let mut ranges = Vec::new();
    for request in requests {
        let request_end = request.start_bytes + request.length_bytes;
        for extent in file.extents() {
            let start = request.start_bytes.max(extent.device_offset_bytes);
            let end = request_end.min(extent.device_end_bytes());
            if start >= end {
                continue;
            }
            let in_file =
                |position: u64| position - extent.device_offset_bytes + extent.file_offset_bytes;
            let range = in_file(start)..in_file(end).min(file.size_bytes());
            if !range.is_empty() {
                ranges.push(range);
            }
        }
    }
    ranges
}
