//! Phases of an inference run, told from marks.
//!
//! Every mark is a boundary; what lies between two of them is a segment. Segments are put together to phases and
//! steps by [`classify`], which may wait until all marks are known: a log line that says more than an earlier one
//! may come late.

use serde::{Deserialize, Serialize};

use crate::stats::Nanos;

use super::passes::same_pass;

/// What an engine does in a part of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing is known of it: no mark came before it, or none at all.
    Unmarked,
    Load,
    /// Loaded, and not decoding: a context is made, a server waits for a request.
    Idle,
    /// A decode call that only touches everything once.
    WarmUp,
    /// The prompt is processed.
    Prompt,
    /// One token a step.
    Generation,
    /// Several requests at once.
    Mixed,
    /// Prompt and generation, which no mark tells apart.
    Inference,
    /// From the entry of the last decode call to the window's end, where nothing says when that call's step ended.
    UnendedStep,
    /// After the last decode call.
    End,
}

impl Phase {
    /// All of them, in the order of a run.
    pub const ALL: [Self; 10] = [
        Self::Unmarked,
        Self::Load,
        Self::Idle,
        Self::WarmUp,
        Self::Prompt,
        Self::Generation,
        Self::Mixed,
        Self::Inference,
        Self::UnendedStep,
        Self::End,
    ];

    /// Whether it consists of decode calls.
    #[must_use]
    pub const fn has_steps(self) -> bool {
        matches!(
            self,
            Self::WarmUp | Self::Prompt | Self::Generation | Self::Mixed | Self::Inference
        )
    }

    /// Its name, as in the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unmarked => "unmarked",
            Self::Load => "load",
            Self::Idle => "idle",
            Self::WarmUp => "warm_up",
            Self::Prompt => "prompt",
            Self::Generation => "generation",
            Self::Mixed => "mixed",
            Self::Inference => "inference",
            Self::UnendedStep => "unended_step",
            Self::End => "end",
        }
    }
}

/// Where a load's end was taken from, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadEndBasis {
    /// All of the model has been inserted into the page cache once.
    FullPass,
    /// A log line that comes late: a server listens, a grammar was read.
    LateLogLine,
    /// A log line right after it.
    LogLine,
    /// A log line of the moment itself.
    ExactLogLine,
    /// The context is made next.
    ContextMade,
    /// The function that loads returned.
    Returned,
    /// Somebody who knows said what comes next.
    Given,
}

/// What happened at a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The model has been loaded; of several the best basis counts, and of equals the last one before the first
    /// decode call (an engine may load twice, a fitting pass first).
    Loaded(LoadEndBasis),
    /// Decode calls from here on are a warm-up, or no longer.
    WarmUp(bool),
    /// The log said that the next decode call is a warm-up.
    WarmUpAnnounced,
    /// A decode call is entered.
    DecodeEntered {
        /// Tokens in its batch, where they are known.
        tokens: Option<u32>,
        /// The phase that the user gave the symbol.
        phase: Option<Phase>,
    },
    /// A decode call returned: its step has ended.
    DecodeReturned,
    /// A function is entered that begins a step, and may leave most of the step's work to what comes after it, as
    /// `at::_ops::embedding::call` of PyTorch does.
    StepBegan {
        /// The phase that the user gave the symbol.
        phase: Option<Phase>,
    },
    /// PyTorch looks up an embedding: a forward pass begins. A model with several (of tokens, of positions) does so several
    /// times in each pass.
    EmbeddingEntered,
    /// The function of [`Mark::StepBegan`] returned.
    BeginnerReturned,
    /// Somebody who knows says that a phase begins: the user's line of a log, a script. It lasts until another is given.
    PhaseGiven(Phase),
    /// The log said that the prompt has been processed.
    PromptEnded,
    /// A server begins a request.
    RequestBegan,
    /// A server has ended a request.
    RequestEnded,
}

