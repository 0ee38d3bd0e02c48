//! A read from its first issue to its end: each counted once, its bytes, its time.

pub mod bandwidth;
mod block_chunk;
pub mod byte_set;
pub mod latency;
pub mod open_reads;
pub mod process_share;
pub mod queue_depth;
pub mod repeated;
pub mod requests;
pub mod sizes;
pub mod unique;
