//! Figures → members of a record: the same for a live run and an old trace.

mod identity;
pub mod stream_members;

pub use identity::identity;
