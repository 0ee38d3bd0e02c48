//! How the programs are loaded.

/// How much a session shows, from the cheapest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The kernel counts, and nothing gives a record.
    Counts,
    /// Each read, each page-cache event and each wait gives a record.
    Events,
    /// The stages that a read passes before its issue give records as well.
    Audit,
}

impl Detail {
    /// Its name on the command line and in a record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Events => "events",
            Self::Audit => "audit",
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct SessionOptions {
    /// Size of the rings of all CPUs together: a power of two, at least a page.
    pub ring_buffer_bytes: u32,
    /// What gives records.
    pub detail: Detail,
    /// Use the programs for old kernels, whatever this kernel can do.
    pub early_programs: bool,
    /// Whether records can be switched off later: [`Detail::Events`] counts as [`Detail::Counts`] does beside them then.
    pub steps_down: bool,
    /// Whether the eBPF side's diagnostics are on.
    pub diagnostics: bool,
    /// Whether to measure the programs' run time, which costs about 50 ns a call.
    pub measure_overhead: bool,
}
