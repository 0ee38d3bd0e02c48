//! What is measured of a variant in a round.

use serde::{Deserialize, Serialize};

/// A figure, in the unit that its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Reads per second, measured while the kernel did not time programs.
    ReadsPerSecond,
    /// CPU time of the whole machine for a read, at the same time.
    ProcessorNsARead,
    /// Time of the programs on the block layer for a request, above that of programs that do nothing.
    BlockNsARead,
    /// The same of the programs on switches between threads and on reclaim.
    WaitNsARead,
    /// Time of all programs for a request, what measuring costs included.
    ProgramsNsARead,
    /// Bytes per second through the page cache: read and dropped again and again.
    TurnoverBytesPerSecond,
    /// Time of the program on an insert into the page cache, above one that does nothing.
    InsertNsAFolio,
    /// The same on an eviction.
    EvictionNsAFolio,
    /// From the start of the tracer until it traces.
    StartSeconds,
    /// CPU time of the tracer's process while nothing happens, of one CPU, in per cent.
    IdleProcessorPercent,
    /// Memory of the tracer's process that is resident.
    ResidentBytes,
    /// Memory that its maps and programs take in the kernel.
    KernelBytes,
    /// CPU time of the tracer's process for a million records.
    ProcessorSecondsAMillionRecords,
    /// Tokens that an engine generates per second.
    TokensPerSecond,
    /// Records that were lost.
    LostRecords,
    /// Runs of programs that were skipped, since one ran on that CPU already.
    SkippedRuns,
}

impl Figure {
    /// What a table says of it.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::ReadsPerSecond => "reads/s",
            Self::ProcessorNsARead => "CPU, ns a read",
            Self::BlockNsARead => "programs, ns a read above the floor",
            Self::WaitNsARead => "waits, ns a read above the floor",
            Self::ProgramsNsARead => "all programs, ns a read",
            Self::TurnoverBytesPerSecond => "turnover, MB/s",
            Self::InsertNsAFolio => "insert, ns a folio above the floor",
            Self::EvictionNsAFolio => "eviction, ns a folio above the floor",
            Self::StartSeconds => "start, ms",
            Self::IdleProcessorPercent => "idle, % of a CPU",
            Self::ResidentBytes => "resident, MB",
            Self::KernelBytes => "maps and programs, MB",
            Self::ProcessorSecondsAMillionRecords => "CPU, s a million records",
            Self::TokensPerSecond => "tokens/s",
            Self::LostRecords => "lost records",
            Self::SkippedRuns => "skipped runs",
        }
    }

    /// What a table's unit is of the figure's own, and how many decimals it has.
    #[must_use]
    pub const fn shown_in(self) -> (f64, usize) {
        match self {
            Self::TurnoverBytesPerSecond | Self::ResidentBytes | Self::KernelBytes => (1e6, 1),
            Self::StartSeconds => (1e-3, 0),
            Self::IdleProcessorPercent | Self::ProcessorSecondsAMillionRecords => (1.0, 3),
            Self::TokensPerSecond => (1.0, 2),
            _ => (1.0, 0),
        }
    }

    /// Whether it is work done, or work spent on it, which a variant changes: then it is compared with the same round
    /// without a tracer.
    #[must_use]
    pub const fn is_of_the_work(self) -> bool {
        matches!(
            self,
            Self::ReadsPerSecond
                | Self::ProcessorNsARead
                | Self::TurnoverBytesPerSecond
                | Self::TokensPerSecond
        )
    }

    /// Whether the rounds' values are added up, since a single one counts.
    #[must_use]
    pub const fn is_a_count(self) -> bool {
        matches!(self, Self::LostRecords | Self::SkippedRuns)
    }
}
