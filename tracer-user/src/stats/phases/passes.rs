//! Forward passes of a model that looks up several embeddings in each: one of tokens, one of positions.

use std::collections::BTreeSet;

use crate::stats::Nanos;

/// Embeddings of a pass, at most: BERT has three.
const MOST_EMBEDDINGS: usize = 4;

/// Passes that have to show the pattern.
const FEWEST_PASSES: usize = 3;

/// The time between two passes is so many times that between two embeddings of one.
const CLEARLY_LONGER: u64 = 10;

/// Of calls, each with its number and time, the numbers of those that go on with a pass instead of beginning one. Calls come in groups where every `n`-th time
/// between them is much longer than those between: by the median, since a first pass and a read from a disk are slow.
pub(super) fn same_pass(calls: &[(usize, Nanos)]) -> BTreeSet<usize> {
    let gaps: Vec<u64> = calls
        .windows(2)
        .filter_map(|two| Some(two.get(1)?.1.since(two.first()?.1).unwrap_or(0)))
        .collect();
    let grouped = (2..=MOST_EMBEDDINGS)
        .filter(|size| calls.len() >= size * FEWEST_PASSES)
        // An attached tracer may come in the middle of a pass.
        .flat_map(|size| (0..size).map(move |first| (size, first)))
        .find(|(size, first)| is_pattern(&gaps, *size, *first));
    let Some((size, first)) = grouped else {
        return BTreeSet::new();
    };
    calls
        .iter()
        .enumerate()
        .filter(|(call, _)| *call > first && (call - first) % size != 0)
        .map(|(_, (number, _))| *number)
        .collect()
}

/// Whether the time before each call of number `first`, `first + size`, … is much longer than the others.
fn is_pattern(gaps: &[u64], size: usize, first: usize) -> bool {
    // Gap `n` lies before call `n + 1`.
    let at = |place: usize| {
        let own = |gap: &usize| (gap + 1 + size - first) % size == place;
        let own: Vec<u64> = (0..gaps.len())
            .filter(own)
            .filter_map(|gap| gaps.get(gap).copied())
            .collect();
        median(own)
    };
    let between = at(0);
    (1..size).all(|place| {
        at(place)
            .zip(between)
            .is_some_and(|(inside, between)| inside.saturating_mul(CLEARLY_LONGER) < between)
    })
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use crate::stats::{
        Nanos,
        phases::phase::{Mark, Phase, TimedMark, classify},
    };

    fn calls(times: impl IntoIterator<Item = u64>) -> Vec<TimedMark> {
        let mark = |time| TimedMark {
            time: Nanos(time),
            mark: Mark::EmbeddingEntered,
        };
        times.into_iter().map(mark).collect()
    }

    fn steps(marks: &[TimedMark]) -> Vec<u32> {
        let classes = classify(marks, true);
        classes.iter().filter_map(|class| class.step).collect()
    }

    #[test]
    fn several_embeddings_of_a_pass_are_one_step() {
        let two = (0..4u64).flat_map(|pass| [1000 * pass, 1000 * pass + 7]);
        assert_eq!(steps(&calls(two)), [0, 0, 1, 1, 2, 2, 3, 3]);
        let three = (0..3u64).flat_map(|pass| [0, 7, 12].map(|at| 1000 * pass + at));
        assert_eq!(steps(&calls(three)), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        // A slow first pass, and a tracer that comes in the middle of one.
        let late = [7, 5000, 5900, 7000, 7007, 8000, 8007, 9000, 9007];
        assert_eq!(steps(&calls(late)), [0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn one_embedding_a_pass_is_a_step_each() {
        let even = (0..6u64).map(|pass| 1000 * pass);
        assert_eq!(steps(&calls(even)), [0, 1, 2, 3, 4, 5]);
        let uneven = [0, 50_000, 51_000, 51_900, 53_000, 54_100, 60_000];
        assert_eq!(steps(&calls(uneven)), [0, 1, 2, 3, 4, 5, 6]);
        // Two calls are no pattern.
        assert_eq!(steps(&calls([0, 7])), [0, 1]);
    }

    #[test]
    fn the_first_pass_is_the_prompt_and_the_last_has_no_end() {
        let two = (1..5u64).flat_map(|pass| [1000 * pass, 1000 * pass + 7]);
        let classes = classify(&calls(two), true).into_iter();
        let mut phases: Vec<_> = classes.map(|class| class.phase).collect();
        phases.dedup();
        assert_eq!(
            phases,
            [
                Phase::Load,
                Phase::Prompt,
                Phase::Generation,
                Phase::UnendedStep
            ]
        );
    }
}
