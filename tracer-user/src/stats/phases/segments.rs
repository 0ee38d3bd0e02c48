//! A window cut at marks: what belongs to which segment, and the segments' reads put together to phases.

use std::collections::BTreeMap;

use crate::stats::Nanos;

use super::{
    phase::{Phase, SegmentClass, TimedMark, classify},
    reads::PhaseReads,
    so_far::{PhaseSoFar, PhasesSoFar},
};

/// Segments whose reads are kept apart before the oldest are put to their phases. A line of a log may come late by a
/// few milliseconds, which is less than so many decode calls take.
const SEGMENTS_APART: usize = 256;

/// The marks of a window, and the reads between them.
#[derive(Clone, Debug)]
pub struct Segments {
    from_start: bool,
    marks: Vec<TimedMark>,
    /// Reads of segments that are not settled, by number.
    apart: BTreeMap<usize, PhaseReads>,
    /// Classes of the segments that are settled: a prefix.
    settled: Vec<SegmentClass>,
    phases: BTreeMap<Phase, PhaseReads>,
}

impl Segments {
    /// A window without marks. `from_start`: it holds the engine's whole life.
    #[must_use]
    pub fn new(from_start: bool) -> Self {
        Self {
            from_start,
            marks: Vec::new(),
            apart: BTreeMap::new(),
            settled: Vec::new(),
            phases: BTreeMap::new(),
        }
    }

    /// Takes in a mark, and returns the time it counts from: a mark that comes after a later one begins with that.
    pub fn mark(&mut self, mark: TimedMark) -> Nanos {
        let latest = self.marks.last().map_or(Nanos(0), |mark| mark.time);
        let time = mark.time.max(latest);
        self.marks.push(TimedMark { time, ..mark });
        self.settle();
        time
    }

    /// Marks in the order of time.
    #[must_use]
    pub fn marks(&self) -> &[TimedMark] {
        &self.marks
    }

    /// The reads of the part that a moment lies in.
    pub fn at(&mut self, time: Nanos) -> &mut PhaseReads {
        let segment = self.marks.partition_point(|mark| mark.time <= time);
        match self.settled.get(segment) {
            Some(class) => self.phases.entry(class.phase).or_default(),
            None => self.apart.entry(segment).or_default(),
        }
    }

    /// Puts the oldest segments to their phases where many are kept apart. Those before the first decode call stay
    /// apart to the end: a better mark of the load's end may still come.
    fn settle(&mut self) {
        if self.apart.len() < SEGMENTS_APART {
            return;
        }
        let is_decode = |mark: &TimedMark| mark.mark.begins_step();
        let Some(first_decode) = self.marks.iter().position(is_decode) else {
            return;
        };
        let classes = classify(&self.marks, self.from_start);
        // Whether the latest call's step has an end is not known yet.
        let latest_decode = self.marks.iter().rposition(is_decode).unwrap_or(0);
        let keep = self
            .marks
            .len()
            .saturating_sub(SEGMENTS_APART / 2)
            .min(latest_decode);
        if keep <= first_decode {
            return;
        }
        self.put_to_phases(&classes, keep);
        self.settled = classes.into_iter().take(keep).collect();
    }

    fn put_to_phases(&mut self, classes: &[SegmentClass], below: usize) {
        let rest = self.apart.split_off(&below);
        for (number, reads) in std::mem::replace(&mut self.apart, rest) {
            let phase = classes
                .get(number)
                .map_or(Phase::Unmarked, |class| class.phase);
            self.phases.entry(phase).or_default().merge(&reads);
        }
    }

    fn classes(&self) -> Vec<SegmentClass> {
        let mut classes = classify(&self.marks, self.from_start);
        // What was settled was put to a phase by what was known then.
        for (class, settled) in classes.iter_mut().zip(&self.settled) {
            *class = *settled;
        }
        classes
    }

    /// The phases of a window that began at `start`, up to `now`, by what is known of them now.
    #[must_use]
    pub fn so_far(&self, start: Nanos, now: Nanos) -> PhasesSoFar {
        let classes = self.classes();
        let mut so_far = PhasesSoFar::default();
        let starts = std::iter::once(start).chain(self.marks.iter().map(|mark| mark.time));
        let ends = self.marks.iter().map(|mark| mark.time).chain([now]);
        let mut last_step = None;
        for ((class, start), end) in classes.iter().zip(starts).zip(ends) {
            if start > now {
                break;
            }
            let end = end.min(now);
            let phase = so_far.phases.entry(class.phase).or_insert(PhaseSoFar {
                tokens: Some(0),
                ..PhaseSoFar::default()
            });
            phase.nanos += end.since(start).unwrap_or(0);
            if class.step.is_some() && class.step != last_step {
                phase.steps += 1;
                phase.tokens = phase
                    .tokens
                    .zip(class.tokens)
                    .map(|(sum, tokens)| sum + u64::from(tokens));
                last_step = class.step;
            }
        }
        let settled = self.phases.iter().map(|(phase, reads)| (*phase, reads));
        let apart = self.apart.iter().map(|(number, reads)| {
            let class = classes.get(*number);
            (class.map_or(Phase::Unmarked, |class| class.phase), reads)
        });
        let mut bytes: BTreeMap<Phase, PhaseReads> = BTreeMap::new();
        for (phase, reads) in settled.chain(apart) {
            bytes.entry(phase).or_default().merge_bytes(reads);
        }
        for (phase, reads) in bytes {
            so_far.phases.entry(phase).or_default().read_bytes = reads.total_bytes();
        }
        so_far.current = classes
            .iter()
            .rev()
            .map(|class| class.phase)
            .find(|phase| *phase != Phase::UnendedStep);
        so_far
    }

