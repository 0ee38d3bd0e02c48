//! Work whose cost is measured, and the turn that a variant has at it.

mod idle;
mod page_cache;
mod priority;
mod processor_time;
mod processors;
mod random_reads;
mod reads;
mod tokens;

pub use idle::measure_idle;
pub use page_cache::measure_page_cache;
pub use priority::GoFirst;
pub use processors::BoundProcessors;
pub use random_reads::ReadLoad;
pub use reads::measure_reads;
pub use tokens::{Engine, TokenLoad, measure_tokens};
