//! Which figures are exported, and as what. What each means, its unit and its road are the catalogue's.

use tracer_common::gap::GapClass;

use crate::{
    figures::{
        Figure, Road, Unit, engine, gaps, losses, model, pages, phase, reads, speed, tensor,
    },
    run::onlooker::{
        ModelBegun, ModelFiguresSoFar, PagesSoFar, PartBytes, ReadsSoFar, WaitSeconds,
    },
    schema::{ModelRecord, PhaseRecord, RunRecord, TensorRecord},
    stats::{phases::so_far::PhaseSoFar, reads::latency::cumulative},
};

use super::moment::Moment;

/// What every name begins with.
pub const PREFIX: &str = "tracer_";

/// How a figure behaves while the run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows.
    Counter,
    /// May go up and down.
    Gauge,
    /// Counts by an upper limit, of which each holds those of the ones before: only ever grow.
    Histogram,
}

impl Kind {
    /// As the format calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Of what a figure is, and how it is taken from a moment. `None`: not observed, and then it is not exported.
pub enum Of {
    Run(&'static Figure<RunRecord>, fn(&Moment<'_>) -> Option<f64>),
    Model(
        &'static Figure<ModelRecord>,
        fn(&ModelBegun, &ModelFiguresSoFar) -> Option<f64>,
    ),
    /// How often it took how long: what is counted, and the counts, by nanoseconds that it took at most, and all of them.
    Latencies(
        &'static Figure<ModelRecord>,
        fn(&ModelFiguresSoFar) -> Option<LatencyCounts>,
    ),
    /// A figure of phases, for all of them together.
    AllPhases(
        &'static Figure<PhaseRecord>,
        fn(&ModelBegun, &ModelFiguresSoFar) -> Option<f64>,
    ),
    /// Label `phase`.
    Phase(
        &'static Figure<PhaseRecord>,
        fn(&ModelBegun, &PhaseSoFar) -> Option<f64>,
    ),
    /// Label `class`: the tensors of one kind together.
    Class(
        &'static Figure<TensorRecord>,
        fn(&ModelBegun, &PartBytes) -> Option<f64>,
    ),
}

/// Counts by how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencyCounts {
    /// Nanoseconds, and how many took at most that; growing.
    pub at_most: Vec<(u64, u64)>,
    pub all: u64,
}

/// A figure that is exported.
pub struct Exported {
    /// Between the prefix and the unit.
    stem: &'static str,
    pub kind: Kind,
    pub of: Of,
    /// What is to be known beyond the catalogue's sentence.
    remark: &'static str,
}

impl Exported {
    const fn unit(&self) -> Unit {
        match &self.of {
            Of::Run(figure, _) => figure.unit,
            Of::Model(figure, _) => figure.unit,
            Of::Latencies(..) => Unit::Seconds,
            Of::Phase(figure, _) | Of::AllPhases(figure, _) => figure.unit,
            Of::Class(figure, _) => figure.unit,
        }
    }

