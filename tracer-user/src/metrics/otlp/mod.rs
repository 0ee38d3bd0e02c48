//! Figures of a run, or of the service, for a collector of OpenTelemetry: OTLP over HTTP, pushed.

mod address;
mod message;
mod push;
mod request;

pub use address::CollectorAddress;
pub use push::Push;
