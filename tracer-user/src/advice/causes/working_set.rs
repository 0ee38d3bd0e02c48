//! The model does not fit, and what comes round again is gone.

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present, Unit},
    units::{bytes, share},
};

/// Share of what entered memory. In runs with room it is 0; of the runs that thrash, the lowest seen was above a half. A tenth
/// is far from both.
const MATERIAL: f64 = 0.1;
/// Read for each token, of what it uses: from here on hardly anything of the last pass was kept. The built-in engine and
/// llama.cpp both read more than they used at two thirds of the memory (1.5 – 66 times the model's size over a run).
const NOTHING_KEPT: f64 = 0.9;

pub const WORKING_SET: Cause = Cause {
    name: "working_set",
    title: "The model does not fit in memory, and each pass throws out what the next one needs",
    bounds: "at least 10 % of the bytes that entered the page cache, and were not read in vain, had been thrown out of it before in the same run. With room in memory this is 0; in the demo, with two thirds of its model's size as memory, it was above 50 %. Its time is the time that reading cost, by these bytes' share.",
    refuted_by: "`phases[].refaulted_bytes` near 0 in a run with this much memory: then nothing came back that had been there.",
    remedy: "Give the engine more memory (a higher limit, a smaller context, nothing else on the machine), or take a smaller model or quantisation. `tracer experiment threshold` finds how much memory is enough.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let Some(span) = facts.span else {
        return facts.missing("What came back by phase", "phases");
    };
    let Some(refaulted) = facts.refault_share() else {
        return facts.missing(
            "What came back after it was thrown out",
            "phases[].refaulted_bytes",
        );
    };
    // What pushed nothing useful out counts here; what was read in vain is another cause's.
    let Some(unused) = facts.unused_share() else {
        return match refaulted {
            refaulted if refaulted < MATERIAL => little(refaulted),
            _ => facts.missing(
                "How much of it was only read ahead in vain",
                "page_cache.unused_at_least_bytes",
            ),
        };
    };
    let part = refaulted.min(1.0 - unused);
    if part < MATERIAL {
        return little(part);
    }
    let mut evidence = vec![Evidence::new(
        "phases[].refaulted_bytes",
        "of what entered memory, had been thrown out before",
        share(Some(refaulted)),
    )];
    let (most, size) = (facts.most_resident(), facts.model.model.size_bytes);
    if let Some((most, member)) = most {
        evidence.push(Evidence::new(
            member,
            "most of the model in memory at once",
            format!("{} of {}", bytes(most), bytes(size)),
        ));
    }
    let advice = match (span.unit, facts.need_bytes(), span.inserted_bytes) {
        (Unit::Token { steps }, Some(need), Some(inserted)) => {
            let each = inserted as f64 / steps as f64;
            evidence.push(Evidence::new(
                "tokens[].need_bytes",
                "entered memory for each token, of what a token uses",
                format!("{} of {}", bytes(each as u64), bytes(need as u64)),
            ));
            most.filter(|_| each >= NOTHING_KEPT * need)
                .map(|(most, _)| kept(need, most as f64))
        }
        _ => None,
    };
    Answer::Present(Present {
        cost: Cost::about(facts.reading_by(part)),
        evidence,
        advice,
        ..Present::default()
    })
}

/// What could be kept of what a token uses, with so much memory.
fn kept(need: f64, most: f64) -> String {
    let first = "Hardly anything is kept from one token to the next.";
    if need > most {
        return format!(
            "{first} With this much memory the best possible choice of what to keep would still read {} a token; keeping a fixed part locked comes near that.",
            bytes((need - most) as u64)
        );
    }
    format!(
        "{first} What one token uses ({}) is less than what was in memory: something else takes its place, such as read-ahead, or weights that only other tokens use.",
        bytes(need as u64)
    )
}

fn little(part: f64) -> Answer {
    Answer::absent(format!(
        "{} of what entered memory had been there before",
        share(Some(part))
    ))
}
