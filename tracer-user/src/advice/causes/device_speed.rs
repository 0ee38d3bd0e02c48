//! What the device did beside what it can do.

use crate::{
    advice::{Answer, Cause, Evidence, Facts, Present},
    stats::formulas::quotient,
    units::{rate, share},
};

/// Share of the device's best rate while reads were in flight. Rounds of `tracer device` on one disk differ by some per cent.
const AT_LIMIT: f64 = 0.8;
/// Half of what the device can do is far below it, whatever rounds differ by.
const BELOW: f64 = 0.5;
/// A run that gets more than this of the device's best shows that the test did not see its best.
const IMPOSSIBLE: f64 = 1.1;
/// Share of the run's time with reads in flight, for a disk that is the limit.
const BUSY: f64 = 0.5;

pub const BELOW_DEVICE: Cause = Cause {
    name: "below_device",
    title: "The model is read far more slowly than the disk could",
    bounds: "while reads were in flight, the run got less than half of the best sequential rate that `tracer device` measured on the same file.",
    refuted_by: "`used.busy_share` of the device test above one half.",
    remedy: "Look at the size and the number of reads in flight: larger read-ahead, more threads that read, or direct I/O if the engine has it (llama.cpp: `--load-mode dio`), which asks for more at once.",
    decide: below,
};

pub const DEVICE_AT_LIMIT: Cause = Cause {
    name: "device_at_limit",
    title: "The disk is at its limit: only reading less helps",
    bounds: "while reads were in flight, the run got at least 80 % of the best sequential rate that `tracer device` measured on the same file, and reads were in flight for at least half of the run.",
    refuted_by: "`used.busy_share` of the device test below 0.8, or `bandwidth.busy_s` below half of the run's time.",
    remedy: "Read less: more memory, a smaller quantisation, less read-ahead in vain. Or a faster disk.",
    decide: at_limit,
};

/// The run's rate while reads were in flight, the device's best, and their quotient.
fn used(facts: &Facts<'_>) -> Result<(f64, f64, f64), Answer> {
    let bandwidth = facts.model.bandwidth.as_ref();
    let busy = bandwidth.and_then(|bandwidth| bandwidth.busy_bytes_per_s);
    let Some(busy) = busy else {
        return Err(
            match facts.model.reads.as_ref().map(|reads| reads.amount.count) {
                Some(0) => Answer::absent("nothing was read"),
                _ => facts.missing("The rate of the reads", "bandwidth.busy_bytes_per_s"),
            },
        );
    };
    let best = facts
        .device_test
        .and_then(|test| Some(test.used.as_ref()?.best_bytes_per_s));
    let Some(best) = best else {
        return Err(Answer::not_decided(format!(
            "The run read {} while reads were in flight. What the disk can do is not in a run's record: `tracer device MODEL --run RUN --out DIR` measures it, and `tracer explain RUN --device DIR` uses it.",
            rate(Some(busy))
        )));
    };
    match quotient(busy, best) {
        None => Err(Answer::not_decided(
            "The device test has no rate: make it again.",
        )),
        Some(part) if part > IMPOSSIBLE => Err(Answer::not_decided(format!(
            "The run read {} while reads were in flight, which is more than the test calls the device's best ({}): the test did not see its best. Make it again while nothing else uses the disk.",
            rate(Some(busy)),
            rate(Some(best))
        ))),
        Some(part) => Ok((busy, best, part)),
    }
}

fn evidence(busy: f64, best: f64) -> Vec<Evidence> {
    vec![Evidence::new(
        "bandwidth.busy_bytes_per_s",
        "read while reads were in flight, of the disk's best",
        format!("{} of {}", rate(Some(busy)), rate(Some(best))),
    )]
}

fn below(facts: &Facts<'_>) -> Answer {
    match used(facts) {
        Err(answer) => answer,
        Ok((_, _, part)) if part >= BELOW => Answer::absent(format!(
            "the run got {} of the disk's best rate",
            share(Some(part))
        )),
        Ok((busy, best, _)) => Answer::Present(Present {
            evidence: evidence(busy, best),
            ..Present::default()
        }),
    }
}

fn at_limit(facts: &Facts<'_>) -> Answer {
    let (busy, best, part) = match used(facts) {
        Err(answer) => return answer,
        Ok(used) => used,
    };
    let busy_s = facts
        .model
        .bandwidth
        .as_ref()
        .and_then(|bandwidth| bandwidth.busy_s);
    let Some(of_time) = busy_s.and_then(|busy| quotient(busy, facts.run.time.wall_s)) else {
        return facts.missing("The time with reads in flight", "bandwidth.busy_s");
    };
    if part < AT_LIMIT || of_time < BUSY {
        return Answer::absent(format!(
            "the run got {} of the disk's best rate, with reads in flight {} of the time",
            share(Some(part)),
            share(Some(of_time))
        ));
    }
    let mut evidence = evidence(busy, best);
    evidence.push(Evidence::new(
        "bandwidth.busy_s",
        "time with reads in flight",
        share(Some(of_time)),
    ));
    Answer::Present(Present {
        evidence,
        ..Present::default()
    })
}

#[cfg(test)]
mod tests {
    use crate::advice::{
        Answer, Facts,
        sample::{device_test, healthy, model_of},
    };

    use super::{at_limit, below};

    #[test]
    fn a_test_that_saw_less_than_the_run_decides_nothing() {
        let mut run = healthy();
        let busy = model_of(&mut run).bandwidth.as_ref();
        let busy = busy.and_then(|bandwidth| bandwidth.busy_bytes_per_s);
        let busy = busy.expect("a rate");
        let model = run.single.as_ref().expect("a model");
        for (best, decides) in [(busy * 0.99, true), (busy / 1.75, false)] {
            let test = device_test(best);
            let facts = Facts::new(&run, model, Some(&test));
            for answer in [below(&facts), at_limit(&facts)] {
                assert_eq!(
                    !matches!(answer, Answer::NotDecided(_)),
                    decides,
                    "{answer:?}"
                );
            }
        }
    }
}
