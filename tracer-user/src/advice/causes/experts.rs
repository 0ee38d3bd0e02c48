//! Models with experts: what their traffic throws out, and which of them are worth keeping.

use std::collections::BTreeMap;

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present},
    schema::TensorRecord,
    stats::formulas::ratio,
    units::{bytes, count, share},
};

/// Share of all that was read again.
const MATERIAL: f64 = 0.1;
/// A hot slice is read again so many times more than the mean one.
const HOT: f64 = 2.0;
/// Of what experts read again, hot slices must save so much, or keeping them is not worth it.
const SAVES: f64 = 0.2;

pub const DENSE_EVICTED: Cause = Cause {
    name: "dense_evicted",
    title: "Experts push out the tensors that every token needs",
    bounds: "the model has experts, and at least 10 % of the bytes that were read again after they had been thrown out were of tensors that every token uses (attention, norms, routers, shared experts, output). Measured: 35 % in the built-in MoE engine with two thirds of the memory. Its time is a part of that of the working set.",
    refuted_by: "`tensors[].refaults_bytes` near 0 for all kinds but the routed experts.",
    remedy: "Keep these tensors in memory, as far as they leave room for the rest. `tracer tune --memory-max SIZE --pin-budget SIZE -- COMMAND` tries it: a process in the engine's own cgroup locks them, so that they count there. `tracer launch --pin shared --pin-from RUN --pin-budget SIZE` does it for one run. It is not proven until it is tried: what they hold is missing elsewhere.",
    decide: dense,
};

pub const HOT_EXPERTS: Cause = Cause {
    name: "hot_experts",
    title: "A few experts are read again and again: keep these in memory",
    bounds: "experts whose slices were read again at least twice as often as the mean one make at least 20 % of all that experts read again, and are at most half of the experts' bytes. What is saved is an upper bound: what they hold is missing elsewhere.",
    refuted_by: "`tensors[].refaults_bytes` about the same for all experts of a layer, or other experts that are hot in a run with another prompt.",
    remedy: "Keep these slices in memory: `tracer tune --memory-max SIZE --pin-budget SIZE -- COMMAND` tries it, `tracer launch --pin hot --pin-from RUN --pin-budget SIZE` does it for one run. (The report's table of experts has the layers and numbers, `tensors[]` the offsets.) Check with another prompt first: which experts are hot depends on the text.",
    decide: hot,
};

fn is_routed(tensor: &TensorRecord) -> bool {
    tensor.kind == "expert_ffn"
}

/// Whether it is a tensor at all, and not the header or padding.
fn is_weights(tensor: &TensorRecord) -> bool {
    !matches!(tensor.kind.as_str(), "header" | "padding" | "file")
}

/// The tensors, where the model has experts and all refaults are known.
fn tensors<'a>(facts: &Facts<'a>) -> Result<(&'a [TensorRecord], u64), Answer> {
    let experts = facts.model.model.experts;
    if experts.is_some_and(|experts| experts.count <= experts.used) {
        return Err(Answer::absent(
            "each token uses all of the model's experts: none pushes out what others need",
        ));
    }
    if experts.is_none() {
        return Err(if facts.model.model.format.is_some() {
            Answer::absent("the model has no experts")
        } else {
            Answer::not_decided(
                "Whether the model has experts is not known (`model.format` is null): its header could not be read. The notes of the run say why.",
            )
        });
    }
    let Some(tensors) = facts
        .model
        .tensors
        .as_deref()
        .filter(|tensors| !tensors.is_empty())
    else {
        return Err(facts.missing("What was read again by tensor", "tensors"));
    };
    let all: Option<u64> = tensors.iter().map(|tensor| tensor.refaults_bytes).sum();
    match all {
        None => Err(facts.missing("What was read again by tensor", "tensors[].refaults_bytes")),
        Some(0) => Err(Answer::absent("nothing was read again")),
        Some(all) => Ok((tensors, all)),
    }
}

/// Of what entered memory in the run, this share.
fn of_entered(facts: &Facts<'_>, part: u64) -> Option<f64> {
    ratio(part, facts.model.page_cache?.inserted_bytes)
}

