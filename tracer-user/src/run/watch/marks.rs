//! The engine's functions that are probed, and what being in them means.

use std::{
    collections::{BTreeSet, VecDeque},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use tracer_common::{
    mark::BatchAction,
    record::{MarkRecord, UNKNOWN_TOKENS},
};

use crate::{
    probe::{ProbePoint, SliceCutter},
    process::monotonic_nanos,
    stats::{
        Nanos,
        phases::{
            given::GivenPhase,
            phase::{LoadEndBasis, Mark, Phase, TimedMark},
        },
    },
};

/// What a function is to the tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Its return says that the model has been loaded.
    Loads,
    /// Its entry says that the model has been loaded before.
    MakesContext,
    /// Its second argument switches the warm-up on and off.
    SetsWarmUp,
    /// It decodes a batch.
    Decodes(BatchAction),
    /// The built-in engine's: a step begins. Its second argument has the tokens, and in bit 32 whether they are of the
    /// prompt.
    BeginsStep,
    /// The built-in engine's: a step has ended.
    EndsStep,
    /// It puts a token into a batch, or empties it.
    Batch(BatchAction),
    /// PyTorch's embedding, with which a forward pass of a language model begins. It returns long before the pass is over.
    Embeds,
    /// The user named it: a decode call of a phase, or of one that is to be told as for the others.
    Named(Option<Phase>),
}

/// `at::_ops::embedding::call` of PyTorch, mangled up to its parameters, which differ from release to release:
/// `RKNS_6TensorES4_lbb` in 1.13, `RKNS_6TensorES4_N3c106SymIntEbb` in 2.x.
const EMBEDDING: &str = "_ZN2at4_ops9embedding4callE*";

/// Functions that are looked for, each by its exported name. Those of llama.cpp: `llama_process` is the decode call
/// of current builds, `llama_decode` that of older ones; a build that exports both calls one of them.
const KNOWN: [(&str, Role); 18] = [
    ("llama_process", Role::Decodes(BatchAction::InThirdArgument)),
    ("llama_decode", Role::Decodes(BatchAction::ByValue)),
    ("llama_model_load_from_file", Role::Loads),
    ("llama_model_load_from_splits", Role::Loads),
    ("llama_load_model_from_file", Role::Loads),
    ("llama_init_from_model", Role::MakesContext),
    ("llama_new_context_with_model", Role::MakesContext),
    ("llama_set_warmup", Role::SetsWarmUp),
    ("llama_batch_ext_add", Role::Batch(BatchAction::Count)),
    ("llama_batch_ext_add_token", Role::Batch(BatchAction::Count)),
    ("llama_batch_ext_add_embd", Role::Batch(BatchAction::Count)),
    ("llama_batch_ext_clear", Role::Batch(BatchAction::Forget)),
    ("llama_batch_ext_init", Role::Batch(BatchAction::Forget)),
    ("llama_batch_ext_free", Role::Batch(BatchAction::Forget)),
    (EMBEDDING, Role::Embeds),
    ("tracer_engine_loaded", Role::MakesContext),
    ("tracer_engine_step_begins", Role::BeginsStep),
    ("tracer_engine_step_ends", Role::EndsStep),
];

/// A function that the user wants probed, as `SYMBOL` or `SYMBOL=PHASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedSymbol {
    symbol: String,
    phase: Option<Phase>,
}

impl FromStr for NamedSymbol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (symbol, phase) = match text.split_once('=') {
            Some((symbol, phase)) => (symbol, Some(phase)),
            None => (text, None),
        };
        if symbol.is_empty() || symbol.contains(char::is_whitespace) {
            return Err("a symbol's name is missing; write SYMBOL or SYMBOL=PHASE".to_owned());
        }
        let phase = match phase.map(str::parse).transpose()? {
            None | Some(GivenPhase::Step) => None,
            Some(GivenPhase::Phase(phase)) => Some(phase),
        };
        Ok(Self {
            symbol: symbol.to_owned(),
            phase,
        })
    }
}

/// All functions to look for. The number of a function is its place.
#[derive(Clone, Debug)]
pub struct MarkedSymbols(Vec<(String, Role)>);

impl MarkedSymbols {
    /// The user's first, then those that are known.
    #[must_use]
    pub fn new(named: &[NamedSymbol]) -> Self {
        let named = named
            .iter()
            .map(|named| (named.symbol.clone(), Role::Named(named.phase)));
        let known = KNOWN
            .iter()
            .map(|(symbol, role)| ((*symbol).to_owned(), *role));
        Self(named.chain(known).collect())
    }

    /// Names to look for.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// Name of a function, as people write it.
    #[must_use]
    pub fn name(&self, symbol: u16) -> Option<&str> {
        self.0
            .get(usize::from(symbol))
            .map(|(name, role)| match role {
                Role::Embeds => "at::_ops::embedding::call",
                _ => name.as_str(),
            })
    }

