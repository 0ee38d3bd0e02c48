//! HTTP to an address that the command line names, from a process of its own.
//!
//! Whoever traces may not connect (`rights`): a tracer that was taken over could otherwise hand on what it sees. So a process is
//! started before rights are given up ([`Outward`]). It has none itself, but may connect; it asks the one address that it was
//! started with, and the tracer gives it bodies and gets answers through a pipe.

mod frames;
mod helper;
mod tracer_side;
mod url;

pub use helper::helper_main;
pub use tracer_side::Outward;
pub use url::{HttpUrl, UrlError};
