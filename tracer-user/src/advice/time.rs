//! Where the time went.

use serde::Serialize;

use super::{Facts, Unit};

/// The time of generation (or of the run), in parts that sum to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimeSplit {
    pub unit: Unit,
    pub duration_s: f64,
    /// In the order in which a moment is given to them. Their shares sum to 1.
    pub parts: Vec<TimePart>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimePart {
    /// `model`, `reclaim`, `locks`, `other_io`, `rest` or `not_told`.
    pub name: &'static str,
    /// What it is, in words.
    pub what: &'static str,
    pub seconds: f64,
    pub share: f64,
}

/// Splits the span. None where waits for the model were not observed, or no time passed.
///
/// A null among the others joins what follows it to one part.
#[must_use]
pub fn time_split(facts: &Facts<'_>) -> Option<TimeSplit> {
    let span = facts.span.filter(|span| span.duration_s > 0.0)?;
    let waits = span.waits;
    let mut left = span.duration_s;
    let mut parts = Vec::new();
    let mut give = |name, what, seconds: f64, left: &mut f64| {
        let seconds = seconds.clamp(0.0, *left);
        *left -= seconds;
        parts.push(TimePart {
            name,
            what,
            seconds,
            share: seconds / span.duration_s,
        });
    };
    give(
        "model",
        "at least one thread waits for the model",
        waits.stall_s?,
        &mut left,
    );
    let mut all_known = true;
    for (name, what, seconds) in [
        ("reclaim", "the engine frees memory itself", waits.reclaim_s),
        ("locks", "locks in page faults on the model", waits.lock_s),
        (
            "other_io",
            "other reads and writes, direct reads among them",
            waits.other_io_s,
        ),
    ] {
        match seconds {
            Some(seconds) => give(name, what, seconds, &mut left),
            None => all_known = false,
        }
    }
    let rest = left;
    if all_known {
        give("rest", "computing or other", rest, &mut left);
    } else {
        give(
            "not_told",
            "computing, or waits that were not observed",
            rest,
            &mut left,
        );
    }
    Some(TimeSplit {
        unit: span.unit,
        duration_s: span.duration_s,
        parts,
    })
}