    /// Whether a function is called by each of several processes that share the work: one of them says it all.
    #[must_use]
    pub fn is_called_by_each_worker(&self, symbol: u16) -> bool {
        matches!(self.0.get(usize::from(symbol)), Some((_, Role::Embeds)))
    }

    /// Whether a function is a decode call.
    #[must_use]
    pub fn decodes(&self, name: &str) -> bool {
        self.0.iter().any(|(own, role)| {
            own == name
                && matches!(
                    role,
                    Role::Decodes(_) | Role::BeginsStep | Role::Embeds | Role::Named(_)
                )
        })
    }

    /// Whether only the return of a function is probed.
    #[must_use]
    pub fn only_returns(&self, symbol: u16) -> bool {
        matches!(self.0.get(usize::from(symbol)), Some((_, Role::Loads)))
    }

    /// Where to probe the function of a name that lies at an offset in its file.
    #[must_use]
    pub fn points(&self, name: &str, file_offset_bytes: u64) -> Vec<ProbePoint> {
        let mut points = Vec::new();
        for (symbol, (own, role)) in (0u16..).zip(&self.0) {
            if own != name {
                continue;
            }
            let point = |action, returns| ProbePoint {
                symbol,
                file_offset_bytes,
                action,
                returns,
            };
            match role {
                Role::Loads => points.push(point(BatchAction::None, true)),
                Role::MakesContext
                | Role::SetsWarmUp
                | Role::BeginsStep
                | Role::EndsStep
                | Role::Embeds => {
                    points.push(point(BatchAction::None, false));
                }
                Role::Batch(action) => points.push(point(*action, false)),
                Role::Decodes(action) => {
                    points.extend([point(*action, false), point(BatchAction::None, true)])
                }
                Role::Named(_) => points.extend([
                    point(BatchAction::None, false),
                    point(BatchAction::None, true),
                ]),
            }
        }
        points
    }

    /// What a record of a probe means.
    #[must_use]
    pub fn meaning(&self, record: &MarkRecord) -> Option<TimedMark> {
        let (_, role) = self.0.get(usize::from(record.symbol))?;
        let known = |tokens: u32| Some(tokens).filter(|tokens| *tokens != UNKNOWN_TOKENS);
        let returns = record.returns != 0;
        let mark = match (role, returns) {
            (Role::Loads, true) => Mark::Loaded(LoadEndBasis::Returned),
            (Role::MakesContext, false) => Mark::Loaded(LoadEndBasis::ContextMade),
            // A C++ bool: the lowest byte counts.
            (Role::SetsWarmUp, false) => Mark::WarmUp(record.value & 0xff != 0),
            (Role::Decodes(_), true) | (Role::EndsStep, false) => Mark::DecodeReturned,
            (Role::Named(_), true) => Mark::BeginnerReturned,
            (Role::Decodes(_), false) => Mark::DecodeEntered {
                tokens: known(record.tokens),
                phase: None,
            },
            (Role::BeginsStep, false) => Mark::DecodeEntered {
                tokens: Some(record.value as u32),
                phase: Some(if record.value >> 32 == 0 {
                    Phase::Generation
                } else {
                    Phase::Prompt
                }),
            },
            (Role::Embeds, false) => Mark::EmbeddingEntered,
            (Role::Named(phase), false) => Mark::StepBegan { phase: *phase },
            _ => return None,
        };
        Some(TimedMark {
            time: Nanos(record.time_ns),
            mark,
        })
    }
}

/// What others know and the reader of the ring buffer needs: lines of the log, and which processes are the engine's.
#[derive(Clone, Debug, Default)]
pub struct SharedMarks(Arc<Mutex<Known>>);

/// Who said that a phase begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenBy {
    /// A line of the engine's log, by `--phase-line`.
    LogLine,
    /// Somebody who wrote into the run's pipe.
    Pipe,
    /// `tracer mark`.
    Command,
    /// A key of the live screen.
    Screen,
}

impl GivenBy {
    /// As in the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LogLine => "phase_line",
            Self::Pipe => "pipe",
            Self::Command => "command",
            Self::Screen => "screen",
        }
    }
}

/// A phase that was given, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenMark {
    pub phase: GivenPhase,
    pub by: GivenBy,
    /// When the tracer had it: the time that counts.
    pub at: Nanos,
    /// It was given this much before that, at most.
    pub uncertainty_nanos: u64,
}

/// Marks that are kept for the record; later ones count, and are not listed.
const MOST_GIVEN: usize = 10_000;

#[derive(Debug, Default)]
struct Known {
    /// Begins a slice of time at each mark, where counts are kept by slices.
    cutter: Option<SliceCutter>,
    log: VecDeque<TimedMark>,
    given: Vec<GivenMark>,
    given_count: u64,
    processes: BTreeSet<u32>,
}

