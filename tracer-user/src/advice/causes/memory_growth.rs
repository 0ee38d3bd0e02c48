//! Memory of the engine's own that grows while tokens come.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present, Unit},
    units::bytes,
};

/// Share of the model's size by which the engine's own memory grows.
const MATERIAL: f64 = 0.05;

pub const MEMORY_GROWTH: Cause = Cause {
    name: "memory_growth",
    title: "The engine's own memory grows (its KV cache, most likely) and pushes the model out",
    bounds: "from the first to the last sample in generation, the engine's own memory grew by at least 5 % of the model's size, and the model in memory shrank by at least half of that. Only likely: the record has sizes, not what is in them.",
    refuted_by: "`memory_course[].process.anonymous_bytes` level in generation, or `residency_course` that does not fall.",
    remedy: "Limit the context (llama.cpp: `-c`), quantise the KV cache (`--cache-type-k q8_0`), serve fewer requests at once; or give as much more memory.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let phases = facts.model.phases.iter().flatten();
    let decoding = phases
        .filter(|phase| matches!(phase.phase.as_str(), "generation" | "mixed" | "inference"))
        .find(|phase| phase.steps > 0);
    let Some(phase) = decoding.filter(|_| matches!(facts.unit(), Unit::Token { .. })) else {
        return Answer::not_decided(
            "No phase in which tokens came was seen, so there is nothing to compare: name the engine's functions or lines (`--mark`, `--phase-line`).",
        );
    };
    let within = |at: f64| (phase.start_s..=phase.end_s).contains(&at);
    let own: Vec<u64> = facts
        .run
        .memory_course
        .iter()
        .filter(|point| within(point.at_s))
        .filter_map(|point| point.process?.anonymous_bytes)
        .collect();
    let slot = facts
        .run
        .all_models()
        .position(|model| std::ptr::eq(model, facts.model));
    let cached: Vec<u64> = facts
        .run
        .residency_course
        .iter()
        .filter(|point| within(point.at_s))
        .filter_map(|point| *point.by_events_bytes.get(slot?)?)
        .collect();
    let ([before, .., after], [cached_before, .., cached_after]) = (&own[..], &cached[..]) else {
        return Answer::not_decided(
            "Fewer than two samples of memory lie in generation (`memory_course`, every 200 ms): generate more tokens.",
        );
    };
    let grown = after.saturating_sub(*before);
    let lost = cached_before.saturating_sub(*cached_after);
    if (grown as f64) < MATERIAL * facts.model.model.size_bytes as f64 || lost < grown / 2 {
        return Answer::absent(format!(
            "the engine's own memory grew by {}, and the model in memory shrank by {}",
            bytes(grown),
            bytes(lost)
        ));
    }
    Answer::Present(Present {
        only_likely: true,
        evidence: vec![
            Evidence::new(
                "memory_course[].process.anonymous_bytes",
                "growth of the engine's own memory in generation",
                bytes(grown),
            ),
            Evidence::new(
                "residency_course[].by_events_bytes",
                "the model in memory shrank by",
                bytes(lost),
            ),
        ],
        ..Present::default()
    })
}
