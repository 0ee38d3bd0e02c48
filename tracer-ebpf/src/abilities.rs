//! What the kernel's eBPF can do. Programs that need more than the oldest kernel has come twice, from one source: the
//! loader takes the one that this kernel can run.

/// A set of abilities.
pub trait Abilities {
    /// Atomics with a result (Linux 5.12) and `bpf_loop` (Linux 5.17): the counts of a model are made here. Without
    /// them a program says what it saw, and user space counts.
    const COUNTS_MODELS: bool;
    /// Each CPU has a ring of its own for records, which takes the same atomics.
    const HAS_RINGS: bool = Self::COUNTS_MODELS;
    /// An issue is taken in when its completion comes, since the program on the issue was skipped: by the program on the
    /// completion, which has counters and a work space of its own for that.
    const LATE: bool;
    /// The same abilities, for issues that no program saw.
    type Late: Abilities;
}

/// Linux 5.17 and later.
pub struct Full;

impl Abilities for Full {
    const COUNTS_MODELS: bool = true;
    const LATE: bool = false;
    type Late = FullLate;
}

/// The same, for issues that no program saw.
pub struct FullLate;

impl Abilities for FullLate {
    const COUNTS_MODELS: bool = true;
    const LATE: bool = true;
    type Late = FullLate;
}

/// Linux 5.10 and later.
pub struct Early;

impl Abilities for Early {
    const COUNTS_MODELS: bool = false;
    const LATE: bool = false;
    type Late = EarlyLate;
}

/// The same, for issues that no program saw.
pub struct EarlyLate;

impl Abilities for EarlyLate {
    const COUNTS_MODELS: bool = false;
    const LATE: bool = true;
    type Late = EarlyLate;
}
