//! The record of a finished run: what `run.json` holds, and all that a report may read.
//!
//! A room of its own, below both `run`, which writes it, and `report`, which shows it, so that a report
//! can never reach a live object. What was not observed is `None`, which is null in the file; an absent
//! figure is never 0. Shares and coverage are fractions of 1. The members are documented in
//! `docs/METRICS.md`; a change of their meaning raises [`SCHEMA_VERSION`].

mod audit;
mod block_trace;
mod device_test;
mod experiment;
mod inspection;
mod of_model;
mod of_run;
mod sizing;
#[cfg(test)]
mod tests;
mod tune;
mod watch;

pub use audit::{AUDIT_SCHEMA_VERSION, AuditRecord};
pub use block_trace::{BLOCK_TRACE_SCHEMA_VERSION, BlockTraceRecord, TraceLossRecord};
pub use device_test::{
    DEVICE_TEST_SCHEMA_VERSION, DeviceTestRecord, OrderCostRecord, OtherLoadRecord, PatternRecord,
    RoundRecord, SpreadRecord, TestedDevice, TestedFile, TestedRun, UsedRecord,
};
pub use experiment::{
    AxisRecord, EXPERIMENT_SCHEMA_VERSION, ExperimentRecord, ExperimentRunRecord, PlannedPressure,
    RunOutcome, WorkRecord,
};
pub use inspection::{
    InspectedExtent, InspectedFile, InspectedGroup, InspectedPiece, ModelInspection,
};
pub use of_model::attribution::{
    CallCount, DeviceShareRecord, ExpertBytes, KindBytes, LayerBytes, MarksRecord, PhaseRecord,
    ShareClass, TensorRecord, TokenRecord, WaitRecord,
};
pub use of_model::identity::{ExpertsRecord, ModelFileRecord, ModelIdentity};
pub use of_model::model::{CacheRecord, ModelRecord};
pub use of_model::reads::{GapsRecord, ReadsRecord};
pub use of_run::course::{
    BufferRecord, CgroupPointRecord, GivenMarkRecord, MemoryPointRecord, ProcessPointRecord,
    ResidencyPointRecord, SystemPointRecord,
};
pub use of_run::device::{DeviceRecord, TimeRecord};
pub use of_run::engine::{EngineRecord, IntervalsRecord, RequestRecord};
pub use of_run::engine_metrics::EngineMetricsRecord;
pub use of_run::machine::MachineRecord;
pub use of_run::process::{
    MappingRecord, MappingsRecord, PeakMemoryRecord, ProcessRecord, RollupRecord,
};
pub use of_run::read_list::ReadListRecord;
pub use of_run::recording::RecordingRecord;
pub use of_run::run::{
    BudgetMeasurement, BudgetRecord, CgroupRecord, ExitRecord, LossRecord, MemoryRecord,
    OverheadRecord, PinnedRecord, PressureRecord, ProgramOverhead, RunRecord, SCHEMA_VERSION,
    SetQueueRecord, SetReadAheadRecord, ShownExpertsRecord,
};

pub use sizing::{
    BandRecord, MeasuredSize, SIZING_SCHEMA_VERSION, SizePointRecord, SizeRegion, SizingRecord,
};
pub use tune::{
    AS_IS, TUNE_SCHEMA_VERSION, TriedSetting, TuneGoal, TunePlanRecord, TuneRecord, TuneSetting,
    added_arguments,
};

// Where a figure of `stats` is a member as it is, there is one type for both.
pub use crate::stats::{
    audit::{
        accounting::{AccountingFigures, Action},
        matching::{Explanation, Fit},
    },
    check::Check,
    experiment::racing::Standing,
    model::figures::ReadFigures,
    order::{
        distances::DistanceBucket,
        gaps::{ByGapClass, GapFigure},
    },
    pages::{
        course::PageCourseFigures,
        figures::{EvictionsByAgent, PageCacheFigures},
    },
    phases::reads::PhaseGaps,
    reads::{
        bandwidth::{ArrivalSeries, BandwidthFigures},
        latency::LatencyFigures,
        process_share::ProcessShare,
        sizes::{SizeClassCount, SizeCount},
    },
};
pub use watch::{WATCH_SCHEMA_VERSION, WatchedEngineRecord, WatchedWindowRecord};
