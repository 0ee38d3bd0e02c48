//! How much memory is enough: what one run says of every other amount of memory.
//!
//! 1. [`Facts`]: what the run's record holds of it, or why it says nothing ([`NotKnown`]).
//! 2. [`Weights`]: which blocks every token uses, and which each expert is made of.
//! 3. The order of use: of a dense model every token's is the same; the experts' comes from the run's events
//!    ([`ExpertWatch`]).
//! 4. [`predict`]: caches of other sizes simulated on it (`stats::reuse`), as a band that holds what the run itself read.

#[cfg(test)]
mod document;
mod experts;
mod facts;
mod measured;
mod not_known;
mod opened;
mod prediction;
mod sizes;
#[cfg(test)]
mod tests;
mod weights;

pub use experts::{ExpertWatch, SeenExperts};
pub use facts::Facts;
pub use measured::measured;
pub use not_known::NotKnown;
pub use opened::{SizingError, size};
pub use prediction::{Asked, predict};
pub use weights::Weights;
