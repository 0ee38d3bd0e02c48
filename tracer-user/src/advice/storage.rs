//! Is it storage at all?

use serde::Serialize;

use crate::{
    stats::formulas::quotient,
    units::{bytes, share},
};

use super::{Facts, Unit};

/// Below this share of the time, waiting for the disk is not what makes a token slow: 1 % is less than runs of the same
/// command differ by.
pub const HARDLY: f64 = 0.01;

/// Why a run that shows the experts says nothing else.
pub const OWN_DOING: &str = "This run was made to see which experts tokens use (--show-experts): what was read and waited for is mostly the tracer's own doing, and says nothing of how the engine runs without. `tracer size` says what it shows.";

/// Whether the engine waited for storage.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Storage {
    No { sentence: String },
    Yes { share: f64, sentence: String },
    NotDecided { sentence: String },
}

impl Storage {
    #[must_use]
    pub fn sentence(&self) -> &str {
        match self {
            Self::No { sentence } | Self::Yes { sentence, .. } | Self::NotDecided { sentence } => {
                sentence
            }
        }
    }
}

/// Judges the span of the facts.
#[must_use]
pub fn storage(facts: &Facts<'_>) -> Storage {
    let not_decided = |sentence: String| Storage::NotDecided { sentence };
    if facts.run.pressure.shown_experts.is_some() {
        return not_decided(OWN_DOING.to_owned());
    }
    let Some(span) = facts.span else {
        let level = if facts.run.detail.as_deref() == Some("counts") {
            "the level `counts` has no waits. `--detail events` shows them"
        } else {
            "the record has no phases. Trace again with `--detail events`"
        };
        return not_decided(format!(
            "Whether storage is what you wait for is not known: {level}."
        ));
    };
    let when = match span.unit {
        Unit::Token { .. } => "while tokens were generated",
        Unit::Run => "in this run",
    };
    let swapped = facts.run.memory.swap_in_pages.is_none_or(|pages| pages > 0)
        && facts.run.machine.swap_total_bytes != Some(0);
    let other_io = span
        .waits
        .other_io_threads_s
        .and_then(|seconds| quotient(seconds, span.duration_s));
    let reclaimed = span
        .waits
        .reclaim_s
        .and_then(|seconds| quotient(seconds, span.duration_s));
    let nothing_read = span.read_bytes == Some(0);
    let stalled = span
        .waits
        .stall_s
        .and_then(|stall| quotient(stall, span.duration_s));
    match stalled {
        Some(stalled) if stalled >= HARDLY => Storage::Yes {
            share: stalled,
            sentence: format!(
                "The engine waits for storage: {when}, a thread waited for the model {} of the time{}.",
                share(Some(stalled)),
                reclaimed.filter(|part| *part >= HARDLY).map_or_else(
                    String::new,
                    |part| format!(", and for another {} one freed memory for what is read", share(Some(part)))
                )
            ),
        },
        _ if other_io.is_some_and(|part| part >= HARDLY) => not_decided(format!(
            "The engine's threads waited {} of the time {when} for reads and writes past the page cache or of other files: whether for the model, this record does not tell.",
            share(other_io)
        )),
        Some(_) if reclaimed.is_some_and(|part| part >= HARDLY) => Storage::Yes {
            share: reclaimed.unwrap_or(0.0),
            sentence: format!(
                "The engine hardly waits for the disk, but for {} of the time {when} one of its threads freed memory for what is read.",
                share(reclaimed)
            ),
        },
        None if nothing_read && !swapped => Storage::No {
            sentence: format!(
                "Storage is not what you wait for: nothing of the model was read {when}."
            ),
        },
        None => not_decided(format!(
            "{} of the model were read {when}. Whether the engine waited for that was not observed: {}.",
            span.read_bytes.map_or_else(|| "An unknown number of bytes".to_owned(), bytes),
            if facts.run.detail.as_deref() == Some("counts") {
                "`--detail events` shows it"
            } else {
                "the notes of the run say why"
            },
        )),
        Some(_) if swapped && facts.run.memory.swap_in_pages.is_some() => not_decided(
            "The engine hardly waited for the model's files, but the machine read from swap meanwhile: see below.".to_owned(),
        ),
        Some(stalled) => Storage::No {
            sentence: if nothing_read {
                format!(
                    "Storage is not what you wait for: nothing of the model was read {when}, and no time went into waiting for it."
                )
            } else {
                format!(
                    "Storage is not what you wait for: {when}, a thread waited for the model {} of the time.",
                    share(Some(stalled))
                )
            },
        },
    }
}
