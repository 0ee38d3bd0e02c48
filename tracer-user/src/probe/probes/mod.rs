//! Uprobes on an engine's functions: where, and by which of the kernel's two roads.

mod events;
mod link_call;
mod linked;
mod place;

pub(super) use events::{attach_to_ourselves, load, load_one, program};
pub(super) use link_call::{link_by_descriptor, try_out};
pub(super) use linked::LinkedProbes;
pub use place::ProbePoint;
pub(super) use place::{keep_in_memory, own_offset_bytes};
