//! `tracer watch`: a service that follows engines as they come and go.
//!
//! It traces nothing itself. Every two seconds it looks who has a model open (`seen`), decides what that means
//! (`plan`, pure), and has one `tracer attach --detail counts` for each engine as a child (`follow`), for a window of an hour.
//! What it knows of the past is what lies in its folder (`folder`): a service that was killed goes on from there.

mod engine;
mod failures;
mod folder;
mod follow;
mod labels;
mod options;
mod plan;
mod recordings;
mod seen;
mod served;
mod service;
mod starts;

pub use options::{EngineChoice, WatchOptions};
pub use recordings::Condition;
pub use service::watch;
