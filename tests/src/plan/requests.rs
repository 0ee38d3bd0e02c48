//! The requests that reads make of a device, as far as the kernel leaves no choice.

use std::collections::HashSet;

use anyhow::{Result, ensure};

use super::ReadPlan;
use crate::{environment::page_bytes, model_file::ModelFile};

/// A read request on a device, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRequest {
    /// Its start on the device.
    pub start_bytes: u64,
    pub length_bytes: u64,
}

/// In which order the kernel issues the requests that one read makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueOrder {
    /// As the read goes through the file.
    Forward,
    /// The other way round: from Linux 5.16 on the list of requests that wait for their submitter was filled at its
    /// head (commit bc490f81731e), until `blk_add_rq_to_plug` put them at its end in 6.13. Kernels that are
    /// maintained got that too, some of them.
    Reversed,
}

impl IssueOrder {
    pub const ALL: [Self; 2] = [Self::Forward, Self::Reversed];
}

/// Requests of O_DIRECT reads: each read one request an extent that it touches, none for holes.
///
/// # Errors
/// Where a read is larger than what is one request for certain, so that the kernel would split it
/// (`limit_bytes`, from [`crate::disk::MountedDisk::largest_single_request_bytes`]).
pub fn direct_requests(
    plan: &ReadPlan,
    file: &ModelFile,
    limit_bytes: u64,
    order: IssueOrder,
) -> Result<Vec<DeviceRequest>> {
    let mut requests = Vec::new();
    for read in &plan.reads {
        ensure!(
            read.length_bytes <= limit_bytes,
            "a read of {} bytes may be split: the device takes {limit_bytes} for certain",
            read.length_bytes
        );
        let end = read.offset_bytes + read.length_bytes;
        let of_read = pieces(file, read.offset_bytes, end);
        match order {
            IssueOrder::Forward => requests.extend(of_read),
            IssueOrder::Reversed => requests.extend(of_read.rev()),
        }
    }
    Ok(requests)
}

/// Requests of buffered reads of a file that is not cached, on a device whose read-ahead is 0: each page
/// one request at its first read, none later and none for holes. (Without read-ahead
/// `page_cache_sync_ra`, mm/readahead.c, submits each page by itself.) The file system's blocks are pages, or lie beside
/// each other where several are one.
#[must_use]
pub fn buffered_requests(plan: &ReadPlan, file: &ModelFile) -> Vec<DeviceRequest> {
    let page_bytes = page_bytes();
    let mut cached = HashSet::new();
    let mut requests = Vec::new();
    for read in &plan.reads {
        let end = (read.offset_bytes + read.length_bytes).min(file.size_bytes());
        for page in read.offset_bytes / page_bytes..end.div_ceil(page_bytes) {
            if cached.insert(page) {
                requests.extend(pieces(file, page * page_bytes, (page + 1) * page_bytes));
            }
        }
    }
    requests
}

/// What a range of the file is on the device, in the file's order.
fn pieces(file: &ModelFile, from: u64, to: u64) -> impl DoubleEndedIterator<Item = DeviceRequest> {
    file.extents().iter().filter_map(move |extent| {
        let start = from.max(extent.file_offset_bytes);
        let end = to.min(extent.file_end_bytes());
        (start < end).then(|| DeviceRequest {
            start_bytes: extent.device_offset_bytes + (start - extent.file_offset_bytes),
            length_bytes: end - start,
        })
    })
}
