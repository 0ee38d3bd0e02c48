//! Old traces in: the text of blkparse and the binary files of blktrace.
//!
//! A trace is a stream of records ([`Trace`]), whatever its form. From there on it is what a live run is: each request
//! counts once, at its first issue (record `D`), and goes through [`crate::stats::ModelAccumulator`]; and every record
//! goes through [`crate::stats::audit::accounting::AccountingAudit`], which gives the figures of those who count otherwise.

mod analysis;
mod assemble;
mod binary;
mod device;
mod error;
mod model;
mod order;
mod record;
mod requests;
mod sequence;
mod summary;
mod text;
mod text_line;
mod trace;

pub use analysis::{Analysis, AnalysisError, AnalysisOptions, analyse, partition_start, printed};
pub use assemble::{TraceRequest, audit_record, trace_record};
pub use device::DeviceFindings;
pub use error::{Place, TraceError, TraceErrorKind};
pub use model::{FoundModel, ModelPlace, UnplacedModel, find_model};
pub use trace::{Trace, TraceEnd, TraceFile, recording_files};

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod encoder;
#[cfg(test)]
mod golden_tests;
