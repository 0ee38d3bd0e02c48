//! The list of a run's reads on disk: `reads.parquet`, one row for each read of a model.
//!
//! Parquet, since everything that analyses tables reads it: DuckDB, pandas, R. The columns are in `docs/METRICS.md`.
//! [`ReadRecorder`] takes the reads in as they are issued and completed, brings them into the order of their first
//! issue and hands them to a thread that writes; [`ReadList`] opens a file again. What is recorded are plain values:
//! this room knows no kernel, no process and no device.

mod error;
mod header;
mod pending_reads;
mod read_row;
mod reader;
mod recorder;
mod schema;
mod writer;

pub use error::ReadListError;
pub use header::{ReadListHeader, RecordedFile, RecordedModel};
pub use read_row::ReadRow;
pub use reader::ReadList;
pub use recorder::{ReadRecorder, WrittenReads};
pub use writer::ReadListWriter;

#[cfg(test)]
mod tests;