impl Mark {
    /// Whether a step begins with it.
    #[must_use]
    pub const fn begins_step(self) -> bool {
        matches!(
            self,
            Self::DecodeEntered { .. } | Self::StepBegan { .. } | Self::EmbeddingEntered
        )
    }
}

/// Why the end of the last step is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unended {
    /// The window ended before the decode call returned.
    WindowEnded,
    /// Only the step's begin is marked: its function returns before the step's work is done, or it has none.
    EntryOnly,
}

/// A mark with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedMark {
    pub time: Nanos,
    pub mark: Mark,
}

/// What a segment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentClass {
    pub phase: Phase,
    /// The step that it is a part of, counted over all decode calls from 0.
    pub step: Option<u32>,
    /// Tokens in the step's batch, where they are known.
    pub tokens: Option<u32>,
}

/// Classes of the segments of a window: one before the first mark, and one from each mark to the next. `marks` are
/// in the order of time. `from_start` says that the window holds the engine's whole life, so that what comes first
/// is the load.
#[must_use]
pub fn classify(marks: &[TimedMark], from_start: bool) -> Vec<SegmentClass> {
    let mut classes = match marks.iter().position(|mark| mark.mark.begins_step()) {
        Some(first) => with_steps(marks, first, from_start),
        None => without_steps(marks, from_start),
    };
    // What was given counts over what was told from the other marks.
    let mut given = None;
    for (mark, class) in marks.iter().zip(classes.iter_mut().skip(1)) {
        match mark.mark {
            Mark::PhaseGiven(phase) => given = Some(phase),
            // A step that is marked ends a phase without steps.
            Mark::StepBegan { .. } => given = given.filter(|phase| phase.has_steps()),
            _ => {}
        }
        match given {
            Some(phase) if phase.has_steps() => class.phase = phase,
            Some(phase) => *class = plain(phase),
            None => {}
        }
    }
    classes
}

/// Whether a step ends where the function returns that began it: most of the time from one entry to the next passes
/// inside of it, in at least half of the steps. Without two entries nothing says so.
fn beginner_ends_step(marks: &[TimedMark]) -> bool {
    let (mut inside, mut steps) = (0usize, 0usize);
    let (mut entered, mut returned) = (None, None);
    for mark in marks {
        match mark.mark {
            Mark::StepBegan { .. } => {
                if let (Some(entry), Some(exit)) = (entered, returned) {
                    let share = |to: Nanos| to.since(entry).unwrap_or(0);
                    steps += 1;
                    inside += usize::from(share(exit) > share(mark.time) / 2);
                }
                (entered, returned) = (Some(mark.time), None);
            }
            Mark::BeginnerReturned => returned = Some(mark.time),
            _ => {}
        }
    }
    steps > 0 && inside * 2 >= steps
}

/// Why the end of the last step is not known, where that is so. `marks` are those of the whole window.
#[must_use]
pub fn unended(marks: &[TimedMark]) -> Option<Unended> {
    let last = marks.iter().rposition(|mark| mark.mark.begins_step())?;
    let (entry, after) = marks.get(last..)?.split_first()?;
    let (phase, unended) = match entry.mark {
        Mark::DecodeEntered { phase, .. } => (phase, Unended::WindowEnded),
        Mark::StepBegan { phase } => (phase, Unended::EntryOnly),
        Mark::EmbeddingEntered => (None, Unended::EntryOnly),
        _ => return None,
    };
    // What the user calls the load is no step.
    let is_step = phase.is_none_or(Phase::has_steps);
    let ended = after.iter().any(|mark| match mark.mark {
        Mark::DecodeReturned => true,
        Mark::PhaseGiven(phase) => !phase.has_steps(),
        Mark::BeginnerReturned => beginner_ends_step(marks),
        _ => false,
    });
    (is_step && !ended).then_some(unended)
}

