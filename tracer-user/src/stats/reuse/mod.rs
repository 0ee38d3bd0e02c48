//! What a page cache of another size would have read: the order in which blocks of the weights are used, and caches that are
//! simulated on it.
//!
//! * [`StackDistances`]: what is used longest ago leaves (LRU), for all sizes at once.
//! * [`fewest_reads`]: the best that is possible (Belady).
//! * [`PageLists`]: the kernel's two lists, with read-ahead.
//! * [`RandomPolicy`]: any block leaves, with read-ahead.
//!
//! The kernel sees of a mapped page only that it was used since it was looked at last. So what it evicts lies between the
//! oldest and any, and what it reads between the last two: measured, `docs/ADVICE.md`.

mod best_policy;
mod cache;
mod distances;
mod order_of_use;
mod page_lists;
mod random_policy;
#[cfg(test)]
mod tests;

pub use best_policy::fewest_reads;
pub use cache::{Cache, ReadAround, reads_of_steps};
pub use distances::StackDistances;
pub use order_of_use::{Blocks, OrderOfUse};
pub use page_lists::{PageCache, PageLists};
pub use random_policy::RandomPolicy;
