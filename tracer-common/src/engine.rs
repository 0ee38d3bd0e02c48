//! The engine's processes, as both sides know them.

/// Its waits count, and so do those of the processes that it starts.
pub const MEMBER: u8 = 1;
/// It starts the engine and is none of it: only what it starts counts.
pub const STARTER: u8 = 2;
