//! One run near the threshold: what its steps read of what they needed.

use thiserror::Error;

use crate::stats::formulas::{need_factor, quotient};

/// A step is clean if it read at most this share of its need.
pub const CLEAN_SHARE: f64 = 0.01;
/// A step reads, and a run has collapsed, from this share of the need on.
pub const COLLAPSED_SHARE: f64 = 0.5;
/// Fewest steps of a run. Its first half is left out: there the cache still settles after the load.
pub const FEWEST_STEPS: usize = 50;

/// A generation step. `None` was not observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepBytes {
    /// Bytes of the model read in it.
    pub read_bytes: Option<u64>,
    /// Bytes of the weights that it uses.
    pub need_bytes: Option<u64>,
}

/// A run at one size of memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThresholdRun {
    pub run: u64,
    /// The memory that it had, bytes.
    pub size_bytes: u64,
    /// Block of the experiment's order.
    pub block: u64,
    /// The engine failed, was killed, or took too long.
    pub failed: bool,
    /// Its generation steps, in their order.
    pub steps: Vec<StepBytes>,
    /// Generated tokens per second, by the engine.
    pub tokens_per_s: Option<f64>,
}

/// Why a run says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unjudged {
    #[error("it failed")]
    Failed,
    #[error("{0} generation steps, and {FEWEST_STEPS} are needed")]
    TooFewSteps(usize),
    /// What its steps read is not known.
    #[error("what {0} of its counted steps read was not observed")]
    ReadsUnobserved(usize),
    /// What its steps need is not known, or nothing.
    #[error("what {0} of its counted steps need is not known")]
    NoNeed(usize),
}

/// What the second half of a run's steps did.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFigures {
    pub run: u64,
    pub block: u64,
    /// Bytes read / bytes needed, over all counted steps.
    pub read_share: f64,
    /// The largest share of its need that a counted step read.
    pub largest_step_share: f64,
    /// No counted step read more than [`CLEAN_SHARE`] of its need.
    pub clean: bool,
    /// The counted steps together read at least [`COLLAPSED_SHARE`] of their need.
    pub collapsed: bool,
    /// Share of the need that each counted step read.
    pub step_shares: Vec<f64>,
    /// Generated tokens per second.
    pub tokens_per_s: Option<f64>,
}

/// Judges a run by the second half of its steps: of n, those from ⌈n/2⌉ on, counted from 0.
pub(super) fn judge(run: &ThresholdRun) -> Result<RunFigures, Unjudged> {
    if run.failed {
        return Err(Unjudged::Failed);
    }
    let count = run.steps.len();
    if count < FEWEST_STEPS {
        return Err(Unjudged::TooFewSteps(count));
    }
    let counted = run.steps.get(count.div_ceil(2)..).unwrap_or_default();
    let unobserved = counted.iter().filter(|step| step.read_bytes.is_none());
    match unobserved.count() {
        0 => {}
        steps => return Err(Unjudged::ReadsUnobserved(steps)),
    }
    let needless = counted
        .iter()
        .filter(|step| step.need_bytes.is_none_or(|need| need == 0));
    match needless.count() {
        0 => {}
        steps => return Err(Unjudged::NoNeed(steps)),
    }
    // Both are known of each of these steps, and no need is 0.
    let (mut read, mut need) = (0.0, 0.0);
    let step_shares: Vec<f64> = counted
        .iter()
        .filter_map(|step| {
            let (of_step, needed) = (step.read_bytes?, step.need_bytes?);
            read += of_step as f64;
            need += needed as f64;
            need_factor(of_step, needed)
        })
        .collect();
    let largest_step_share = step_shares.iter().copied().fold(0.0, f64::max);
    Ok(RunFigures {
        run: run.run,
        block: run.block,
        read_share: quotient(read, need).unwrap_or(0.0),
        largest_step_share,
        clean: largest_step_share <= CLEAN_SHARE,
        collapsed: read >= COLLAPSED_SHARE * need,
        step_shares,
        tokens_per_s: run.tokens_per_s,
    })
}

#[cfg(test)]
mod tests {
    use super::{StepBytes, ThresholdRun, Unjudged, judge};

    fn of(shares: &[u64]) -> ThresholdRun {
        ThresholdRun {
            steps: shares
                .iter()
                .map(|per_mille| StepBytes {
                    read_bytes: Some(*per_mille),
                    need_bytes: Some(1000),
                })
                .collect(),
            ..Default::default()
        }
    }

    #[test]
    fn only_the_second_half_counts() {
        let mut shares = vec![1000; 25];
        shares.extend([10; 25]);
        let figures = judge(&of(&shares)).expect("judged");
        assert!(figures.clean && !figures.collapsed);
        assert_eq!(figures.step_shares.len(), 25);
        // Of an odd number the second half is the smaller one: 25 of 51.
        shares.insert(0, 1000);
        assert!(judge(&of(&shares)).expect("judged").clean);
    }

    #[test]
    fn one_step_above_one_per_cent_is_not_clean() {
        let mut shares = vec![10; 50];
        shares[49] = 11;
        assert!(!judge(&of(&shares)).expect("judged").clean);
    }

    #[test]
    fn half_of_the_need_is_collapsed() {
        assert!(judge(&of(&[500; 50])).expect("judged").collapsed);
        assert!(!judge(&of(&[499; 50])).expect("judged").collapsed);
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert_eq!(judge(&of(&[0; 49])), Err(Unjudged::TooFewSteps(49)));
        let mut run = of(&[0; 50]);
        run.steps[30].need_bytes = Some(0);
        run.steps[31].need_bytes = None;
        assert_eq!(judge(&run), Err(Unjudged::NoNeed(2)));
        run.steps[40].read_bytes = None;
        assert_eq!(judge(&run), Err(Unjudged::ReadsUnobserved(1)));
        run.failed = true;
        assert_eq!(judge(&run), Err(Unjudged::Failed));
    }
}
