//! What all charts over time share: the axis, the phases, the steps.

use crate::{
    chart::{Axis, Ink, Mark},
    figures::Unit,
    schema::{ModelRecord, RunRecord, TokenRecord},
};

use super::reads::TimeWindow;

/// Most steps that are marked one by one.
const MOST_TICKS: usize = 240;

pub(super) fn axis(record: &RunRecord, window: Option<TimeWindow>) -> Axis {
    let window = window.unwrap_or(TimeWindow {
        from_s: 0.0,
        to_s: record.time.wall_s,
    });
    Axis::linear(
        "time since the start",
        Unit::Seconds,
        window.from_s,
        window.to_s,
    )
}

/// The phases, each a band with its name.
pub(super) fn phases(model: &ModelRecord) -> Vec<Mark> {
    let phases = model.phases.iter().flatten();
    phases
        .filter(|phase| phase.duration_s > 0.0)
        .map(|phase| Mark::Band {
            name: phase.phase.replace('_', "-"),
            from: phase.start_s,
            to: phase.end_s,
            ink: None,
        })
        .collect()
}

/// The begin of each decode step, and how much of it was waited; nothing where there are too many to tell apart.
pub(super) fn steps(model: &ModelRecord) -> Vec<Mark> {
    let tokens: &[TokenRecord] = model.tokens.as_deref().unwrap_or_default();
    if tokens.is_empty() || tokens.len() > MOST_TICKS {
        return Vec::new();
    }
    let begins = tokens.iter().map(|token| (token.start_s, 0.1)).collect();
    let waits: Vec<(f64, f64)> = tokens
        .iter()
        .filter_map(|token| {
            let duration = token.duration_s.filter(|duration| *duration > 0.0)?;
            let share = token.waits.stall_s? / duration;
            (share >= 0.01).then_some((token.start_s + duration / 2.0, share))
        })
        .collect();
    let mut marks = vec![Mark::Ticks {
        name: "a token begins".into(),
        ink: Ink::Limit,
        ticks: begins,
    }];
    if !waits.is_empty() {
        marks.push(Mark::Ticks {
            name: "waited for the disk (higher: more of the token)".into(),
            ink: Ink::Wait,
            ticks: waits,
        });
    }
    marks
}
