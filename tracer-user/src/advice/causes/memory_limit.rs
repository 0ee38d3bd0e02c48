//! A limit that counts page cache as use.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present},
    units::{bytes, share},
};

/// A group that came so near to its limit looks full.
const LOOKS_FULL: f64 = 0.9;
/// Share of the use that is page cache.
const MOSTLY_CACHE: f64 = 0.5;
/// Up to this share of what came back, the cache was not needed.
const CAME_BACK: f64 = 0.05;

pub const LIMIT_COUNTS_CACHE: Cause = Cause {
    name: "limit_counts_cache",
    title: "The engine looks as if it used up its limit, and most of that is page cache",
    bounds: "the control group used 90 % of its limit or more, at least half of that was page cache, and at most 5 % of what entered memory had been thrown out before: the limit is full and nothing is short.",
    refuted_by: "`cache.refaults` high: then the cache is needed. How much of it the kernel counts as inactive is not in the record (`inactive_file` in memory.stat of the group).",
    remedy: "Do not size the limit by memory.current or `docker stats`. What the engine needs is its own memory and the weights that a token uses; `tracer experiment threshold` finds the smallest limit that is enough.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let Some(group) = facts.group() else {
        return if facts.run.mode == "launch" {
            Answer::absent("the run was given no limit")
        } else {
            Answer::not_decided(
                "No limit of the engine's control group was seen (`process.memory_limit_bytes` is null): it has none, or is out of the tracer's sight. Compare memory.max with memory.current in its folder below /sys/fs/cgroup.",
            )
        };
    };
    let limit = group.limit_bytes;
    let Some(peak) = group.most_bytes else {
        return facts.missing("The most that the group used", group.member);
    };
    if (peak as f64) < LOOKS_FULL * limit as f64 {
        return Answer::absent(format!(
            "the group used {} of {}",
            bytes(peak),
            bytes(limit)
        ));
    }
    let cache = facts
        .run
        .memory_course
        .iter()
        .filter_map(|point| {
            let group = point.cgroup?;
            Some((group.usage_bytes?, group.file_bytes?))
        })
        .max();
    let Some((usage, file)) = cache else {
        return facts.missing(
            "How much of the group's use is page cache",
            "memory_course[].cgroup",
        );
    };
    let Some(came_back) = facts.refault_share() else {
        return facts.missing(
            "What came back after it was thrown out",
            "phases[].refaulted_bytes",
        );
    };
    if (file as f64) < MOSTLY_CACHE * usage as f64 || came_back > CAME_BACK {
        return Answer::absent(format!(
            "{} of {} used were page cache, and {} of what entered memory had been there before",
            bytes(file),
            bytes(usage),
            share(Some(came_back))
        ));
    }
    Answer::Present(Present {
        evidence: vec![
            Evidence::new(
                group.member,
                "most used, of the limit",
                format!("{} of {}", bytes(peak), bytes(limit)),
            ),
            Evidence::new(
                "memory_course[].cgroup.file_bytes",
                "of it page cache",
                bytes(file),
            ),
            Evidence::new(
                "phases[].refaulted_bytes",
                "of what entered memory, had been thrown out before",
                share(Some(came_back)),
            ),
        ],
        ..Present::default()
    })
}
