//! What the tracer may do here, how it is let do more, and giving rights up.

mod environment;
mod forbidden_calls;
mod giving;
mod held;
mod reduced;

pub use environment::{environment_at_start, parse_environment};
pub use forbidden_calls::forbid_calls;
pub use giving::{MEMORY_REMEDY, OTHERS_PROCESSES, TRACING, ways_to_give};
pub use held::{Held, Restrictions};
pub use reduced::{Kept, forgo_new_privileges, reduce_this_thread};
