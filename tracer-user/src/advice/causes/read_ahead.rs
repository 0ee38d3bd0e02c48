//! What the kernel read ahead and nobody used.

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present},
    stats::formulas::ratio,
    units::{bytes, count, share},
};

/// Share of what entered memory. Below it, even without read-ahead no more than a tenth would be saved.
const MATERIAL: f64 = 0.1;

pub const READ_AHEAD_IN_VAIN: Cause = Cause {
    name: "read_ahead_in_vain",
    title: "The kernel reads ahead what nobody uses, and throws out other weights for it",
    bounds: "at least 10 % of the bytes that entered the page cache were certainly thrown out again before anything used them. Measured: the built-in MoE engine has 51 % with a read-ahead of 8 MiB and two thirds of the memory, and none with room for the model. Its time is the time that reading cost, by these bytes' share over the whole run; what they pushed out comes on top, so it may be more.",
    refuted_by: "`page_cache.unused_at_most_bytes` below 10 % of `page_cache.inserted_bytes`; or a run with less read-ahead that reads as much a token.",
    remedy: "Less read-ahead helps. `tracer tune --allow read-ahead -- COMMAND` finds how much: it runs the engine with other values and puts back what it changed. The best value is neither the largest nor the smallest (measured with two engines: 32 and 128 KiB were best, worth 1.6 – 3.7 times the speed). By hand: `echo 128 > /sys/block/DEVICE/queue/read_ahead_kb`, then start the engine anew, since it is taken when a file is opened.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let Some(pages) = facts.model.page_cache else {
        return facts.missing("What left memory unused", "page_cache");
    };
    if pages.inserted_bytes == 0 || pages.evicted_bytes == 0 {
        return Answer::absent("nothing was thrown out of memory");
    }
    let (Some(least), Some(most)) = (pages.unused_at_least_bytes, pages.unused_at_most_bytes)
    else {
        return facts.missing(
            "What left memory unused",
            "page_cache.unused_at_least_bytes",
        );
    };
    let (Some(least_share), Some(most_share)) = (
        ratio(least, pages.inserted_bytes),
        ratio(most, pages.inserted_bytes),
    ) else {
        return Answer::absent("nothing entered memory");
    };
    if most_share < MATERIAL {
        return Answer::absent(format!(
            "at most {} of what entered memory left it unused",
            share(Some(most_share))
        ));
    }
    if least_share < MATERIAL {
        return Answer::not_decided(format!(
            "Between {} and {} of what entered memory left it unused: a use through an existing mapping cannot be seen. Runs with two settings of read_ahead_kb decide it.",
            share(Some(least_share)),
            share(Some(most_share))
        ));
    }
    let mut evidence = vec![Evidence::new(
        "page_cache.unused_at_least_bytes",
        "thrown out before anything used it, at least",
        format!(
            "{} ({} of what entered)",
            bytes(least),
            share(Some(least_share))
        ),
    )];
    if let Some((kind, unused)) = largest_kind(facts) {
        evidence.push(Evidence::new(
            "tensors[].unused_at_least_bytes",
            format!("most of it of kind {}", kind.replace('_', " ")),
            bytes(unused),
        ));
    }
    let kib = facts
        .device
        .and_then(|device| Some((device, device.read_ahead_kb?)));
    if let Some((device, kib)) = kib {
        evidence.push(Evidence::new(
            "devices[].read_ahead_kb",
            format!("read-ahead of {}", device.name),
            format!("{} KiB", count(kib)),
        ));
    }
    Answer::Present(Present {
        // With read-ahead off something else brings in what is not used: the engine itself, by a hint.
        only_likely: kib.is_none_or(|(_, kib)| kib == 0),
        cost: Cost::about(facts.reading_by(least_share)),
        evidence,
        advice: None,
    })
}

/// The kind of tensor of which most was unused.
fn largest_kind<'a>(facts: &Facts<'a>) -> Option<(&'a str, u64)> {
    let mut kinds = std::collections::BTreeMap::<&str, u64>::new();
    for tensor in facts.model.tensors.iter().flatten() {
        *kinds.entry(&tensor.kind).or_default() += tensor.unused_at_least_bytes?;
    }
    kinds.into_iter().max_by_key(|(_, bytes)| *bytes)
}
