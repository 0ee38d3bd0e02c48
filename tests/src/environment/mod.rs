//! What a test run does to the machine, and how it is undone whatever happens.
//!
//! Every change is undone by a [`Cleanup`]: when it is dropped, when a test panics, and on SIGINT or
//! SIGTERM. After SIGKILL the kernel itself undoes most of it (mounts live in a private namespace, loop
//! devices are detached with their last mount), and the next start undoes the rest ([`Scratch`]).

mod cleanup;
mod kernel_log;
mod machine_lock;
mod memory_group;
mod namespace;
mod page_size;
mod paging_out;
mod scratch;
mod unavailable;

pub use cleanup::{Cleanup, clean_up_on_signals, on_exit};
pub use kernel_log::{KernelLog, forget_what_was_warned_of};
pub use machine_lock::MachineLock;
pub use memory_group::MemoryGroup;
pub use namespace::enter_private_mount_namespace;
pub use page_size::page_bytes;
pub use paging_out::paged_out_bytes;
pub use scratch::Scratch;
pub use unavailable::{Unavailable, unavailable};
