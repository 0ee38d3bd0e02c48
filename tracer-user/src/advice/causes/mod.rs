//! The causes, one file for those that look at the same figures.

mod buffers;
mod device_speed;
mod experts;
mod hints;
mod memory_growth;
mod memory_limit;
mod others;
mod placement;
mod read_ahead;
mod reclaim;
mod second_copy;
mod small_reads;
mod swap;
mod working_set;

use super::Cause;

/// Every cause, in the order of the catalogue.
pub const CAUSES: &[&Cause] = &[
    &working_set::WORKING_SET,
    &read_ahead::READ_AHEAD_IN_VAIN,
    &small_reads::SMALL_READS,
    &others::OTHER_LOAD,
    &device_speed::BELOW_DEVICE,
    &device_speed::DEVICE_AT_LIMIT,
    &second_copy::SECOND_COPY,
    &buffers::DEAD_WEIGHTS,
    &experts::DENSE_EVICTED,
    &experts::HOT_EXPERTS,
    &reclaim::RECLAIM,
    &reclaim::THROWN_OUT,
    &memory_limit::LIMIT_COUNTS_CACHE,
    &memory_growth::MEMORY_GROWTH,
    &swap::SWAP,
    &placement::FILE_SYSTEM,
    &placement::FRAGMENTATION,
    &hints::LOCK_WITHOUT_EFFECT,
];