/// Whether a mark says that several requests are being worked on after it.
fn active_after(active: u32, mark: Mark) -> u32 {
    match mark {
        Mark::RequestBegan => active + 1,
        Mark::RequestEnded => active.saturating_sub(1),
        _ => active,
    }
}

const fn plain(phase: Phase) -> SegmentClass {
    SegmentClass {
        phase,
        step: None,
        tokens: None,
    }
}

fn with_steps(marks: &[TimedMark], first_decode: usize, from_start: bool) -> Vec<SegmentClass> {
    let before = marks.get(..first_decode).unwrap_or_default();
    let load_end = load_end(before);
    let mut classes = Vec::with_capacity(marks.len() + 1);
    // Before the first decode call: the load up to its end, then idle. Without a mark of the load's end the load
    // is what comes before the first decode call.
    for segment in 0..=before.len() {
        classes.push(plain(match load_end {
            _ if !from_start && load_end.is_none() => Phase::Unmarked,
            Some(end) if segment > end => Phase::Idle,
            _ => Phase::Load,
        }));
    }
    classes.pop();
    // The segment that ends at the first decode call.
    classes.push(plain(match load_end {
        Some(_) => Phase::Idle,
        None if from_start => Phase::Load,
        None => Phase::Unmarked,
    }));

    let mut active = 0u32;
    let mut requests_seen = false;
    let (mut warm_up, mut warm_up_announced) = (false, false);
    for mark in before {
        active = active_after(active, mark.mark);
        requests_seen |= mark.mark == Mark::RequestBegan;
        match mark.mark {
            Mark::WarmUp(on) => warm_up = on,
            Mark::WarmUpAnnounced => warm_up_announced = true,
            _ => {}
        }
    }
    // A server that says when requests begin decodes before the first one only to try things out.
    let is_server = marks.iter().any(|mark| mark.mark == Mark::RequestBegan);
    let mut new_request = true;
    let mut step = 0u32;
    let mut current = plain(Phase::Idle);
    let mut inside = false;
    // Segments since the latest return, which belong to its step if another decode call of the request follows.
    let mut pending_from = None;
    let beginner_ends_step = beginner_ends_step(marks);
    // The segment that the latest decode call begins.
    let mut last_entry = classes.len();
    let embeddings: Vec<(usize, Nanos)> = marks
        .iter()
        .enumerate()
        .filter(|(_, mark)| mark.mark == Mark::EmbeddingEntered)
        .map(|(number, mark)| (number, mark.time))
        .collect();
    let same_pass = same_pass(&embeddings);
    for (number, mark) in marks.iter().enumerate().skip(first_decode) {
        let (tokens, named) = match mark.mark {
            Mark::DecodeEntered { tokens, phase } => (tokens, phase),
            Mark::StepBegan { phase } => (None, phase),
            _ => (None, None),
        };
        match mark.mark {
            Mark::EmbeddingEntered if same_pass.contains(&number) => {}
            Mark::DecodeEntered { .. } | Mark::StepBegan { .. } | Mark::EmbeddingEntered => {
                let phase = named.unwrap_or_else(|| {
                    let kind = decode_phase(
                        tokens,
                        warm_up || warm_up_announced || (is_server && from_start && !requests_seen),
                        new_request && (from_start || requests_seen),
                        active,
                    );
                    if kind != Phase::WarmUp {
                        new_request = false;
                    }
                    kind
                });
                warm_up_announced = false;
                let begins_request = matches!(phase, Phase::Prompt)
                    && current.phase != Phase::Prompt
                    && current.step.is_some();
                if let Some(from) = pending_from.take() {
                    let class =
                        if begins_request || phase == Phase::WarmUp || current.step.is_none() {
                            plain(Phase::Idle)
                        } else {
                            current
                        };
                    classes.iter_mut().skip(from).for_each(|own| *own = class);
                }
                current = SegmentClass {
                    phase,
                    step: phase.has_steps().then_some(step),
                    tokens,
                };
                step += u32::from(phase.has_steps());
                inside = true;
                last_entry = classes.len();
            }
            // What is no step, such as a load that the user named, ends with its function.
            Mark::BeginnerReturned if !beginner_ends_step && current.step.is_some() => {}
            Mark::DecodeReturned | Mark::BeginnerReturned => {
                inside = false;
                pending_from = Some(classes.len());
            }
            Mark::WarmUp(on) => warm_up = on,
            Mark::WarmUpAnnounced => warm_up_announced = true,
            Mark::RequestBegan => {
                // The line of a log is read some time after it was written: a request that begins inside of a call
                // while there is no other began before it.
                let began_before = inside && active == 0;
                active = active_after(active, mark.mark);
                requests_seen = true;
                new_request = !began_before;
                if began_before && current.phase == Phase::WarmUp && !warm_up {
                    let step = current.step;
                    current.phase = Phase::Prompt;
                    let own = classes
                        .iter_mut()
                        .rev()
                        .take_while(|class| class.step == step);
                    own.for_each(|class| class.phase = Phase::Prompt);
                }
            }
            Mark::RequestEnded => active = active_after(active, mark.mark),
            Mark::Loaded(_) | Mark::PromptEnded | Mark::PhaseGiven(_) => {}
        }
        classes.push(if inside || pending_from.is_none() {
            current
        } else {
            plain(Phase::End)
        });
    }
    if unended(marks) == Some(Unended::EntryOnly) {
        let unended = classes.iter_mut().skip(last_entry);
        unended.for_each(|class| class.phase = Phase::UnendedStep);
    }
    classes
}

