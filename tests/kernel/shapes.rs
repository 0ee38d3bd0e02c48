//! Reads in a known order: the same plans for the fixtures' own tests and for the tracer's.

use anyhow::{Result, ensure};
use tests::{
    disk::MountedDisk,
    environment::page_bytes,
    model_file::ModelFile,
    plan::{
        DeviceRequest, ExpectedFigures, IssueOrder, ReadPlan, buffered_requests, direct_requests,
    },
    reader::ReadMode,
};

/// Size of the file that is read.
pub const FILE_BYTES: u64 = 16 << 20;

/// A block of the file systems, which is also a page of every kernel but some for 64-bit Arm ([`page_bytes`]).
pub const PAGE_BYTES: u64 = 4096;

/// An order of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// From start to end.
    Sequential,
    /// From end to start.
    Reversed,
    /// Every boundary between two gap classes.
    Strided,
    /// At random, with repeats.
    Random,
}

impl Shape {
    pub const ALL: [Self; 4] = [
        Self::Sequential,
        Self::Reversed,
        Self::Strided,
        Self::Random,
    ];

    /// Its name in a case's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Reversed => "reversed",
            Self::Strided => "strided",
            Self::Random => "random",
        }
    }

    /// Its plan for a mode of reading.
    pub fn plan(self, mode: ReadMode, disk: &MountedDisk) -> Result<ReadPlan> {
        // Direct reads may start at any sector of the device; through the cache all is pages.
        let (unit, length) = match mode {
            ReadMode::Direct => (disk.logical_block_bytes()?, 16 << 10),
            ReadMode::Buffered | ReadMode::Mmap => (page_bytes(), page_bytes()),
        };
        Ok(match self {
            Self::Sequential => ReadPlan::sequential(FILE_BYTES, length),
            Self::Reversed => ReadPlan::reversed(FILE_BYTES, length),
            Self::Strided => ReadPlan::strided_over_gap_classes(unit, length),
            Self::Random => ReadPlan::random(FILE_BYTES, length, 500, 20_260_101),
        })
    }
}

/// The requests that a plan makes of a disk.
pub fn requests(
    plan: &ReadPlan,
    mode: ReadMode,
    file: &ModelFile,
    disk: &MountedDisk,
) -> Result<Vec<DeviceRequest>> {
    match mode {
        ReadMode::Direct => direct_requests(
            plan,
            file,
            disk.largest_single_request_bytes()?,
            IssueOrder::Forward,
        ),
        ReadMode::Buffered | ReadMode::Mmap => Ok(buffered_requests(plan, file)),
    }
}

/// The figures of a plan.
pub fn expected(
    plan: &ReadPlan,
    mode: ReadMode,
    file: &ModelFile,
    disk: &MountedDisk,
) -> Result<ExpectedFigures> {
    Ok(ExpectedFigures::of_requests(
        &requests(plan, mode, file, disk)?,
        file,
    ))
}

/// The figures of direct reads that cross extents' edges, in either order of what one read makes; the kernel keeps to
/// one.
pub fn expected_across_edges(
    plan: &ReadPlan,
    file: &ModelFile,
    disk: &MountedDisk,
) -> Result<[ExpectedFigures; 2]> {
    let limit = disk.largest_single_request_bytes()?;
    let of = |order| -> Result<ExpectedFigures> {
        let requests = direct_requests(plan, file, limit, order)?;
        Ok(ExpectedFigures::of_requests(&requests, file))
    };
    let [forward, reversed] = IssueOrder::ALL.map(of);
    let figures = [forward?, reversed?];
    ensure!(
        figures[0].reads > plan.reads.len() as u64,
        "no read crosses an extent's edge: {:?}",
        figures[0]
    );
    Ok(figures)
}

/// A strided plan is only worth its name if every class occurs.
pub fn check_every_class(figures: &ExpectedFigures) -> Result<()> {
    for (class, count) in figures.gaps.named() {
        ensure!(count > 0, "the plan has no {class} gap: {figures:?}");
    }
    Ok(())
}
