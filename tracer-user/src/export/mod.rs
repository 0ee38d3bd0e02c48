//! Finished runs in the formats of other programs.

mod perfetto;

pub use perfetto::{ExportError, Exported, perfetto};