    /// The segments' classes and the phases' reads.
    #[must_use]
    pub fn finish(mut self) -> FinishedSegments {
        let classes = self.classes();
        self.put_to_phases(&classes, usize::MAX);
        FinishedSegments {
            marks: self.marks,
            classes,
            phases: self.phases,
        }
    }
}

/// A window cut at marks, after its end.
#[derive(Clone, Debug)]
pub struct FinishedSegments {
    /// Marks in the order of time.
    pub marks: Vec<TimedMark>,
    /// Classes of the segments: one before the first mark, and one after each.
    pub classes: Vec<SegmentClass>,
    pub phases: BTreeMap<Phase, PhaseReads>,
}

#[cfg(test)]
mod tests {
    use crate::stats::{
        Nanos,
        phases::phase::{LoadEndBasis, Mark, Phase, TimedMark},
    };

    use super::Segments;
    use proptest::prelude::*;

    fn decode(time: u64) -> TimedMark {
        TimedMark {
            time: Nanos(time),
            mark: Mark::DecodeEntered {
                tokens: Some(1),
                phase: None,
            },
        }
    }

    #[test]
    fn reads_of_many_steps_end_in_their_phases() {
        let mut segments = Segments::new(true);
        segments.at(Nanos(5)).first_issue(100, false, None);
        segments.mark(TimedMark {
            time: Nanos(10),
            mark: Mark::Loaded(LoadEndBasis::Returned),
        });
        for step in 0..5000u64 {
            segments.mark(decode(20 + step * 10));
            segments
                .at(Nanos(21 + step * 10))
                .first_issue(1, false, None);
        }
        let finished = segments.finish();
        let bytes = |phase: Phase| {
            finished
                .phases
                .get(&phase)
                .map_or(0, |reads| reads.figures().total_bytes)
        };
        assert_eq!(bytes(Phase::Load), 100);
        assert_eq!(bytes(Phase::Prompt), 1);
        assert_eq!(bytes(Phase::Generation), 4999);
        assert_eq!(finished.classes.len(), finished.marks.len() + 1);
    }

    #[test]
    fn a_mark_that_comes_late_begins_with_the_one_before_it() {
        let mut segments = Segments::new(true);
        segments.at(Nanos(50)).first_issue(7, false, None);
        assert_eq!(segments.mark(decode(100)), Nanos(100));
        segments.at(Nanos(50)).first_issue(2, false, None);
        assert_eq!(segments.mark(decode(60)), Nanos(100));
        segments.at(Nanos(120)).first_issue(3, false, None);
        let phases = segments.finish().phases;
        let bytes: Vec<_> = phases
            .iter()
            .map(|(phase, reads)| (*phase, reads.figures().total_bytes))
            .collect();
        assert_eq!(bytes, [(Phase::Load, 9), (Phase::Generation, 3)]);
    }

    #[test]
    fn what_is_settled_is_no_unended_step() {
        let mut segments = Segments::new(true);
        let began = Mark::StepBegan { phase: None };
        for step in 0..1000u64 {
            segments.mark(TimedMark {
                time: Nanos(10 * step),
                mark: began,
            });
            segments.at(Nanos(10 * step)).first_issue(1, false, None);
        }
        // Many lines of a log in a step.
        for line in 0..1000u64 {
            segments.mark(TimedMark {
                time: Nanos(20_000 + line),
                mark: Mark::PromptEnded,
            });
            segments
                .at(Nanos(20_000 + line))
                .first_issue(1, false, None);
        }
        segments.mark(TimedMark {
            time: Nanos(30_000),
            mark: began,
        });
        segments.at(Nanos(30_000)).first_issue(1, false, None);
        let finished = segments.finish();
        let bytes = |phase: Phase| {
            finished
                .phases
                .get(&phase)
                .map_or(0, |reads| reads.figures().total_bytes)
        };
        assert_eq!(
            [Phase::Prompt, Phase::Generation, Phase::UnendedStep].map(bytes),
            [1, 1999, 1]
        );
    }

    proptest! {
        #[test]
        fn phases_sum_to_all_reads(
            events in proptest::collection::vec((0u64..1000, any::<bool>()), 0..800), from_start: bool,
        ) {
            let mut segments = Segments::new(from_start);
            let mut reads = 0;
            for (time, is_mark) in events {
                if is_mark {
                    segments.mark(decode(time));
                } else {
                    segments.at(Nanos(time)).first_issue(time, false, None);
                    reads += 1;
                }
            }
            let finished = segments.finish();
            let sum: u64 = finished.phases.values().map(|phase| phase.figures().reads).sum();
            prop_assert_eq!(sum, reads);
            prop_assert!(finished.marks.is_sorted_by_key(|mark| mark.time));
        }
    }
}
