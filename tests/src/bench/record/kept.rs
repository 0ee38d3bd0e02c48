//! What was measured, as it is kept: the rounds' values. Medians and intervals are computed when they are shown.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

use super::{figure::Figure, interval::Interval, machine::MachineRecord};

/// Changes when older files can no longer be read.
const FORMAT: u32 = 1;

/// One call of the program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BenchRecord {
    /// Version of this form.
    format: u32,
    /// When, `YYYY-MM-DD`.
    pub date: String,
    /// Where.
    pub machine: MachineRecord,
    /// Which source the tracer was built from, as the caller said.
    pub revision: Option<String>,
    /// What was measured, in its order.
    pub measurements: Vec<MeasurementRecord>,
}

/// All variants at one kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasurementRecord {
    /// The work.
    pub work: WorkRecord,
    /// Variants, in their order; the first is the one without a tracer, where there is one.
    pub variants: Vec<VariantRecord>,
}

/// Work that is done again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum WorkRecord {
    /// Direct reads at random places of the model.
    Reads {
        /// Threads that read.
        threads: usize,
        /// Bytes a read.
        read_bytes: usize,
        /// Extents of the model's file.
        extents: usize,
        /// Size of the model's file.
        model_bytes: u64,
        /// CPUs that readers and device may use.
        processors: usize,
        /// Whether the reading process is the one that is traced; else its threads are somebody else's.
        engine_reads: bool,
        /// Whether all this ran before the machine's other programs.
        went_first: bool,
    },
    /// A file read through the page cache from start to end, dropped, and read again.
    PageCache {
        /// Whether it is the model that is traced; else another file beside it.
        traced: bool,
        /// Size of the file.
        file_bytes: u64,
        /// Whether all this ran before the machine's other programs.
        went_first: bool,
    },
    /// Nothing, for a while.
    Idle {
        /// Seconds.
        seconds: u64,
        /// Size of the model's file.
        model_bytes: u64,
    },
    /// Tokens of an engine that has less memory than its model.
    Tokens {
        /// The engine.
        engine: String,
        /// Its memory.
        memory_bytes: u64,
        /// Size of the model's file.
        model_bytes: u64,
        /// Tokens in a round.
        tokens: u64,
    },
}

/// What a variant cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantRecord {
    /// Its name.
    pub name: String,
    /// The tracer, where it is one.
    pub tracer: Option<TracerRecord>,
    /// Every round that counts, the first one first.
    pub rounds: Vec<RoundRecord>,
}

/// Which tracer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracerRecord {
    /// What it says of itself.
    pub version: String,
    /// Whether it is another build than the one that was measured.
    pub other_build: bool,
    /// How it was called, after what was traced.
    pub arguments: Vec<String>,
}

/// What a variant did in one round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundRecord {
    /// Figures; one that is absent was not observed.
    pub figures: BTreeMap<Figure, f64>,
    /// Programs, while the kernel timed them.
    pub programs: Vec<ProgramRecord>,
    /// Requests that the device completed meanwhile.
    pub requests: u64,
}

/// What a program did in one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramRecord {
    /// Its name, as far as the kernel keeps it.
    pub name: String,
    /// Runs.
    pub runs: u64,
    /// Their time, ns.
    pub time_ns: u64,
    /// Runs that were skipped, since a program ran on that CPU already.
    pub skipped: u64,
}

impl BenchRecord {
    /// A record of this machine.
    ///
    /// # Errors
    /// The machine does not say what it is.
    pub fn of_this_machine(
        date: String,
        revision: Option<String>,
        measurements: Vec<MeasurementRecord>,
    ) -> Result<Self> {
        Ok(Self {
            format: FORMAT,
            date,
            machine: MachineRecord::of_this_machine()?,
            revision,
            measurements,
        })
    }

    /// Reads one.
    ///
    /// # Errors
    /// The file is none, or of another version.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let record: Self = serde_json::from_slice(&text)
            .with_context(|| format!("{} holds no measurement", path.display()))?;
        ensure!(
            record.format == FORMAT,
            "{} has format {}, and this program reads {FORMAT}: measure again",
            path.display(),
            record.format
        );
        Ok(record)
    }

    /// Adds the measurements of an older record of the same machine and source before its own.
    ///
    /// # Errors
    /// The records are of different machines or sources.
    pub fn after(mut self, older: Self) -> Result<Self> {
        ensure!(
            self.machine == older.machine && self.revision == older.revision,
            "that record is of another machine or of another source"
        );
        self.measurements.splice(0..0, older.measurements);
        Ok(self)
    }

    /// Writes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("write JSON")?;
        fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))
    }
}

impl MeasurementRecord {
    /// Figures that any variant has, in their order.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let mut figures: Vec<Figure> = self
            .variants
            .iter()
            .flat_map(|variant| &variant.rounds)
            .flat_map(|round| round.figures.keys().copied())
            .collect();
        figures.sort_unstable();
        figures.dedup();
        figures
    }

    /// The variant without a tracer.
    #[must_use]
    pub fn without_tracer(&self) -> Option<&VariantRecord> {
        self.variants.iter().find(|variant| variant.name == NONE)
    }
}

/// Name of the variant without a tracer.
pub const NONE: &str = "none";

impl VariantRecord {
    /// A figure over all rounds; none where a round has not observed it.
    #[must_use]
    pub fn interval(&self, figure: Figure) -> Option<Interval> {
        let values: Option<Vec<f64>> = self
            .rounds
            .iter()
            .map(|round| round.figures.get(&figure).copied())
            .collect();
        Interval::of(&values?)
    }

    /// The sum of a figure over all rounds; none where a round has not observed it.
    #[must_use]
    pub fn total(&self, figure: Figure) -> Option<f64> {
        if self.rounds.is_empty() {
            return None;
        }
        self.rounds
            .iter()
            .map(|round| round.figures.get(&figure).copied())
            .sum()
    }

    /// A figure against the same of another variant, round by round: what disturbs a whole round cancels out.
    #[must_use]
    pub fn ratio(&self, base: &Self, figure: Figure) -> Option<Interval> {
        let values: Option<Vec<f64>> = self
            .rounds
            .iter()
            .zip(&base.rounds)
            .map(|(round, base)| {
                let (value, base) = (round.figures.get(&figure)?, base.figures.get(&figure)?);
                (*base > 0.0).then(|| value / base)
            })
            .collect();
        Interval::of(&values?)
    }
}