    /// What its name has between the prefix and the unit.
    #[must_use]
    pub const fn stem(&self) -> &'static str {
        self.stem
    }

    /// Its name: prefix, stem, base unit, and `_total` where it is a counter.
    #[must_use]
    pub fn name(&self) -> String {
        let unit = match self.unit() {
            Unit::Bytes => "_bytes",
            Unit::BytesPerSecond => "_bytes_per_second",
            Unit::Seconds => "_seconds",
            Unit::Factor | Unit::Share => "_ratio",
            Unit::Pages => "_pages",
            Unit::PerSecond => "_per_second",
            Unit::Celsius => "_celsius",
            // Not base units: whoever exports one of these divides first.
            Unit::Kibibytes | Unit::Microseconds | Unit::Sectors => "_unconverted",
            Unit::Count | Unit::Mean => "",
        };
        let total = match self.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        };
        format!("{PREFIX}{}{unit}{total}", self.stem)
    }

    /// Its unit in the Unified Code for Units of Measure.
    #[must_use]
    pub const fn unit_symbol(&self) -> &'static str {
        match self.unit() {
            Unit::Bytes => "By",
            Unit::BytesPerSecond => "By/s",
            Unit::Seconds => "s",
            Unit::Pages => "{page}",
            Unit::PerSecond => "1/s",
            Unit::Celsius => "Cel",
            Unit::Kibibytes => "KiBy",
            Unit::Microseconds => "us",
            Unit::Sectors => "{sector}",
            Unit::Factor | Unit::Share | Unit::Count | Unit::Mean => "1",
        }
    }

    /// Member of `run.json` that has it in the end.
    #[must_use]
    pub fn member(&self) -> String {
        match &self.of {
            Of::Run(figure, _) => figure.member.to_owned(),
            Of::Model(figure, _) => figure.member.to_owned(),
            Of::Latencies(figure, _) => format!("{}, in parts", figure.member),
            Of::AllPhases(figure, _) => format!("phases[].{}, summed", figure.member),
            Of::Phase(figure, _) => format!("phases[].{}", figure.member),
            Of::Class(figure, _) => format!("tensors[].{}, summed by kind", figure.member),
        }
    }

    /// Names of its labels.
    #[must_use]
    pub const fn labels(&self) -> &'static [&'static str] {
        match self.of {
            Of::Run(..) => &[],
            Of::Model(..) | Of::AllPhases(..) | Of::Latencies(..) => &["model"],
            Of::Phase(..) => &["model", "phase"],
            Of::Class(..) => &["model", "class"],
        }
    }

    /// The catalogue's sentence, and what is to be known beyond it.
    #[must_use]
    pub fn meaning(&self) -> String {
        let meaning = match &self.of {
            Of::Run(figure, _) => figure.meaning,
            Of::Model(figure, _) | Of::Latencies(figure, _) => figure.meaning,
            Of::Phase(figure, _) | Of::AllPhases(figure, _) => figure.meaning,
            Of::Class(figure, _) => figure.meaning,
        };
        match self.remark {
            "" => meaning.to_owned(),
            remark => format!("{meaning}. {remark}"),
        }
    }

    /// When it is not there.
    #[must_use]
    pub const fn absent(&self) -> &'static str {
        match &self.of {
            Of::Run(figure, _) => figure.null,
            Of::Model(figure, _) | Of::Latencies(figure, _) => figure.null,
            Of::Phase(figure, _) | Of::AllPhases(figure, _) => figure.null,
            Of::Class(figure, _) => figure.null,
        }
    }

    /// The letter of its road.
    #[must_use]
    pub const fn road(&self) -> &'static str {
        match &self.of {
            Of::Run(figure, _) => figure.road.letter(),
            Of::Model(figure, _) => figure.road.letter(),
            Of::Latencies(..) => Road::Kernel.letter(),
            Of::Phase(figure, _) | Of::AllPhases(figure, _) => figure.road.letter(),
            Of::Class(figure, _) => figure.road.letter(),
        }
    }
}

const HELD: &str = "A request that is requeued lowers it in the record; here it stays until the request is issued again";
const REARRANGED: &str =
    "May go down: a later mark can say that an earlier moment belonged to another phase";

const fn counter(stem: &'static str, of: Of) -> Exported {
    with(stem, Kind::Counter, of, "")
}

const fn gauge(stem: &'static str, of: Of) -> Exported {
    with(stem, Kind::Gauge, of, "")
}

const fn with(stem: &'static str, kind: Kind, of: Of, remark: &'static str) -> Exported {
    Exported {
        stem,
        kind,
        of,
        remark,
    }
}

fn amount(count: u64) -> Option<f64> {
    Some(count as f64)
}

fn read(model: &ModelFiguresSoFar, pick: fn(&ReadsSoFar) -> u64) -> Option<f64> {
    amount(pick(model.reads.as_ref()?))
}

fn page(model: &ModelFiguresSoFar, pick: fn(&PagesSoFar) -> Option<u64>) -> Option<f64> {
    pick(&model.pages).and_then(amount)
}

fn gap(model: &ModelFiguresSoFar, class: GapClass) -> Option<f64> {
    let gaps = model.reads.as_ref()?.gaps;
    gaps.get(class.slot()).copied().and_then(amount)
}

/// The sum of waits of the whole run; one that began to be known later is not that.
fn wait(model: &ModelFiguresSoFar, pick: fn(&WaitSeconds) -> Option<f64>) -> Option<f64> {
    let waits = model.waits.as_ref()?;
    (waits.since_s <= 0.0).then(|| pick(waits)).flatten()
}

const WAITS_LAG: &str = "Up to two seconds ago; not there once a wait became known too late";

