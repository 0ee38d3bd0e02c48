//! What a search for the fastest settings is to reach, as plans write it.

use std::time::Duration;

use serde::Serialize;
use toml::Spanned;

use crate::{schema::TuneGoal, units::parse_bytes};

use super::{
    scalars::{time, word},
    source::{Complaints, TuneSource},
};

/// A search that does not say how long it may take.
const DEFAULT_BUDGET: Duration = Duration::from_secs(600);

/// What a search for the fastest settings is to reach.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TunePlan {
    pub goal: TuneGoal,
    /// No run is begun that would end later.
    pub budget: Duration,
    /// Read-ahead of the model's disk when the search began, bytes.
    pub read_ahead_now: Option<u64>,
    /// What tensors that are kept in memory may take, bytes.
    pub pin_budget: Option<u64>,
}

/// Reads `[tune]`. `None` where the plan is no search for settings.
pub(super) fn tune(
    source: Option<Spanned<TuneSource>>,
    is_search: bool,
    complaints: &mut Complaints<'_>,
) -> Option<TunePlan> {
    if let Some(source) = &source
        && !is_search
    {
        complaints.at(
            Some(source.span()),
            "[tune] belongs to a plan of kind = \"tune\"",
        );
    }
    if !is_search {
        return None;
    }
    let source = source.map(Spanned::into_inner);
    let (goal, budget, now, pin_budget) = source.map_or((None, None, None, None), |source| {
        (
            source.goal,
            source.budget,
            source.read_ahead_now,
            source.pin_budget,
        )
    });
    let mut size = |text: Option<Spanned<String>>| {
        let text = text?;
        let bytes = parse_bytes(text.get_ref());
        complaints.take(text.span(), bytes)
    };
    let (read_ahead_now, pin_budget) = (size(now), size(pin_budget));
    Some(TunePlan {
        goal: word(
            goal,
            &TuneGoal::ALL.map(|goal| (goal.name(), goal)),
            complaints,
        ),
        budget: time(budget, DEFAULT_BUDGET, true, complaints),
        read_ahead_now,
        pin_budget,
    })
}
