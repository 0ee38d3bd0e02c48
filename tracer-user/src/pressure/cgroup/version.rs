//! Which hierarchy of cgroups it is.

/// Version of the cgroup hierarchy that holds the memory controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// A hierarchy of its own: `memory.limit_in_bytes`.
    V1,
    /// The unified one: `memory.max`.
    V2,
}
