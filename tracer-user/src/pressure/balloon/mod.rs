//! A balloon: memory of the machine, locked so that nothing else can have it.
//!
//! The memory belongs to a helper process, the tracer's own executable started again with a hidden subcommand. A process
//! of its own can be killed as one (by the OOM killer first of all: `oom_score_adj` 1000), does not count as the tracer's
//! memory, and gives everything back at once when it ends. It ends with the tracer however that ends: the kernel kills
//! it when the thread that started it is gone (PR_SET_PDEATHSIG), and it leaves by itself when its standard input closes.
//!
//! Pages are 4 KiB ones (MADV_NOHUGEPAGE), whatever the machine's setting: the amount is exact to the page, and small
//! pages are taken from the small free blocks first, so that the large folios which read-ahead wants are disturbed
//! less than by a balloon of huge pages. The price is page tables: 2 MiB for each GiB.

mod capacity;
mod error;
mod helper;
mod inflate;
mod size;
#[cfg(test)]
mod tests;

pub use capacity::BalloonCapacity;
pub use error::BalloonError;
pub use helper::helper_main;
pub use inflate::{BALLOON_SUBCOMMAND, Balloon};
pub use size::{BalloonSize, largest_balloon};
