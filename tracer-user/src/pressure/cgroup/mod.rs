//! A memory cgroup of the engine's own, in whichever of the two versions holds this machine's memory controller.
//!
//! Page cache is charged to the cgroup that first reads it in. A model that is already cached when the engine
//! starts is charged to somebody else and the limit does not touch it: evict it before.
//!
//! Crate `cgroups-rs` was weighed and left out: it turns an unreadable or missing counter into 0 (`unwrap_or(0)`), which
//! here would be a wrong figure; it neither enables controllers in a delegated subtree, nor retries a removal that is
//! EBUSY, nor gives an open `cgroup.procs`, nor reads refaults on both versions; and it brings a D-Bus client.

mod error;
mod group;
mod hierarchy;
mod name;
mod of_process;
mod removal;
mod statistics;
mod version;

pub use error::CgroupError;
pub use group::{MemoryCgroup, MemoryLimits};
pub use hierarchy::{memory_cgroup_version, own_memory_headroom_bytes};
pub use name::{Leftovers, remove_leftovers};
pub use of_process::ProcessCgroup;
pub use statistics::CgroupMemory;
pub use version::CgroupVersion;
