//! 7. Is the KV cache a cause of re-reads, by context length?

use std::collections::BTreeMap;

use crate::{
    figures::Unit,
    report::experiment::{
        groups::{Group, MemoryClass, Traced, order},
        tables::memory::buffers,
    },
    stats::{experiment::bootstrap::median, formulas::quotient},
    units::bytes,
};

use super::{missing::Missing, question::Answer};

/// Axes of a plan that change how long the context is, and nothing else that reads weights.
const CONTEXT_AXES: [&str; 6] = [
    "context",
    "ctx",
    "ctx_size",
    "n_ctx",
    "prompt",
    "prompt_tokens",
];
/// Contexts whose memory differs by less are the same: engines' own memory differs so much from run to run.
const DIFFERENT_BYTES: f64 = (4 << 20) as f64;
/// Runs of a context, for a range.
const FEWEST_RUNS: usize = 2;

/// What came back for each token of the generation after it had been thrown out, bytes.
fn again(run: &Traced<'_>) -> Option<f64> {
    let phase = run.phase("generation").filter(|phase| phase.steps > 0)?;
    quotient(phase.refaulted_bytes? as f64, phase.steps as f64)
}

/// The KV cache by the engine's log.
fn kv_cache(run: &Traced<'_>) -> Option<f64> {
    buffers(run, &["kv_cache"]).filter(|bytes| *bytes > 0.0)
}

fn own(run: &Traced<'_>) -> Option<f64> {
    Some(run.record.process.peak.as_ref()?.anonymous_bytes? as f64)
}

/// Memory that a context takes, and what that is.
#[derive(Clone, Copy)]
struct Measure {
    of: fn(&Traced<'_>) -> Option<f64>,
    words: &'static str,
}

const KV_CACHE: Measure = Measure {
    of: kv_cache,
    words: "of KV cache",
};
const OWN: Measure = Measure {
    of: own,
    words: "of the engine's own memory (its log names no KV cache)",
};

/// Groups that differ in nothing but the context.
struct Set<'a, 'b> {
    groups: Vec<&'b Group<'a>>,
    measure: Measure,
}

fn sets<'a, 'b>(groups: &'b [Group<'a>]) -> Vec<Set<'a, 'b>> {
    let mut found: BTreeMap<_, Vec<&Group<'a>>> = BTreeMap::new();
    for group in groups {
        let Some(first) = group.runs.first() else {
            continue;
        };
        let mut rest = first.run.cell.clone();
        rest.retain(|axis, _| !CONTEXT_AXES.contains(&axis.as_str()));
        let key: (MemoryClass, _, _) = (group.class, order(group.pressure), rest);
        if !group.figures(again).is_empty() {
            found.entry(key).or_default().push(group);
        }
    }
    found
        .into_values()
        .filter(|groups| groups.len() > 1)
        .map(|mut groups| {
            let named = groups
                .iter()
                .all(|group| !group.figures(kv_cache).is_empty());
            let measure = if named { KV_CACHE } else { OWN };
            let size = |group: &Group<'_>| median(&group.figures(measure.of)).unwrap_or(0.0);
            groups.sort_by(|one, other| size(one).total_cmp(&size(other)));
            Set { groups, measure }
        })
        .collect()
}

/// The lowest and the highest of some figures.
fn range(values: &[f64]) -> Option<(f64, f64)> {
    let low = values.iter().copied().reduce(f64::min)?;
    Some((low, values.iter().copied().reduce(f64::max)?))
}

