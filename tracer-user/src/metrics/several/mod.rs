//! The metrics of several runs, each of which another process of the tracer serves, and those of the service itself.

mod merged;
mod parsed;
mod scrape;
mod service;

pub use merged::{MergedServer, SharedSources, Source, Sources};
pub use parsed::{ParsedFamily, ParsedSample, parse};
pub use scrape::scrape;
pub use service::ServiceFigure;