fn dense(facts: &Facts<'_>) -> Answer {
    let (tensors, all) = match tensors(facts) {
        Err(answer) => return answer,
        Ok(tensors) => tensors,
    };
    let dense = || {
        tensors
            .iter()
            .filter(|tensor| is_weights(tensor) && !is_routed(tensor))
    };
    let again: u64 = dense().filter_map(|tensor| tensor.refaults_bytes).sum();
    let part = ratio(again, all).unwrap_or(0.0);
    if part < MATERIAL {
        return Answer::absent(format!(
            "{} of what was read again were tensors that every token needs",
            share(Some(part))
        ));
    }
    let size: u64 = dense().map(|tensor| tensor.bytes).sum();
    Answer::Present(Present {
        // Whether the experts or the order pushed them out, no record tells.
        only_likely: true,
        cost: Cost::about(of_entered(facts, again).and_then(|part| facts.reading_by(part))),
        evidence: vec![
            Evidence::new(
                "tensors[].refaults_bytes",
                "read again, of tensors that every token uses",
                format!("{} ({} of all)", bytes(again), share(Some(part))),
            ),
            Evidence::new("tensors[].bytes", "their size", bytes(size)),
        ],
        advice: None,
    })
}

#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    bytes: u64,
    again: u64,
}

fn hot(facts: &Facts<'_>) -> Answer {
    let (tensors, _) = match tensors(facts) {
        Err(answer) => return answer,
        Ok(tensors) => tensors,
    };
    let mut slices = BTreeMap::<(Option<u32>, u32), Slice>::new();
    for tensor in tensors.iter().filter(|tensor| is_routed(tensor)) {
        let (Some(expert), Some(again)) = (tensor.expert, tensor.refaults_bytes) else {
            return Answer::not_decided(
                "The experts of this model do not lie in pieces of their own (`tensors[].expert` is null), so that no reads can be given to one.",
            );
        };
        let slice = slices.entry((tensor.layer, expert)).or_default();
        slice.bytes += tensor.bytes;
        slice.again += again;
    }
    let sum = |slices: &mut dyn Iterator<Item = &Slice>| {
        slices.fold(Slice::default(), |sum, slice| Slice {
            bytes: sum.bytes + slice.bytes,
            again: sum.again + slice.again,
        })
    };
    let all = sum(&mut slices.values());
    let Some(mean) = ratio(all.again, all.bytes).filter(|mean| *mean > 0.0) else {
        return Answer::absent("no expert was read again");
    };
    let is_hot =
        |slice: &&Slice| ratio(slice.again, slice.bytes).is_some_and(|factor| factor >= HOT * mean);
    let hot = sum(&mut slices.values().filter(is_hot));
    let number = slices.values().filter(is_hot).count() as u64;
    let saved = ratio(hot.again, all.again).unwrap_or(0.0);
    if saved < SAVES || hot.bytes > all.bytes / 2 {
        return Answer::absent(format!(
            "experts are read again evenly: the hot ones make {} of it",
            share(Some(saved))
        ));
    }
    Answer::Present(Present {
        only_likely: true,
        cost: Cost::at_most(of_entered(facts, hot.again).and_then(|part| facts.reading_by(part))),
        evidence: vec![
            Evidence::new(
                "tensors[].refaults_bytes",
                "read again of hot experts: saved at most",
                format!(
                    "{} ({} of what experts read again)",
                    bytes(hot.again),
                    share(Some(saved))
                ),
            ),
            Evidence::new(
                "tensors[].bytes",
                "hot slices, and their size",
                format!(
                    "{} of {}, {}",
                    count(number),
                    count(slices.len() as u64),
                    bytes(hot.bytes)
                ),
            ),
        ],
        advice: None,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        advice::{
            Answer, Facts,
            sample::{healthy, model_of, tensors, thrashing},
        },
        schema::ExpertsRecord,
    };

    use super::{dense, hot};

    #[test]
    fn a_model_of_which_a_token_uses_all_experts_is_dense() {
        let mut run = healthy();
        thrashing(&mut run);
        tensors(&mut run)[0].refaults_bytes = Some(1 << 30);
        for (count, used) in [(1, 1), (4, 4)] {
            model_of(&mut run).model.experts = Some(ExpertsRecord { count, used });
            let model = run.single.as_ref().expect("a model");
            let facts = Facts::new(&run, model, None);
            for answer in [dense(&facts), hot(&facts)] {
                assert!(
                    matches!(&answer, Answer::Absent(why) if why.contains("all of the model's experts")),
                    "{answer:?}"
                );
            }
        }
    }
}