/// The phase of a decode call.
fn decode_phase(tokens: Option<u32>, warm_up: bool, new_request: bool, active: u32) -> Phase {
    if warm_up {
        Phase::WarmUp
    } else if active > 1 {
        Phase::Mixed
    } else if new_request || tokens.is_some_and(|tokens| tokens > 1) {
        Phase::Prompt
    } else {
        Phase::Generation
    }
}

/// Number of the mark at which loading ended.
fn load_end(marks: &[TimedMark]) -> Option<usize> {
    let given = marks
        .iter()
        .position(|mark| matches!(mark.mark, Mark::PhaseGiven(phase) if phase != Phase::Load));
    if given.is_some() {
        return given;
    }
    marks
        .iter()
        .enumerate()
        .filter_map(|(number, mark)| match mark.mark {
            Mark::Loaded(basis) => Some((basis, number)),
            _ => None,
        })
        .max()
        .map(|(_, number)| number)
}

fn without_steps(marks: &[TimedMark], from_start: bool) -> Vec<SegmentClass> {
    let load_end = load_end(marks);
    let prompt_end = marks.iter().position(|mark| mark.mark == Mark::PromptEnded);
    (0..=marks.len())
        .map(|segment| {
            let after = |number: Option<usize>| number.is_some_and(|number| segment > number);
            plain(match load_end {
                Some(_) if !after(load_end) => Phase::Load,
                None if !after(prompt_end) => Phase::Unmarked,
                _ if after(prompt_end) => Phase::Generation,
                _ if prompt_end.is_some() => Phase::Prompt,
                _ => Phase::Inference,
            })
        })
        .map(|class| match class.phase {
            Phase::Load if !from_start => plain(Phase::Unmarked),
            _ => class,
        })
        .collect()
}

/// The basis of the load's end that [`classify`] goes by.
#[must_use]
pub fn load_end_basis(marks: &[TimedMark]) -> Option<LoadEndBasis> {
    let first_decode = marks
        .iter()
        .position(|mark| mark.mark.begins_step())
        .unwrap_or(marks.len());
    let before = marks.get(..first_decode)?;
    match before.get(load_end(before)?)?.mark {
        Mark::Loaded(basis) => Some(basis),
        Mark::PhaseGiven(_) => Some(LoadEndBasis::Given),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
