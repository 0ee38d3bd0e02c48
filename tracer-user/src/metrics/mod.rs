//! Figures of a run for Prometheus, while the run goes on.
//!
//! [`Server`] looks on at a run and answers over HTTP with its figures of this moment, which are those of the record
//! ([`crate::run::onlooker`]). Which ones, and as what, is said once in `exported`; what each means comes from the
//! catalogue of figures. The socket is opened first ([`Listening`]), before the tracer gives up its right to do so.

mod address;
#[cfg(test)]
mod clients;
mod document;
mod encoding;
mod exported;
mod listening;
mod moment;
mod otlp;
mod rates;
mod reply;
mod server;
mod serving;
mod several;
mod token;

pub use address::ServeAddress;
pub use document::filled_in;
pub use listening::Listening;
pub use otlp::{CollectorAddress, Push};
pub use rates::{Rate, rates};
pub use server::Server;
pub use several::{
    MergedServer, SaidNow, ServiceFigure, SharedSources, Source, Sources, said, scrape,
};