impl Known {
    /// What was marked just now counts from now on.
    fn mark(&mut self, mark: TimedMark) {
        let now = Nanos(monotonic_nanos()).max(mark.time);
        let mark = match &self.cutter {
            Some(cutter) => {
                cutter.mark(now.0);
                TimedMark { time: now, ..mark }
            }
            None => mark,
        };
        self.log.push_back(mark);
    }
}

impl SharedMarks {
    /// Where counts are kept by slices of time, `cutter` begins one at each mark.
    #[must_use]
    pub fn new(cutter: Option<SliceCutter>) -> Self {
        Self(Arc::new(Mutex::new(Known {
            cutter,
            ..Known::default()
        })))
    }

    /// A line of the log marks something.
    pub fn log(&self, mark: TimedMark) {
        self.known().mark(mark);
    }

    /// Somebody says that a phase begins.
    pub fn give(&self, given: GivenMark) {
        let mut known = self.known();
        known.mark(TimedMark {
            time: given.at,
            mark: given.phase.mark(),
        });
        known.given_count += 1;
        if known.given.len() < MOST_GIVEN {
            known.given.push(given);
        }
    }

    /// The phases that were given, the first 10,000 of them, and how many there were.
    #[must_use]
    pub fn given(&self) -> (Vec<GivenMark>, u64) {
        let known = self.known();
        (known.given.clone(), known.given_count)
    }

    /// A process belongs to the engine.
    pub fn process(&self, process_id: u32) {
        self.known().processes.insert(process_id);
    }

    /// Marks of the log since the last call.
    #[must_use]
    pub fn take_log(&self) -> VecDeque<TimedMark> {
        std::mem::take(&mut self.known().log)
    }

    /// Whether a process belongs to the engine.
    #[must_use]
    pub fn is_engine(&self, process_id: u32) -> bool {
        self.known().processes.contains(&process_id)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::phases::phase::{Mark, Phase};

    use super::{MarkedSymbols, NamedSymbol};
    use tracer_common::record::{KindByte, MarkRecord, UNKNOWN_TOKENS};

    fn record(
        symbols: &MarkedSymbols,
        name: &str,
        returns: u8,
        tokens: u32,
        value: u64,
    ) -> MarkRecord {
        let symbol = symbols.names().iter().position(|own| *own == name);
        MarkRecord {
            kind: KindByte::NEW,
            returns,
            symbol: symbol
                .and_then(|place| u16::try_from(place).ok())
                .expect("known"),
            process_id: 1,
            thread_id: 1,
            tokens,
            time_ns: 5,
            value,
        }
    }

    #[test]
    fn functions_of_the_user_come_beside_the_known_ones() {
        let named = [
            "my_step".parse(),
            "my_prompt=prompt".parse(),
            "llama_decode=warm-up".parse(),
        ];
        let named: Vec<NamedSymbol> = named
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("well-formed");
        let symbols = MarkedSymbols::new(&named);
        let meaning = |name: &str| {
            symbols
                .meaning(&record(&symbols, name, 0, UNKNOWN_TOKENS, 0))
                .map(|mark| mark.mark)
        };
        let entered = |phase| Some(Mark::StepBegan { phase });
        assert_eq!(meaning("my_step"), entered(None));
        assert_eq!(meaning("my_prompt"), entered(Some(Phase::Prompt)));
        assert_eq!(meaning("llama_decode"), entered(Some(Phase::WarmUp)));
        assert_eq!(symbols.points("my_step", 16).len(), 2);
        assert!(
            "x=nonsense"
                .parse::<NamedSymbol>()
                .is_err_and(|error| error.contains("generation"))
        );
        assert!("=load".parse::<NamedSymbol>().is_err());
    }

    #[test]
    fn pytorchs_embedding_is_known_by_its_entry() {
        let symbols = MarkedSymbols::new(&[]);
        let found = symbols
            .names()
            .into_iter()
            .find(|name| name.contains("embedding"));
        let search = found.expect("it is looked for");
        assert!(symbols.decodes(search));
        let points = symbols.points(search, 16);
        assert_eq!(points.len(), 1);
        assert!(!points[0].returns);
        assert!(symbols.is_called_by_each_worker(points[0].symbol));
        assert_eq!(
            symbols.name(points[0].symbol),
            Some("at::_ops::embedding::call")
        );
        let entered = record(&symbols, search, 0, UNKNOWN_TOKENS, 0);
        assert_eq!(
            symbols.meaning(&entered).map(|mark| mark.mark),
            Some(Mark::EmbeddingEntered)
        );
    }

    #[test]
    fn only_the_lowest_byte_switches_the_warm_up() {
        let symbols = MarkedSymbols::new(&[]);
        let of = |value| {
            symbols
                .meaning(&record(&symbols, "llama_set_warmup", 0, 0, value))
                .map(|mark| mark.mark)
        };
        assert_eq!(of(0xff00), Some(Mark::WarmUp(false)));
        assert_eq!(of(0x1), Some(Mark::WarmUp(true)));
    }
}
