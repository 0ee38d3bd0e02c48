//! Which experts each token used, from the page-cache events of a run under pressure.
//!
//! A use of an expert shows wherever one of its pages is not mapped: a page fault reaches it, or a window of mapped pages lies in
//! it. It is hidden only where all of its pages were in memory and mapped. A token uses a known number of experts in a
//! layer, so it is known how many uses are hidden, and only experts that were wholly in memory can be theirs.

use std::{collections::BTreeMap, ops::Range};

use tracer_common::record::{PageRecord, page_event};

use crate::stats::random_numbers::SplitMix64;

use super::{
    NotKnown,
    weights::{Expert, Weights},
};

/// Passes of a layer with more experts than a token uses, in every hundred, from which on the steps are not those of one token.
const MOST_OVER: usize = 5;

/// The pages of a slice.
#[derive(Clone, Copy, Debug)]
struct Slice {
    first_page: u32,
    /// After the last one.
    end_page: u32,
    /// Pages that hold nothing else.
    inner: (u32, u32),
    expert: usize,
}

/// What one token used of the experts.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// By the number of the expert in `ExpertWatch::experts`.
    used: Vec<bool>,
    /// Wholly in memory when the token began.
    resident: Vec<bool>,
}

/// Follows the experts over a run.
#[derive(Debug)]
pub struct ExpertWatch {
    experts: Vec<Expert>,
    /// By file, ascending.
    slices: Vec<Vec<Slice>>,
    /// Pages of each expert that are not in memory.
    missing: Vec<u32>,
    /// By file: whether each page is in memory.
    in_memory: Vec<Vec<bool>>,
    /// Begin and end of each step, nanoseconds since the gate opened.
    steps: Vec<(i64, i64)>,
    at: usize,
    seen: Vec<Seen>,
}

impl ExpertWatch {
    /// `steps` are the tokens' begins and ends, nanoseconds since the gate opened, ascending. `resident`: by file, its pages that are
    /// in memory before the first event, ascending; those of a file that is missing there are not.
    #[must_use]
    pub fn new(
        weights: &Weights,
        file_sizes: &[u64],
        page_bytes: u64,
        steps: Vec<(i64, i64)>,
        resident: &[Vec<Range<u64>>],
    ) -> Self {
        let page = |bytes: u64| u32::try_from(bytes / page_bytes).unwrap_or(u32::MAX);
        let page_after = |bytes: u64| u32::try_from(bytes.div_ceil(page_bytes)).unwrap_or(u32::MAX);
        let mut slices = vec![Vec::new(); file_sizes.len()];
        let mut missing = Vec::new();
        for (expert, parts) in weights.experts.values().enumerate() {
            let mut pages = 0;
            for part in parts {
                let end_bytes = part.offset_bytes + part.bytes;
                let slice = Slice {
                    first_page: page(part.offset_bytes),
                    end_page: page_after(end_bytes),
                    inner: (page_after(part.offset_bytes), page(end_bytes)),
                    expert,
                };
                pages += slice.end_page - slice.first_page;
                if let Some(of_file) = slices.get_mut(part.file) {
                    of_file.push(slice);
                }
            }
            missing.push(pages);
        }
        for of_file in &mut slices {
            of_file.sort_by_key(|slice| slice.first_page);
        }
        let mut watch = Self {
            experts: weights.experts.keys().copied().collect(),
            slices,
            missing,
            in_memory: file_sizes
                .iter()
                .map(|size| vec![false; page_after(*size) as usize])
                .collect(),
            steps,
            at: 0,
            seen: Vec::new(),
        };
        for (file, ranges) in resident.iter().enumerate() {
            for range in ranges {
                let page = |page: u64| u32::try_from(page).unwrap_or(u32::MAX);
                watch.moved(file, page(range.start), page(range.end), true);
            }
        }
        watch
    }

    /// Takes in an event; they come in the order of time.
    pub fn page(&mut self, time_ns: i64, record: &PageRecord) {
        self.begin_steps(time_ns);
        let file = usize::from(record.file);
        let (first, end) = (
            record.first_page,
            record.first_page.saturating_add(record.pages),
        );
        match record.event {
            page_event::INSERT | page_event::INSERT_BY_FAULT => self.moved(file, first, end, true),
            page_event::FAULT | page_event::MAP_WINDOW => self.used(time_ns, file, first, end),
            event if event >= page_event::EVICTION => self.moved(file, first, end, false),
            _ => {}
        }
    }

