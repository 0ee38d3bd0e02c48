//! What is read in a golden check.

use anyhow::{Result, ensure};
use tests::{
    disk::MountedDisk,
    model_file::ModelFile,
    plan::{ExpectedFigures, GapCounts, PlannedRead, ReadPlan},
    reader::{ReadMode, ReaderCommand},
    run_record::RunRecord,
};

use super::audited::Order;
use crate::{
    ground::Ground,
    shapes::{self, PAGE_BYTES},
};

/// Of a direct read. A piece of a fragmented file holds whole ones.
const DIRECT_BYTES: u64 = 16 << 10;

/// How the model lies on the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Contiguous,
    /// In pieces with another file's between them.
    Fragmented,
}

/// How a model is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// From start to end through the page cache, with read-ahead: a file in many pieces.
    Sequential,
    /// Pages at random through the page cache, from a seed.
    Random,
    /// From start to end past the page cache, each read after the one before it has come back.
    Direct,
    /// Direct reads at random, then of everything, by 16 threads at once.
    SixteenThreads,
}

impl Workload {
    pub const ALL: [Self; 4] = [
        Self::Sequential,
        Self::Random,
        Self::Direct,
        Self::SixteenThreads,
    ];

    /// Its name in a case's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Random => "random",
            Self::Direct => "direct",
            Self::SixteenThreads => "sixteen_threads",
        }
    }

    /// How its file lies.
    pub const fn layout(self) -> Layout {
        match self {
            Self::Sequential | Self::SixteenThreads => Layout::Fragmented,
            Self::Random | Self::Direct => Layout::Contiguous,
        }
    }

    /// The device's read-ahead, KiB.
    pub const fn read_ahead_kb(self) -> u64 {
        match self {
            Self::Sequential => 128,
            Self::Random | Self::Direct | Self::SixteenThreads => 0,
        }
    }

    pub const fn threads(self) -> u64 {
        match self {
            Self::SixteenThreads => 16,
            Self::Sequential | Self::Random | Self::Direct => 1,
        }
    }

    /// What is known of the order of its reads.
    pub const fn order(self) -> Order {
        match self {
            Self::Direct => Order::OneAfterTheOther,
            Self::Sequential | Self::Random | Self::SixteenThreads => Order::Any,
        }
    }

    const fn mode(self) -> ReadMode {
        match self {
            Self::Sequential | Self::Random => ReadMode::Buffered,
            Self::Direct | Self::SixteenThreads => ReadMode::Direct,
        }
    }

    /// Its reads. Through the page cache none is of the first page, which is cached.
    pub fn plan(self, model: &ModelFile) -> ReadPlan {
        let size = model.size_bytes();
        match self {
            Self::Sequential => {
                after_the_first_page(ReadPlan::sequential(size - PAGE_BYTES, 64 << 10))
            }
            Self::Random => {
                after_the_first_page(ReadPlan::random(size - PAGE_BYTES, PAGE_BYTES, 500, 77))
            }
            Self::Direct => ReadPlan::sequential(size, DIRECT_BYTES),
            Self::SixteenThreads => {
                let mut plan = ReadPlan::random(size, PAGE_BYTES, 1500, 5);
                plan.reads
                    .extend(ReadPlan::sequential(size, PAGE_BYTES).reads);
                plan
            }
        }
    }

    /// A call of the reader.
    pub fn reader(
        self,
        ground: &Ground,
        model: &ModelFile,
        plan: &ReadPlan,
    ) -> Result<ReaderCommand> {
        Ok(ground
            .reader(model, plan, self.mode())?
            .option_with("--threads", self.threads()))
    }

    /// The figures of its reads, where read-ahead is off.
    pub fn expected(
        self,
        plan: &ReadPlan,
        model: &ModelFile,
        disk: &MountedDisk,
    ) -> Result<ExpectedFigures> {
        shapes::expected(plan, self.mode(), model, disk)
    }

    /// What the recorder saw is what was asked for. How many requests read-ahead makes is the kernel's affair.
    pub fn check_plan(
        self,
        by_recorder: &ExpectedFigures,
        plan: &ReadPlan,
        model: &ModelFile,
        disk: &MountedDisk,
    ) -> Result<()> {
        if self == Self::Sequential {
            let once = model.size_bytes() - PAGE_BYTES;
            ensure!(
                (by_recorder.total_bytes, by_recorder.unique_bytes) == (once, once)
                    && by_recorder.reads >= model.extents().len() as u64,
                "{once} bytes were asked for, each once, and the recorder saw {by_recorder:?}"
            );
            return Ok(());
        }
        let asked = self.expected(plan, model, disk)?;
        let same = if self.threads() == 1 {
            asked == *by_recorder
        } else {
            without_order(&asked) == without_order(by_recorder)
        };
        ensure!(
            same,
            "the recorder saw\n  {by_recorder:?}\nand the plan is\n  {asked:?}"
        );
        Ok(())
    }
}

fn after_the_first_page(mut plan: ReadPlan) -> ReadPlan {
    for PlannedRead { offset_bytes, .. } in &mut plan.reads {
        *offset_bytes += PAGE_BYTES;
    }
    plan
}

fn without_order(figures: &ExpectedFigures) -> ExpectedFigures {
    ExpectedFigures {
        gaps: GapCounts::default(),
        ..*figures
    }
}

/// The figures of requests that several processors issue at once. Two that are issued at the same moment have no
/// order: each recorder sees one of its own.
pub fn check_order_apart(record: &RunRecord, by_recorder: &ExpectedFigures) -> Result<()> {
    for (path, expected) in [
        ("reads.count", by_recorder.reads),
        ("reads.total_bytes", by_recorder.total_bytes),
        ("reads.unique_bytes", by_recorder.unique_bytes),
        ("gaps.count", by_recorder.gaps.total()),
    ] {
        let found = record.count(path)?;
        ensure!(found == expected, "{path} is {found}, not {expected}");
    }
    let mut classes = 0;
    let mut apart = 0;
    for (class, expected) in by_recorder.gaps.named() {
        let found = record.count(&format!("gaps.{class}.count"))?;
        classes += found;
        apart += found.abs_diff(expected);
    }
    ensure!(
        apart * 10 <= by_recorder.gaps.total(),
        "{apart} gaps are in another class than the recorder's: {by_recorder:?}"
    );
    ensure!(
        classes == by_recorder.gaps.total(),
        "the classes have {classes} gaps"
    );
    ensure!(
        record.count("gaps.largest_queue_depth")? > 1,
        "the threads did not read at the same time"
    );
    Ok(())
}
