//! What an entry of the catalogue holds.

use crate::schema::{DeviceRecord, ModelRecord, PhaseRecord, RunRecord, TensorRecord, TokenRecord};

use super::Unit;

/// Where a figure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Road {
    /// The kernel's maps: exact also when records of the ring buffer are lost.
    Kernel,
    /// The stream of records.
    Stream,
    /// procfs, sysfs, system calls.
    UserSpace,
    /// The engine's own output.
    Engine,
}

impl Road {
    /// Its letter in the tables of `docs/METRICS.md`.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Kernel => "K",
            Self::Stream => "S",
            Self::UserSpace => "U",
            Self::Engine => "E",
        }
    }
}

/// A record of which there are figures.
pub trait Scope: 'static {
    /// What the members' paths begin with in `run.json`; empty for the run itself, and for a model.
    const PATH: &'static str;
}

impl Scope for RunRecord {
    const PATH: &'static str = "";
}

impl Scope for ModelRecord {
    const PATH: &'static str = "";
}

impl Scope for PhaseRecord {
    const PATH: &'static str = "phases[]";
}

impl Scope for TokenRecord {
    const PATH: &'static str = "tokens[]";
}

impl Scope for TensorRecord {
    const PATH: &'static str = "tensors[]";
}

impl Scope for DeviceRecord {
    const PATH: &'static str = "devices[]";
}

/// One figure of a record.
#[derive(Debug)]
pub struct Figure<R: Scope> {
    /// Path of the member in `run.json`, from the record on: `reads.coverage`.
    pub member: &'static str,
    /// What a person calls it.
    pub label: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// By which road it is taken.
    pub road: Road,
    /// What it says. Code is marked with backticks.
    pub meaning: &'static str,
    /// When it is null; empty: never.
    pub null: &'static str,
    /// Takes it from a record; `None`: not observed.
    pub pick: fn(&R) -> Option<f64>,
}

impl<R: Scope> Figure<R> {
    /// Its value in a record; `None`: not observed.
    #[must_use]
    pub fn value(&self, record: &R) -> Option<f64> {
        (self.pick)(record)
    }

    /// Its value with unit, or the words for what was not observed.
    #[must_use]
    pub fn show(&self, record: &R) -> String {
        self.unit.show_observed(self.value(record))
    }
}

/// A figure of a run or of one of its models, wherever in the record it stands.
#[derive(Clone, Copy, Debug)]
pub enum InRun {
    /// Of the run.
    Run(&'static Figure<RunRecord>),
    /// Of a model.
    Model(&'static Figure<ModelRecord>),
    /// Of one phase of a model.
    Phase {
        /// Name of the phase, as in the record.
        phase: &'static str,
        /// What it is called there.
        label: &'static str,
        /// The figure of the phase.
        figure: &'static Figure<PhaseRecord>,
    },
}

impl InRun {
    /// What a person calls it.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Run(figure) => figure.label,
            Self::Model(figure) => figure.label,
            Self::Phase { label, .. } => label,
        }
    }

    /// What it is measured in.
    #[must_use]
    pub const fn unit(&self) -> Unit {
        match self {
            Self::Run(figure) => figure.unit,
            Self::Model(figure) => figure.unit,
            Self::Phase { figure, .. } => figure.unit,
        }
    }

    /// What it says.
    #[must_use]
    pub const fn meaning(&self) -> &'static str {
        match self {
            Self::Run(figure) => figure.meaning,
            Self::Model(figure) => figure.meaning,
            Self::Phase { figure, .. } => figure.meaning,
        }
    }

    /// Its value; `None`: not observed, or there was no such phase.
    #[must_use]
    pub fn value(&self, run: &RunRecord, model: &ModelRecord) -> Option<f64> {
        match self {
            Self::Run(figure) => figure.value(run),
            Self::Model(figure) => figure.value(model),
            Self::Phase { phase, figure, .. } => {
                let phases = model.phases.as_ref()?;
                figure.value(phases.iter().find(|own| own.phase == *phase)?)
            }
        }
    }

    /// Its value with unit, or the words for what was not observed.
    #[must_use]
    pub fn show(&self, run: &RunRecord, model: &ModelRecord) -> String {
        self.unit().show_observed(self.value(run, model))
    }
}

/// A member's value as a figure's. Numbers up to 2^53 stay exact.
pub(super) trait Amount {
    fn amount(self) -> Option<f64>;
}

impl Amount for u64 {
    fn amount(self) -> Option<f64> {
        Some(self as f64)
    }
}

impl Amount for i64 {
    fn amount(self) -> Option<f64> {
        Some(self as f64)
    }
}

impl Amount for f64 {
    fn amount(self) -> Option<f64> {
        Some(self)
    }
}

impl<A: Amount> Amount for Option<A> {
    fn amount(self) -> Option<f64> {
        self.and_then(A::amount)
    }
}

/// Entries of one group, and the list of them in this order:
/// `NAME, "member", "label", Unit, Road, null: "…", "meaning", |record| member;`.
macro_rules! figures {
    (
        $(#[$doc:meta])* $list:ident of $record:ty;
        $($name:ident, $member:literal, $label:literal, $unit:ident, $road:ident, null: $null:expr,
            $meaning:literal, |$it:ident| $pick:expr;)*
    ) => {
        $(
            #[doc = concat!("`", $member, "`: ", $meaning, ".")]
            pub static $name: $crate::figures::Figure<$record> = $crate::figures::Figure {
                member: $member,
                label: $label,
                unit: $crate::figures::Unit::$unit,
                road: $crate::figures::Road::$road,
                meaning: $meaning,
                null: $null,
                pick: |$it| $crate::figures::definition::Amount::amount($pick),
            };
        )*
        $(#[$doc])*
        pub static $list: &[&$crate::figures::Figure<$record>] = &[$(&$name),*];
    };
}

pub(super) use figures;
