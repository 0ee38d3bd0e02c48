//! Who throws the model out of memory.

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present},
    stats::formulas::ratio,
    units::{bytes, count, share},
};

/// Share of the model's pages that must have left memory.
const MATERIAL: f64 = 0.01;
/// A group that came so near to its limit has met it.
const AT_LIMIT: f64 = 0.95;
/// Share of evictions on purpose that is worth a sentence.
const ON_PURPOSE: f64 = 0.05;
/// From this share of what came back on, the time stands at other causes.
const CAME_BACK: f64 = 0.05;

pub const RECLAIM: Cause = Cause {
    name: "reclaim",
    title: "Memory runs out, and the kernel throws out pages of the model to make room",
    bounds: "reclaim threw out at least 1 % of the model. It is the engine's own limit where its control group used 95 % of it or more; the machine where kswapd did it, or where there is no limit. Its time is at most what the engine's threads spent in freeing memory; where much came back, that time is part of the causes that read it.",
    refuted_by: "`cache.evictions_by_agent` at 0 for kswapd and direct reclaim.",
    remedy: "Give more memory where it is short: raise the limit of the group, or free memory of the machine.",
    decide: reclaim,
};

pub const THROWN_OUT: Cause = Cause {
    name: "thrown_out",
    title: "Something drops the model from the page cache on purpose",
    bounds: "at least 5 % of the pages that were thrown out went by truncation, `drop_caches` or the hint POSIX_FADV_DONTNEED, and pages came back afterwards.",
    refuted_by: "`cache.evictions_by_agent.invalidation` at 0.",
    remedy: "Look for a script that writes to /proc/sys/vm/drop_caches, for `vmtouch -e`, a backup or copy program with `nocache`, or an engine's option that drops the file after loading.",
    decide: thrown_out,
};

fn reclaim(facts: &Facts<'_>) -> Answer {
    let Some(agents) = facts.model.cache.evictions_by_agent else {
        return facts.missing("Who threw pages out", "cache.evictions_by_agent");
    };
    let pages = agents.kswapd + agents.direct_reclaim + agents.kernel_thread;
    let evicted = pages.saturating_mul(facts.page_bytes());
    let part = ratio(evicted, facts.model.model.size_bytes).unwrap_or(0.0);
    if part < MATERIAL {
        return Answer::absent(format!("reclaim threw out {} of the model", bytes(evicted)));
    }
    let mut evidence = vec![Evidence::new(
        "cache.evictions_by_agent",
        "thrown out by the engine or others that wanted memory, by kswapd",
        format!(
            "{}, {}",
            bytes(agents.direct_reclaim.saturating_mul(facts.page_bytes())),
            bytes(agents.kswapd.saturating_mul(facts.page_bytes()))
        ),
    )];
    let group = facts.group();
    let at_limit = group.filter(|group| {
        group
            .most_bytes
            .and_then(|most| ratio(most, group.limit_bytes))
            .is_some_and(|used| used >= AT_LIMIT)
    });
    let (only_likely, advice) = if let Some(group) = at_limit {
        evidence.push(Evidence::new(
            group.member,
            "most used by the engine's group, of its limit",
            format!(
                "{} of {}",
                bytes(group.most_bytes.unwrap_or(0)),
                bytes(group.limit_bytes)
            ),
        ));
        let advice = if group.own {
            "It is the limit of the engine's own control group."
        } else {
            "It is the limit of the control group that the engine was found in (of a container or a service)."
        };
        (false, advice.to_owned())
    } else if agents.kswapd > agents.direct_reclaim {
        (
            false,
            "It is the machine: kswapd keeps its free memory above a mark.".to_owned(),
        )
    } else if group.is_some() || facts.run.mode == "launch" {
        (
            true,
            "It is the machine that is short of memory, as far as the record tells.".to_owned(),
        )
    } else {
        (true, "Whether it is a limit of the engine's own group or the machine, this record does not tell: no limit of its group was seen. Compare memory.current with memory.max there.".to_owned())
    };
    let came_back = facts.refault_share().is_none_or(|part| part >= CAME_BACK);
    let spent = facts.span.and_then(|span| {
        let seconds = span.waits.reclaim_s?;
        Some(span.each(seconds))
    });
    Answer::Present(Present {
        only_likely,
        cost: Cost::at_most(spent.filter(|_| !came_back)),
        evidence,
        advice: Some(advice),
    })
}

fn thrown_out(facts: &Facts<'_>) -> Answer {
    let cache = &facts.model.cache;
    let (Some(agents), Some(came_back)) = (cache.evictions_by_agent, cache.refaults) else {
        return facts.missing("Who threw pages out", "cache.evictions_by_agent");
    };
    let all = agents.kswapd + agents.direct_reclaim + agents.kernel_thread + agents.invalidation;
    let part = ratio(agents.invalidation, all).unwrap_or(0.0);
    if part < ON_PURPOSE || came_back == 0 {
        return Answer::absent(format!(
            "{} of the pages that left were dropped on purpose, and {} pages came back",
            share(Some(part)),
            count(came_back)
        ));
    }
    let back = came_back.min(agents.invalidation);
    let entered = cache.inserts.and_then(|inserts| ratio(back, inserts));
    Answer::Present(Present {
        cost: Cost::at_most(entered.and_then(|part| facts.reading_by(part))),
        evidence: vec![
            Evidence::new(
                "cache.evictions_by_agent.invalidation",
                "dropped on purpose",
                bytes(agents.invalidation.saturating_mul(facts.page_bytes())),
            ),
            Evidence::new("cache.refaults", "pages that came back", count(came_back)),
        ],
        ..Present::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::advice::{
        explain,
        sample::{MIB, healthy, thrashing},
    };

    #[test]
    fn a_limit_that_was_found_counts_as_one_that_was_given() {
        let mut run = healthy();
        thrashing(&mut run);
        run.pressure.cgroup = None;
        run.mode = "attach".into();
        let advice = |run: &crate::schema::RunRecord| {
            let causes = explain(run, None).models.remove(0).causes;
            let reclaim = causes.into_iter().find(|cause| cause.name == "reclaim");
            let reclaim = reclaim.expect("reclaim");
            (reclaim.only_likely, reclaim.advice)
        };
        let (likely, unknown) = advice(&run);
        assert!(
            likely && unknown.contains("no limit of its group was seen"),
            "{unknown}"
        );
        run.process.memory_limit_bytes = Some(1150 * MIB);
        let (likely, found) = advice(&run);
        assert!(!likely && found.contains("was found in"), "{found}");
        // Far from full, it is not the limit.
        run.process.memory_limit_bytes = Some(4000 * MIB);
        assert!(!advice(&run).1.contains("was found in"));
    }
}