    /// Notes what is in memory at the begin of each step up to this time.
    fn begin_steps(&mut self, time_ns: i64) {
        while let Some((start, _)) = self.steps.get(self.seen.len())
            && *start <= time_ns
        {
            self.seen.push(Seen {
                used: vec![false; self.experts.len()],
                resident: self.missing.iter().map(|pages| *pages == 0).collect(),
            });
            self.at = self.seen.len() - 1;
        }
    }

    fn slices_in(&self, file: usize, first: u32, end: u32) -> std::ops::Range<usize> {
        let Some(of_file) = self.slices.get(file) else {
            return 0..0;
        };
        // Slices overlap by a page at most, so their ends ascend, too.
        let from = of_file.partition_point(|slice| slice.end_page <= first);
        let to = of_file.partition_point(|slice| slice.first_page < end);
        from..to.max(from)
    }

    fn moved(&mut self, file: usize, first: u32, end: u32, enters: bool) {
        let Some(pages) = self.in_memory.get_mut(file) else {
            return;
        };
        let mut changed = Vec::new();
        for page in first..end {
            if let Some(is_in) = pages.get_mut(page as usize)
                && *is_in != enters
            {
                *is_in = enters;
                changed.push(page);
            }
        }
        for place in self.slices_in(file, first, end) {
            let slice = self.slices[file][place];
            let inside = |page: &&u32| (slice.first_page..slice.end_page).contains(*page);
            let count = changed.iter().filter(inside).count() as u32;
            let missing = &mut self.missing[slice.expert];
            *missing = if enters {
                missing.saturating_sub(count)
            } else {
                *missing + count
            };
        }
    }

    /// A fault is on one page; a window holds the page that was touched, so it says whose that is where it lies within one slice.
    fn used(&mut self, time_ns: i64, file: usize, first: u32, end: u32) {
        if self
            .steps
            .get(self.at)
            .is_none_or(|(start, stop)| !(*start..*stop).contains(&time_ns))
        {
            return;
        }
        for place in self.slices_in(file, first, end) {
            let Slice { inner, expert, .. } = self.slices[file][place];
            if inner.0 <= first
                && end <= inner.1
                && let Some(seen) = self.seen.get_mut(self.at)
            {
                seen.used[expert] = true;
            }
        }
    }

    /// What was seen, where a token uses so many experts of a layer.
    ///
    /// # Errors
    /// More were seen than a token uses.
    pub fn finish(mut self, used: u64) -> Result<SeenExperts, NotKnown> {
        self.begin_steps(i64::MAX);
        let mut layers: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (number, (layer, _)) in self.experts.iter().enumerate() {
            layers.entry(*layer).or_default().push(number);
        }
        let mut seen = SeenExperts {
            experts: self.experts,
            passes: Vec::new(),
        };
        let (mut over, mut passes) = (0, 0);
        for step in &self.seen {
            let mut of_step = Vec::new();
            for experts in layers.values() {
                let pick = |flags: &[bool]| -> Vec<usize> {
                    experts
                        .iter()
                        .copied()
                        .filter(|expert| flags[*expert])
                        .collect()
                };
                let shown = pick(&step.used);
                let mut hidden = pick(&step.resident);
                hidden.retain(|expert| !step.used[*expert]);
                passes += 1;
                over += usize::from(shown.len() as u64 > used);
                let lacking = usize::try_from(used)
                    .unwrap_or(usize::MAX)
                    .saturating_sub(shown.len());
                of_step.push(Pass {
                    shown,
                    hidden,
                    lacking,
                });
            }
            seen.passes.push(of_step);
        }
        if over * 100 > passes * MOST_OVER {
            return Err(NotKnown::ExpertsUnclear {
                layers: passes,
                over,
                used,
            });
        }
        Ok(seen)
    }
}

/// One layer, passed by one token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pass {
    /// Experts whose use was seen.
    shown: Vec<usize>,
    /// Others that were wholly in memory.
    hidden: Vec<usize>,
    /// How many of those were used.
    lacking: usize,
}

