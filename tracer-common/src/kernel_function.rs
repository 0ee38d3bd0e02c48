//! Functions of the kernel that programs call by their BTF id ("kfuncs").
//!
//! The compiler and the loader's library know calls of helpers by number only. So a program calls a number that no helper
//! has, and the loader puts the function in its place, or nothing where this kernel has no such function.

/// Keeps the current task on its processor: `bpf_preempt_disable` (Linux 6.10, commit fc7566ad0a82).
pub const PREEMPT_DISABLE: u32 = 0x7fff_fe01;
/// Ends that: `bpf_preempt_enable`.
pub const PREEMPT_ENABLE: u32 = 0x7fff_fe02;

/// The kernel's names of them.
pub const NAMES: [(u32, &str); 2] = [
    (PREEMPT_DISABLE, "bpf_preempt_disable"),
    (PREEMPT_ENABLE, "bpf_preempt_enable"),
];
