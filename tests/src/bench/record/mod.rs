//! What was measured: kept as JSON, shown as tables.

mod document;
mod figure;
mod interval;
mod kept;
mod machine;
mod table;

pub use document::document;
pub use figure::Figure;
pub use interval::Interval;
pub use kept::{
    BenchRecord, MeasurementRecord, NONE, ProgramRecord, RoundRecord, TracerRecord, VariantRecord,
    WorkRecord,
};
pub use machine::MachineRecord;
