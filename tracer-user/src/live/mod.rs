//! The screen while a run goes on: what is known of it now, four times a second. Without a terminal a line a second.
//!
//! [`Screen`] is told what happens and draws in a thread of its own. What it shows is put together by pure functions
//! (`board`) from the figures that the run hands out ([`crate::run::onlooker`]), which are those of the record.

mod board;
mod history;
mod keys;
mod lines;
mod numbers;
mod pane;
mod screen;
mod source;
mod terminal;
mod verdict;
mod view;
mod watched;
mod window;

pub use screen::{Screen, WhenLeft};
