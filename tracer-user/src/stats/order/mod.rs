//! The order of reads: how far each starts from where another ended.

pub mod distances;
pub mod exchange_check;
pub mod exchange_order;
pub mod file_order;
pub mod gaps;
pub mod overlap;
pub mod streams;
