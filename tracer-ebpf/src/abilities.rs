//! What the kernel's eBPF can do. Programs that need more than the oldest kernel has come twice, from one source: the
//! loader takes the one that this kernel can run.

/// A set of abilities.
pub trait Abilities {
    /// Atomics with a result (Linux 5.12) and `bpf_loop` (Linux 5.17): the counts of a model are made here. Without
    /// them a program says what it saw, and user space counts.
    const COUNTS_MODELS: bool;
}

/// Linux 5.17 and later.
pub struct Full;

impl Abilities for Full {
    const COUNTS_MODELS: bool = true;
}

/// Linux 5.10 and later.
pub struct Early;

impl Abilities for Early {
    const COUNTS_MODELS: bool = false;
}
