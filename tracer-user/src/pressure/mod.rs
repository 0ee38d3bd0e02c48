//! Taking memory away from an engine, and seeing how much is left.
//!
//! Two means, because they press differently: [`Balloon`] locks memory of the whole machine away (what the experiment
//! did with mlock), [`MemoryCgroup`] limits the engine alone. [`drop_caches`] and [`evict_file`] make a cold start.
//! [`Pinned`] does the opposite: it keeps a part of the model in memory, at the cost of what the engine has.

mod balloon;
mod caches;
mod cgroup;
mod memory;
mod memory_course;
mod memory_sources;
mod page_out;
mod pinned;

pub use balloon::{
    BALLOON_SUBCOMMAND, Balloon, BalloonCapacity, BalloonError, BalloonSize, helper_main,
    largest_balloon,
};
pub use caches::{
    CachesError, DropCaches, EvictError, MappingProcess, drop_caches, evict_file, processes_mapping,
};
pub use cgroup::{
    CgroupError, CgroupMemory, CgroupVersion, Leftovers, MemoryCgroup, MemoryLimits, ProcessCgroup,
    memory_cgroup_version, own_memory_headroom_bytes, remove_leftovers,
};
pub use memory::{IoPressure, MemoryError, MemoryPressure, PressureShare, SystemMemory};
pub use memory_course::{
    CgroupPoint, LONGEST_COURSE_POINTS, MemoryCourse, MemoryPoint, MemoryReading, ProcessPoint,
    SystemPoint,
};
pub use memory_sources::MemorySources;
pub use page_out::{addresses_of, page_out};
pub use pinned::{
    PIN_SUBCOMMAND, PinError, PinRange, PinRequest, Pinned, keeper_main as pin_keeper_main,
};
