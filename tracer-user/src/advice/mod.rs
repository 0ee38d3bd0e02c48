//! What a finished record says to somebody who serves models: is it storage at all, where did the time go, which causes
//! apply, and what to do. Pure: a record in, words and figures out.
//!
//! Each cause is one entry of [`CAUSES`], a pure function of [`Facts`] with three answers: present, absent, not decided.
//! A null figure never makes a cause present.

mod answer;
mod cause;
mod causes;
mod document;
mod explanation;
mod facts;
mod pinning;
mod storage;
mod time;
mod tuning;
mod verdict;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Cost, CostKind, Evidence, Present};
pub use cause::Cause;
pub use causes::CAUSES;
pub use document::{catalogue, cost};
pub use explanation::{Absent, Explanation, Found, ModelExplanation, Undecided, explain};
pub use facts::{Facts, Span, Unit};
pub use pinning::{KeptPiece, PinChoice, worth_keeping};
pub use storage::{HARDLY, OWN_DOING, Storage, storage};
pub use time::{TimePart, TimeSplit, time_split};
pub use tuning::{Next, Over, next as next_settings, setting_of, tuning};
pub use verdict::verdict;
