//! The metrics of several runs, each of which another process of the tracer serves, and those of the service itself.

mod asked;
mod merged;
mod parsed;
mod scrape;
mod service;

pub(super) use asked::asked;
pub use merged::{MergedServer, SharedSources, Source, Sources};
pub use parsed::{ParsedFamily, ParsedSample, parse};
pub use scrape::scrape;
pub use service::ServiceFigure;
