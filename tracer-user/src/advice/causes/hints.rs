//! Hints that had no effect.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present},
    units::bytes,
};

/// A locked model is locked whole; half of it is not.
const LOCKED: f64 = 0.5;

pub const LOCK_WITHOUT_EFFECT: Cause = Cause {
    name: "lock_without_effect",
    title: "The engine was told to lock the model in memory, and it is not locked",
    bounds: "the command says mlock (`--mlock`, `--load-mode mlock`), and less than half of the model was locked at the end of loading. Other hints (madvise) are not in a record.",
    refuted_by: "`process.rollup.locked_bytes` of about the model's size.",
    remedy: "Raise the limit for locked memory (`ulimit -l unlimited`, LimitMEMLOCK= in a systemd unit, `--ulimit memlock=-1` for docker), and look for the engine's warning in its log.",
    decide,
};

fn decide(facts: &Facts<'_>) -> Answer {
    let asked = facts
        .run
        .command
        .iter()
        .any(|argument| argument.starts_with('-') && argument.contains("mlock"))
        || facts
            .run
            .command
            .windows(2)
            .any(|pair| pair[0] == "--load-mode" && pair[1].contains("mlock"));
    if !asked {
        return Answer::not_decided(
            "The command has no mlock; whether the engine gave other hints (madvise, fadvise) is not in a record. `strace -f -e trace=madvise,fadvise64,mlock` shows them.",
        );
    }
    let Some(locked) = facts
        .run
        .process
        .rollup
        .as_ref()
        .and_then(|rollup| rollup.locked_bytes)
    else {
        return facts.missing("How much is locked", "process.rollup.locked_bytes");
    };
    if locked as f64 >= LOCKED * facts.model.model.size_bytes as f64 {
        return Answer::absent(format!("{} are locked", bytes(locked)));
    }
    Answer::Present(Present {
        evidence: vec![Evidence::new(
            "process.rollup.locked_bytes",
            "locked, of the model's size",
            format!(
                "{} of {}",
                bytes(locked),
                bytes(facts.model.model.size_bytes)
            ),
        )],
        ..Present::default()
    })
}
