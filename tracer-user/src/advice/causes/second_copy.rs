//! The weights in memory twice.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present},
    units::{bytes, count},
};

/// Share of the model that the engine must have as its own memory: less may be its KV cache and buffers.
const OWN: f64 = 0.5;
/// Share of the model that must be in the page cache as well.
const CACHED: f64 = 0.25;
/// `read()` looks pages up and faults hardly; a mapping faults.
const LOOK_UPS_A_FAULT: u64 = 8;

pub const SECOND_COPY: Cause = Cause {
    name: "second_copy",
    title: "The engine reads the weights into memory of its own, and the page cache keeps a second copy",
    bounds: "the engine called read() on the model (at least 8 look-ups for each page fault on it), its own memory grew to half of the model's size or more, and a quarter of the model or more was in the page cache at the same time. Only likely: the record has the size of the engine's memory, not what is in it.",
    refuted_by: "`process.peak.anonymous_bytes` well below the model's size, or `cache.after_bytes` near 0.",
    remedy: "Map the file instead (llama.cpp: without `--no-mmap`), or read past the page cache (llama.cpp: `--load-mode dio`); `tracer tune -- COMMAND` tries what the engine has. The cached copy can be given back at any time: a limit that counts it makes the engine look larger than it is.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let cache = &facts.model.cache;
    let size = facts.model.model.size_bytes as f64;
    let (Some(look_ups), Some(faults)) = (cache.lookups, cache.faults) else {
        return facts.missing(
            "Whether the engine maps or reads the model",
            "cache.lookups",
        );
    };
    if look_ups == 0 || look_ups / LOOK_UPS_A_FAULT < faults {
        return Answer::absent("the engine does not read() the model into memory of its own");
    }
    let own = facts
        .run
        .process
        .peak
        .as_ref()
        .and_then(|peak| peak.anonymous_bytes);
    let Some(own) = own else {
        return Answer::not_decided(
            "The engine reads the model with read(), and its own memory is not known (`process.peak.anonymous_bytes` is null): it ended before it was looked at, or belongs to another user. A longer run shows it.",
        );
    };
    let Some((cached, member)) = facts.most_resident() else {
        return facts.missing("How much of the model is cached", "cache.after_bytes");
    };
    if (own as f64) < OWN * size || (cached as f64) < CACHED * size {
        return Answer::absent(format!(
            "the engine has {} of its own, and {} of the model are cached",
            bytes(own),
            bytes(cached)
        ));
    }
    Answer::Present(Present {
        only_likely: true,
        evidence: vec![
            Evidence::new("cache.lookups", "look-ups by read()", count(look_ups)),
            Evidence::new(
                "process.peak.anonymous_bytes",
                "the engine's own memory at its peak",
                bytes(own),
            ),
            Evidence::new(member, "most of the model in the page cache", bytes(cached)),
        ],
        ..Present::default()
    })
}