impl Set<'_, '_> {
    fn claim(&self) -> Option<String> {
        let (first, last) = (self.groups.first()?, self.groups.last()?);
        let size = |group: &Group<'_>| median(&group.figures(self.measure.of));
        let (small, large) = (size(first)?, size(last)?);
        let what = format!(
            "{}, from {} to {} {}",
            last.model,
            bytes(small as u64),
            bytes(large as u64),
            self.measure.words
        );
        if large - small < DIFFERENT_BYTES {
            return Some(format!(
                "{what}: not decided, since the contexts take nearly the same memory."
            ));
        }
        let (less, more) = (first.figures(again), last.figures(again));
        let ((low, most_of_less), (least_of_more, high)) = (range(&less)?, range(&more)?);
        let all = self.groups.iter().flat_map(|group| group.figures(again));
        if all.fold(0.0, f64::max) <= 0.0 {
            return Some(format!(
                "{what}: no. Nothing was read again for a token at either end: there is memory for both ({}).",
                last.label()
            ));
        }
        let came_back = format!(
            "{} came back for a token with the shorter context, {} with the longer one",
            Unit::Bytes.show_range(&less),
            Unit::Bytes.show_range(&more)
        );
        let memory = last.label();
        Some(if less.len().min(more.len()) < FEWEST_RUNS {
            format!("{what}: not decided. {came_back}, each seen once ({memory}).")
        } else if least_of_more > most_of_less {
            let each = quotient(median(&more)? - median(&less)?, large - small)
                .map_or_else(String::new, |each| {
                    format!(", {} for each byte more", Unit::Factor.show(each))
                });
            format!("{what}: yes. {came_back}{each} ({memory}).")
        } else if high < low {
            format!(
                "{what}: no. {came_back}: less, not more, so something else than memory decides here ({memory})."
            )
        } else {
            format!("{what}: not shown. {came_back}: the ranges overlap ({memory}).")
        })
    }
}

pub(super) fn answer(groups: &[Group<'_>]) -> Answer {
    let sets = sets(groups);
    let rows = sets.iter().flat_map(|set| &set.groups).map(|group| {
        vec![
            group.class.name().to_owned(),
            group.label(),
            group.count(),
            group.show(Unit::Count, |run| {
                Some(run.record.engine.prompt_tokens? as f64)
            }),
            group.show(Unit::Bytes, kv_cache),
            group.show(Unit::Bytes, own),
            group.show(Unit::Bytes, |run| {
                let cgroup = run.record.pressure.cgroup.as_ref()?;
                Some(cgroup.limit_bytes as f64)
            }),
            group.show(Unit::Bytes, again),
            group.show(Unit::Bytes, |run| {
                let phase = run.phase("generation").filter(|phase| phase.steps > 0)?;
                quotient(phase.read_bytes? as f64, phase.steps as f64)
            }),
        ]
    });
    Answer {
        question: "Is the KV cache a cause of re-reads, by context length?",
        claims: sets.iter().filter_map(Set::claim).collect(),
        limits: vec![
            "a longer context takes memory like anything else that does: what is shown is that memory's effect on what comes back, not on the speed, which the longer attention changes too.".into(),
            "llama.cpp takes the whole KV cache when it starts (-c), however long the text gets.".into(),
        ],
        header: vec![
            "pressure", "cell", "runs", "prompt tokens", "KV cache", "own memory", "limit",
            "came back a token", "read a token",
        ],
        rows: rows.collect(),
        missing: missing(groups, &sets),
    }
}

fn missing(groups: &[Group<'_>], sets: &[Set<'_, '_>]) -> Vec<Missing> {
    let decided = |set: &Set<'_, '_>| {
        set.groups
            .iter()
            .all(|group| group.figures(again).len() >= FEWEST_RUNS)
    };
    if sets.iter().any(decided) {
        return Vec::new();
    }
    let axes = if groups.is_empty() {
        Vec::new()
    } else {
        let contexts = ["512", "4096", "16384"].map(str::to_owned);
        vec![("context".to_owned(), contexts.to_vec())]
    };
    vec![Missing {
        why: format!(
            "at least {FEWEST_RUNS} runs of each of two context lengths, with the same memory, that differ in nothing else (an axis with one of the names {})",
            CONTEXT_AXES.join(", ")
        ),
        template: "kv-cache",
        repetitions: 3,
        axes,
    }]
}
