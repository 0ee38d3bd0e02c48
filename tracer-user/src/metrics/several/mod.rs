//! The metrics of several runs, each of which another process of the tracer serves, and those of the service itself.

mod asked;
mod merged;
mod said;
mod scrape;
mod service;
mod sources;

pub use asked::said;
pub use merged::MergedServer;
pub use said::SaidNow;
pub use scrape::scrape;
pub use service::ServiceFigure;
pub use sources::{SharedSources, Source, Sources};