impl Pass {
    const fn is_certain(&self) -> bool {
        self.lacking == 0 || self.hidden.len() <= self.lacking
    }
}

/// How uses that were not seen are filled in: the truth lies between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilledIn {
    /// The expert that was used last, of those that can be.
    Latest,
    /// Any of them.
    Any,
}

/// The experts of each token, as far as they were seen.
#[derive(Clone, Debug)]
pub struct SeenExperts {
    experts: Vec<Expert>,
    passes: Vec<Vec<Pass>>,
}

impl SeenExperts {
    /// Experts of which a use was seen, and all of them.
    #[must_use]
    pub fn seen(&self) -> [u64; 2] {
        let mut seen: Vec<usize> = self
            .passes
            .iter()
            .flatten()
            .flat_map(|pass| pass.shown.iter().copied())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        [seen.len() as u64, self.experts.len() as u64]
    }

    /// Share of the uses that were seen, or that can be of no other expert.
    #[must_use]
    pub fn certain_share(&self) -> Option<f64> {
        let (mut certain, mut all) = (0, 0);
        for pass in self.passes.iter().flatten() {
            let known = if pass.is_certain() { pass.lacking } else { 0 };
            certain += pass.shown.len() + known;
            all += pass.shown.len() + pass.lacking;
        }
        crate::stats::formulas::ratio(certain as u64, all as u64)
    }

    /// Share of the uses that were seen.
    #[must_use]
    pub fn shown_share(&self) -> Option<f64> {
        let shown: usize = self
            .passes
            .iter()
            .flatten()
            .map(|pass| pass.shown.len())
            .sum();
        let all: usize = self
            .passes
            .iter()
            .flatten()
            .map(|pass| pass.shown.len() + pass.lacking)
            .sum();
        crate::stats::formulas::ratio(shown as u64, all as u64)
    }

    /// The experts of each token.
    #[must_use]
    pub fn tokens(&self, filled_in: FilledIn) -> Vec<Vec<Expert>> {
        let mut random = SplitMix64::new(0, 1);
        let mut last_use: Vec<Option<usize>> = vec![None; self.experts.len()];
        let mut tokens = Vec::with_capacity(self.passes.len());
        for (step, passes) in self.passes.iter().enumerate() {
            let mut token = Vec::new();
            for pass in passes {
                let mut hidden = pass.hidden.clone();
                if filled_in == FilledIn::Latest {
                    hidden.sort_by_key(|expert| std::cmp::Reverse(last_use[*expert]));
                }
                let mut picked = pass.shown.clone();
                for _ in 0..pass.lacking.min(hidden.len()) {
                    let place = match filled_in {
                        FilledIn::Latest => 0,
                        FilledIn::Any => random.below(hidden.len() as u64) as usize,
                    };
                    picked.push(hidden.remove(place));
                }
                for expert in picked {
                    last_use[expert] = Some(step);
                    token.push(self.experts[expert]);
                }
            }
            tokens.push(token);
        }
        tokens
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, ops::Range};

    use tracer_common::record::{KindByte, PageRecord, page_event};

    use super::{ExpertWatch, FilledIn};
    use crate::{
        sizing::{NotKnown, Weights, weights::Part},
        stats::reuse::Blocks,
    };

    const PAGE: u64 = 4096;
    /// Pages of an expert.
    const PAGES: u32 = 64;

    /// Four experts in one layer, each 64 pages long, one after the other.
    fn watch(steps: usize) -> ExpertWatch {
        watch_from(steps, &[])
    }

    fn watch_from(steps: usize, resident: &[Vec<Range<u64>>]) -> ExpertWatch {
        let size = 4 * u64::from(PAGES) * PAGE;
        let experts = (0..4).map(|expert| {
            let part = Part {
                file: 0,
                offset_bytes: u64::from(expert * PAGES) * PAGE,
                bytes: u64::from(PAGES) * PAGE,
            };
            ((0, expert), vec![part])
        });
        let weights = Weights {
            blocks: Blocks::of_files(&[size], PAGE),
            every_token: BTreeMap::new(),
            experts: experts.collect(),
        };
        let steps = (0..steps as i64).map(|step| (step * 100, step * 100 + 90));
        ExpertWatch::new(&weights, &[size], PAGE, steps.collect(), resident)
    }