/// All of them, in the order of the output.
pub static EXPORTED: &[Exported] = &[
    with(
        "run",
        Kind::Gauge,
        Of::Run(&engine::WALL_S, |moment| Some(moment.so_far.at_s)),
        "The time of these figures: where it stands still, they are old",
    ),
    counter(
        "own_cpu",
        Of::Run(&losses::TRACER_CPU_S, |moment| moment.so_far.tracer_cpu_s),
    ),
    counter(
        "lost_records",
        Of::Run(&losses::RECORDS, |moment| {
            amount(moment.so_far.losses?.records)
        }),
    ),
    counter(
        "recursion_misses",
        Of::Run(&losses::RECURSION_MISSES, |moment| {
            amount(moment.so_far.losses?.recursion_misses?)
        }),
    ),
    gauge(
        "engine_tokens",
        Of::Run(&engine::TOKENS_PER_S, |moment| moment.engine.tokens_per_s),
    ),
    gauge(
        "model_size",
        Of::Model(&model::SIZE_BYTES, |begun, _| amount(begun.size_bytes)),
    ),
    counter(
        "reads",
        Of::Model(&reads::COUNT, |_, model| read(model, |reads| reads.count)),
    ),
    with(
        "read",
        Kind::Counter,
        Of::Model(&reads::TOTAL_BYTES, |_, model| {
            read(model, |reads| reads.total_bytes)
        }),
        HELD,
    ),
    counter(
        "read_completed",
        Of::Model(&reads::COMPLETED_BYTES, |_, model| {
            read(model, |reads| reads.completed_bytes)
        }),
    ),
    gauge(
        "read_unique",
        Of::Model(&reads::UNIQUE_BYTES, |_, model| {
            amount(model.reads.as_ref()?.unique_bytes?)
        }),
    ),
    gauge(
        "read_amplification",
        Of::Model(&reads::AMPLIFICATION, |_, model| {
            model.reads.as_ref()?.amplification
        }),
    ),
    gauge(
        "read_to_size",
        Of::Model(&reads::REREAD_FACTOR, |_, model| {
            model.reads.as_ref()?.reread_factor
        }),
    ),
    with(
        "read_latency",
        Kind::Histogram,
        Of::Latencies(&speed::LATENCY_COUNT, |model| {
            let buckets = model.latencies.as_ref()?;
            Some(LatencyCounts {
                at_most: cumulative(buckets),
                all: buckets.iter().sum(),
            })
        }),
        "By the time between the two, up to a second ago. `le` is the last nanosecond before a power of two. The sum of times is not known: `_sum` is NaN",
    ),
    counter(
        "sequential_gaps",
        Of::Model(&gaps::SEQUENTIAL, |_, model| {
            gap(model, GapClass::Sequential)
        }),
    ),
    counter(
        "small_gaps",
        Of::Model(&gaps::SMALL, |_, model| gap(model, GapClass::Small)),
    ),
    counter(
        "medium_gaps",
        Of::Model(&gaps::MEDIUM, |_, model| gap(model, GapClass::Medium)),
    ),
    counter(
        "large_gaps",
        Of::Model(&gaps::LARGE, |_, model| gap(model, GapClass::Large)),
    ),
    counter(
        "backward_gaps",
        Of::Model(&gaps::BACKWARD, |_, model| gap(model, GapClass::Backward)),
    ),
    counter(
        "inserted",
        Of::Model(&pages::INSERTS, |_, model| {
            page(model, |pages| pages.inserts)
        }),
    ),
    counter(
        "evicted",
        Of::Model(&pages::EVICTIONS, |_, model| {
            page(model, |pages| pages.evictions)
        }),
    ),
    counter(
        "refaulted",
        Of::Model(&pages::REFAULTS, |_, model| {
            page(model, |pages| pages.refaults)
        }),
    ),
    counter(
        "faults",
        Of::Model(&pages::FAULTS, |_, model| page(model, |pages| pages.faults)),
    ),
    gauge(
        "resident",
        Of::Model(&pages::RESIDENT_BYTES, |_, model| {
            amount(model.resident_bytes?)
        }),
    ),
    with(
        "stalled",
        Kind::Counter,
        Of::AllPhases(&phase::STALL_S, |_, model| {
            wait(model, |waits| waits.stall_s)
        }),
        WAITS_LAG,
    ),
    with(
        "phase",
        Kind::Gauge,
        Of::Phase(&phase::DURATION_S, |_, phase| {
            Some(phase.nanos as f64 / 1e9)
        }),
        REARRANGED,
    ),
    with(
        "phase_steps",
        Kind::Gauge,
        Of::Phase(&phase::STEPS, |_, phase| amount(phase.steps)),
        REARRANGED,
    ),
    with(
        "phase_read",
        Kind::Gauge,
        Of::Phase(&phase::READ_BYTES, |model, phase| {
            model.has_sectors.then_some(phase.read_bytes as f64)
        }),
        REARRANGED,
    ),
    with(
        "class_read",
        Kind::Counter,
        Of::Class(&tensor::READ_BYTES, |model, part| {
            model.has_sectors.then_some(part.read_bytes as f64)
        }),
        HELD,
    ),
];
