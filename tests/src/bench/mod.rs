//! What tracing costs: the same work with and without a tracer, in turns.
//!
//! The program `bench` measures, on any machine from its one file; `cargo xtask bench` builds and runs it.

mod bpf;
mod compared;
mod ground;
mod record;
mod work;

pub use compared::{Other, Rounds, Traced, TracerVariant, Variant, Variants};
pub use ground::{BenchGround, BenchPlace, mount_memory};
pub use record::{
    BenchRecord, Figure, Interval, MachineRecord, MeasurementRecord, ProgramRecord, RoundRecord,
    TracerRecord, VariantRecord, WorkRecord, document,
};
pub use work::{
    BoundProcessors, Engine, GoFirst, ReadLoad, TokenLoad, measure_idle, measure_page_cache,
    measure_reads, measure_tokens,
};
