//! What tracing costs: the same work with and without a tracer, in turns.
//!
//! The program `bench` measures, on any machine from its one file; `cargo xtask bench` builds and runs it.

mod bpf;
mod figure;
mod ground;
mod idle;
mod interval;
mod machine;
mod others;
mod page_cache;
mod processor_time;
mod processors;
mod programs;
mod random_reads;
mod reads;
mod record;
mod rounds;
mod running;
mod table;
mod variant;

pub use figure::Figure;
pub use ground::BenchGround;
pub use idle::measure_idle;
pub use interval::Interval;
pub use machine::MachineRecord;
pub use others::Other;
pub use page_cache::measure_page_cache;
pub use processors::BoundProcessors;
pub use random_reads::ReadLoad;
pub use reads::measure_reads;
pub use record::{
    BenchRecord, MeasurementRecord, ProgramRecord, RoundRecord, TracerRecord, VariantRecord,
    WorkRecord,
};
pub use rounds::Rounds;
pub use running::Traced;
pub use variant::{TracerVariant, Variant, Variants};
