//! The contract of the eBPF programs and the user-space loader, and nothing else.
//!
//! Both sides compile this crate, so every layout, class boundary and slot number has one definition.
//! All types are plain `repr(C)` values without padding: the ring buffer hands out memory that is not
//! cleared, and padding would carry kernel memory to user space.
#![no_std]
#![deny(missing_docs)]

pub mod counters;
pub mod engine;
pub mod extent;
pub mod gap;
pub mod latency;
pub mod mark;
pub mod origin;
pub mod page;
pub mod program;
pub mod record;
pub mod request;
pub mod ring;
pub mod settings;
pub mod slice;