    fn event(watch: &mut ExpertWatch, time_ns: i64, event: u8, first_page: u32, pages: u32) {
        watch.page(
            time_ns,
            &PageRecord {
                kind: KindByte::NEW,
                event,
                file: 0,
                process_id: 1,
                time_ns: 0,
                first_page,
                pages,
            },
        );
    }

    #[test]
    fn a_fault_or_a_window_within_an_expert_is_a_use_of_it() {
        let mut watch = watch(2);
        event(&mut watch, 10, page_event::FAULT, 5, 1);
        event(&mut watch, 20, page_event::MAP_WINDOW, 130, 16);
        // A window over a border may be of either, and what is only read may be read ahead.
        event(&mut watch, 110, page_event::MAP_WINDOW, 60, 16);
        event(&mut watch, 120, page_event::INSERT, 64, 32);
        // Between two steps nobody knows whose it is.
        event(&mut watch, 95, page_event::FAULT, 200, 1);
        let seen = watch.finish(2).expect("clear");
        assert_eq!(seen.seen(), [2, 4]);
        assert_eq!(seen.tokens(FilledIn::Any), [vec![(0, 0), (0, 2)], vec![]]);
    }

    #[test]
    fn a_hidden_use_is_of_an_expert_that_was_wholly_in_memory() {
        let mut watch = watch(2);
        event(&mut watch, 1, page_event::INSERT, 0, PAGES);
        event(&mut watch, 2, page_event::INSERT, PAGES, PAGES);
        event(&mut watch, 10, page_event::FAULT, 5, 1);
        event(&mut watch, 11, page_event::FAULT, 70, 1);
        // One page of expert 1 goes: a use of it would show.
        event(&mut watch, 95, page_event::EVICTION, 100, 1);
        event(&mut watch, 110, page_event::FAULT, 200, 1);
        let seen = watch.finish(2).expect("clear");
        for filled_in in [FilledIn::Latest, FilledIn::Any] {
            assert_eq!(
                seen.tokens(filled_in),
                [vec![(0, 0), (0, 1)], vec![(0, 3), (0, 0)]]
            );
        }
        assert_eq!(seen.certain_share(), Some(1.0));
        assert_eq!(seen.shown_share(), Some(0.75));
    }

    /// As of a process that ran before it was traced.
    #[test]
    fn what_was_in_memory_before_can_be_used_unseen() {
        let pages = u64::from(PAGES);
        let mut watch = watch_from(2, &[vec![0..pages, 3 * pages..4 * pages - 1]]);
        event(&mut watch, 10, page_event::FAULT, 70, 1);
        event(&mut watch, 95, page_event::EVICTION, 0, PAGES);
        event(&mut watch, 110, page_event::FAULT, 70, 1);
        event(&mut watch, 111, page_event::FAULT, 5, 1);
        let seen = watch.finish(2).expect("clear");
        // Of expert 3 a page was missing.
        assert_eq!(
            seen.tokens(FilledIn::Any),
            [vec![(0, 1), (0, 0)], vec![(0, 0), (0, 1)]]
        );
        assert_eq!(seen.certain_share(), Some(1.0));
    }

    #[test]
    fn of_several_that_can_be_the_latest_is_one_way() {
        let mut watch = watch(3);
        event(&mut watch, 1, page_event::INSERT, 0, 4 * PAGES);
        event(&mut watch, 10, page_event::FAULT, 5, 1);
        event(&mut watch, 110, page_event::FAULT, 200, 1);
        let seen = watch.finish(1).expect("clear");
        assert_eq!(seen.tokens(FilledIn::Latest)[2], [(0, 3)]);
        assert_eq!(seen.certain_share(), Some(2.0 / 3.0));
    }

    #[test]
    fn more_than_a_token_uses_is_refused() {
        let mut watch = watch(1);
        event(&mut watch, 10, page_event::FAULT, 5, 1);
        event(&mut watch, 11, page_event::FAULT, 70, 1);
        assert!(matches!(
            watch.finish(1),
            Err(NotKnown::ExpertsUnclear {
                over: 1,
                layers: 1,
                ..
            })
        ));
    }
}
