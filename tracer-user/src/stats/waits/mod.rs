//! The time that threads wait.

pub mod stall;
