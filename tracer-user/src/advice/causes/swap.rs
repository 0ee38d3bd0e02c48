//! Memory of the engine's own that went to swap.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present},
    units::bytes,
};

/// 1 MiB: a quiet machine brings back some pages of others now and then.
const MATERIAL_PAGES: u64 = 256;

pub const SWAP: Cause = Cause {
    name: "swap",
    title: "Memory is read back from swap (a disk, or compressed memory)",
    bounds: "at least 1 MiB was swapped in on the machine during the run. It is the engine's where its own memory in swap was above 0; else only likely, since the counter is the whole machine's.",
    refuted_by: "`memory.swap_in_pages` near 0, or the engine's VmSwap at 0 all the time.",
    remedy: "Weights that were copied to the engine's own memory (repacked, or `--no-mmap`) can only go to swap; weights that are mapped are read from the model's file. Map them, or give more memory, or forbid swap for the engine's group (memory.swap.max=0).",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    if facts.run.machine.swap_total_bytes == Some(0) {
        return Answer::absent("the machine has no swap");
    }
    let Some(pages) = facts.run.memory.swap_in_pages else {
        return facts.missing("What was swapped in", "memory.swap_in_pages");
    };
    if pages < MATERIAL_PAGES {
        return Answer::absent(format!(
            "{} were swapped in",
            bytes(pages * facts.page_bytes())
        ));
    }
    let own = facts
        .run
        .memory_course
        .iter()
        .filter_map(|point| point.process?.swap_bytes)
        .max();
    let mut evidence = vec![Evidence::new(
        "memory.swap_in_pages",
        "swapped in on the machine",
        bytes(pages.saturating_mul(facts.page_bytes())),
    )];
    if let Some(own) = own {
        evidence.push(Evidence::new(
            "memory_course[].process.swap_bytes",
            "the engine's own memory in swap, at most",
            bytes(own),
        ));
    }
    Answer::Present(Present {
        only_likely: own.is_none_or(|own| own == 0),
        evidence,
        ..Present::default()
    })
}
