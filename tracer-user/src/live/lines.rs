//! Without a terminal: one line a second.

use crate::run::onlooker::RunBegun;

use super::{
    history::{History, Point},
    numbers,
    window::Figures,
};

/// Waits are added up some time apart, and are those of so many seconds.
const WAITS_S: f64 = 5.0;

/// What happened since the line before. `before`: the point of that line.
pub fn line(begun: &RunBegun, before: Option<&Point>, history: &History) -> Option<String> {
    words(begun, before, history)
}

/// The whole run, once it is over.
pub fn last_line(begun: &RunBegun, latest: &Point) -> Option<String> {
    let words = begun.models.iter().enumerate().filter_map(|(slot, model)| {
        let run = Figures::between(model, slot, None, latest);
        let figures = latest.model(slot)?;
        Some(format!(
            "{}: {} read in {} reads, {} the model; {} in memory; {} tokens, {} each; a thread waited {} of the time",
            model.name,
            numbers::bytes(run.read_bytes),
            numbers::count(run.reads),
            numbers::times(run.reread_factor),
            numbers::bytes(figures.resident_bytes),
            run.tokens.steps,
            numbers::bytes(run.tokens.bytes_a_step.map(|bytes| bytes as u64)),
            numbers::share(run.stalled),
        ))
    });
    let all: Vec<String> = words.collect();
    (!all.is_empty()).then(|| {
        format!(
            "at the end, after {}: {}",
            numbers::span(latest.run.at_s),
            all.join("; ")
        )
    })
}

fn words(begun: &RunBegun, before: Option<&Point>, history: &History) -> Option<String> {
    let latest = history.latest()?;
    let of_models = begun.models.iter().enumerate().filter_map(|(slot, model)| {
        let now = Figures::between(model, slot, before, latest);
        let run = Figures::between(model, slot, None, latest);
        let waits = Figures::between(model, slot, history.before(WAITS_S), latest);
        let figures = latest.model(slot)?;
        let mut parts = Vec::new();
        if begun.models.len() > 1 {
            parts.push(model.name.clone());
        }
        if let Some(phase) = figures.parts.phases.current {
            parts.push(phase.name().replace('_', " "));
        }
        parts.push(format!("disk {}", numbers::rate(now.bytes_per_s)));
        parts.push(format!(
            "read {} ({})",
            numbers::bytes(run.read_bytes),
            numbers::times(run.reread_factor)
        ));
        parts.push(format!(
            "in memory {}",
            numbers::bytes(figures.resident_bytes)
        ));
        parts.push(format!("waiting {}", numbers::share(waits.stalled)));
        if run.tokens.steps > 0 {
            parts.push(format!("{} tokens", run.tokens.steps));
        }
        Some(parts.join(", "))
    });
    let all: Vec<String> = of_models.collect();
    let lost = latest.run.losses.map_or(0, |losses| losses.sum());
    let lost = if lost > 0 {
        format!(", {lost} EVENTS LOST")
    } else {
        String::new()
    };
    (!all.is_empty()).then(|| {
        format!(
            "{}  {}{lost}",
            numbers::clock(latest.run.at_s),
            all.join("; ")
        )
    })
}
