//! What reads, pages and waits were for: phases and steps, told from marks.

pub mod attribution;
pub mod counted;
pub mod given;
mod passes;
pub mod phase;
pub mod reads;
pub mod segments;
pub mod so_far;
pub mod spans;
pub mod steps;
