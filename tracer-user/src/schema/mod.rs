//! The record of a finished run: what `run.json` holds, and all that a report may read.
//!
//! A room of its own, below both `run`, which writes it, and `report`, which shows it, so that a report
//! can never reach a live object. What was not observed is `None`, which is null in the file; an absent
//! figure is never 0. Shares and coverage are fractions of 1. The members are documented in
//! `docs/METRICS.md`; a change of their meaning raises [`SCHEMA_VERSION`].

mod accounting;
mod attribution;
mod audit;
mod block_trace;
mod checks;
mod course;
mod device;
mod device_test;
mod experiment;
mod identity;
mod inspection;
mod machine;
mod model;
mod process;
mod read_list;
mod reads;
mod run;
#[cfg(test)]
mod tests;

pub use accounting::AccountingRecord;
pub use attribution::{
    CallCount, DeviceShareRecord, KindBytes, MarksRecord, PageCacheRecord, PhaseGapsRecord,
    PhaseRecord, ShareClass, TensorRecord, TokenRecord, WaitRecord,
};
pub use audit::{AUDIT_SCHEMA_VERSION, AuditRecord, ExpectationRecord, FitRecord};
pub use block_trace::{BLOCK_TRACE_SCHEMA_VERSION, BlockTraceRecord, TraceLossRecord};
pub use checks::Check;
pub use course::{
    BufferRecord, CgroupPointRecord, MemoryPointRecord, ProcessPointRecord, ResidencyPointRecord,
    SystemPointRecord,
};
pub use device::{DeviceRecord, TimeRecord};
pub use device_test::{
    DEVICE_TEST_SCHEMA_VERSION, DeviceTestRecord, OrderCostRecord, OtherLoadRecord, PatternRecord,
    RoundRecord, SpreadRecord, TestedDevice, TestedFile, TestedRun, UsedRecord,
};
pub use experiment::{
    AxisRecord, EXPERIMENT_SCHEMA_VERSION, ExperimentRecord, ExperimentRunRecord, PlannedPressure,
    RunOutcome, WorkRecord,
};
pub use identity::{ExpertsRecord, ModelFileRecord, ModelIdentity};
pub use inspection::{
    InspectedExtent, InspectedFile, InspectedGroup, InspectedPiece, ModelInspection,
};
pub use machine::MachineRecord;
pub use model::{CacheRecord, ModelRecord};
pub use process::{MappingRecord, MappingsRecord, PeakMemoryRecord, ProcessRecord, RollupRecord};
pub use read_list::ReadListRecord;
pub use reads::{GapsRecord, OrderRecord, ReadsRecord};
pub use run::{
    CgroupRecord, EngineRecord, ExitRecord, LossRecord, MemoryRecord, OverheadRecord,
    PressureRecord, ProgramOverhead, RunRecord, SCHEMA_VERSION,
};

// Where a figure of `stats` is a member as it is, there is one type for both.
pub use crate::stats::{
    order::{distances::DistanceBucket, gaps::GapFigure},
    pages::figures::EvictionsByAgent,
    reads::{
        bandwidth::BandwidthFigures, latency::LatencyFigures, process_share::ProcessShare,
        sizes::SizeCount,
    },
};
