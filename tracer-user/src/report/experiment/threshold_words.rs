//! A threshold in words, and what the runs of each size say.

use crate::{
    figures::Unit,
    stats::experiment::{
        bootstrap::median,
        threshold::{
            CLEAN_SHARE, COLLAPSED_SHARE, Collapse, CollapseError, Dwells, FEWEST_STEPS, Onset,
            OnsetError, SizeFigures, Standing, UndecidedSize,
        },
    },
    units::{bytes, count, factor, observed_bytes, share, signed_bytes},
};

use super::thresholds::ModelThreshold;

/// When a size fits and when it has collapsed, and what onset and collapse are.
pub(super) fn definition() -> String {
    format!(
        "Verdict: a size fits where no generation step of any run reads more than {} of the weights that it needs, and has collapsed where every run reads at least {} of its need. Onset: the smallest tested size that fits with every larger one; collapse: the largest that has collapsed with every smaller one. Only the second half of each run's generation steps counts ({FEWEST_STEPS} or more); tok/s decides nothing. Between the two an engine can read nothing or everything at the same size, so there is a band and not a point.",
        share(Some(CLEAN_SHARE)),
        share(Some(COLLAPSED_SHARE))
    )
}

/// What the runs of one size say, in a word or two.
pub(super) fn verdict_of(size: &SizeFigures) -> &'static str {
    match (&size.clean, &size.collapsed) {
        (Standing::All, _) => "fits",
        (_, Standing::All) => "collapsed",
        (Standing::NotAll, Standing::NotAll) => "in between",
        (Standing::Undecided(UndecidedSize::TooFewRuns(_)), _)
        | (_, Standing::Undecided(UndecidedSize::TooFewRuns(_))) => "too few runs",
        (Standing::Undecided(_), _) | (_, Standing::Undecided(_)) => "not decided",
    }
}

/// The weights read for each one that a step needs: of the run in the middle, and of the least and the most.
pub(super) fn read_share(size: &SizeFigures) -> String {
    let shares: Vec<f64> = size.runs.iter().map(|run| run.read_share).collect();
    let range = Unit::Factor.show_range(&shares);
    match median(&shares) {
        Some(middle) if shares.len() > 1 && Unit::Factor.show(middle) != range => {
            format!("{} ({range})", Unit::Factor.show(middle))
        }
        _ => range,
    }
}

/// The onset in words, or what is missing for it.
pub(super) fn onset(onset: &Result<Onset, OnsetError>) -> String {
    match onset {
        Ok(onset) => format!(
            "{}; at {}, the next tested size below, a run still reads: resolution {}",
            bytes(onset.size_bytes),
            bytes(onset.unclean_bytes),
            bytes(onset.resolution_bytes())
        ),
        Err(OnsetError::NoRuns) => "not decided: there are no runs under pressure".to_owned(),
        Err(OnsetError::NoCleanSize { largest_bytes }) => format!(
            "not decided: no tested size is clean; a run still reads at the largest, {}",
            bytes(*largest_bytes)
        ),
        Err(OnsetError::AllClean { smallest_bytes }) => format!(
            "not decided: every tested size is clean, so it lies at or below the smallest, {}",
            bytes(*smallest_bytes)
        ),
        Err(OnsetError::Undecided {
            size_bytes,
            why,
            at_most_bytes,
        }) => format!(
            "not decided: at {} {why}{}",
            bytes(*size_bytes),
            at_most_bytes.map_or_else(String::new, |size| format!(
                "; it is at most {}",
                bytes(size)
            ))
        ),
    }
}

/// The collapse in words, or what is missing for it.
pub(super) fn collapse(collapse: &Result<Collapse, CollapseError>) -> String {
    match collapse {
        Ok(collapse) => format!(
            "{}; at {}, the next tested size above, a run reads less than half of its need",
            bytes(collapse.size_bytes),
            bytes(collapse.uncollapsed_bytes)
        ),
        Err(CollapseError::NoRuns) => "not decided: there are no runs under pressure".to_owned(),
        Err(CollapseError::NoCollapsedSize { smallest_bytes }) => format!(
            "not decided: no tested size has collapsed; a run reads less than half of its need at the smallest, {}",
            bytes(*smallest_bytes)
        ),
        Err(CollapseError::AllCollapsed { largest_bytes }) => format!(
            "not decided: every tested size has collapsed, so it lies at or above the largest, {}",
            bytes(*largest_bytes)
        ),
        Err(CollapseError::Undecided {
            size_bytes,
            why,
            at_least_bytes,
        }) => format!(
            "not decided: at {} {why}{}",
            bytes(*size_bytes),
            at_least_bytes.map_or_else(String::new, |size| format!(
                "; it is at least {}",
                bytes(size)
            ))
        ),
    }
}

/// The verdict in two sentences, for who wants to know how much memory to give. `None` where no size was found.
pub(super) fn in_short(threshold: &ModelThreshold) -> Option<String> {
    let verdict = &threshold.verdict;
    let with_rate = |size_bytes: u64| {
        rate(threshold, size_bytes).map_or_else(String::new, |rate| {
            format!(" ({} tokens/s)", Unit::PerSecond.show(rate))
        })
    };
    let onset = match &verdict.onset {
        Ok(onset) => onset.size_bytes,
        Err(OnsetError::NoCleanSize { largest_bytes }) => {
            return Some(format!(
                "Not even {} are enough: generating still reads from the disk{}.",
                bytes(*largest_bytes),
                with_rate(*largest_bytes)
            ));
        }
        Err(OnsetError::AllClean { smallest_bytes }) => {
            return Some(format!(
                "{} are enough{}, and less may be: no smaller size was tried.",
                bytes(*smallest_bytes),
                with_rate(*smallest_bytes)
            ));
        }
        Err(OnsetError::NoRuns | OnsetError::Undecided { .. }) => return None,
    };
    let enough = format!(
        "{} are enough{}{}: generating reads next to nothing from the disk.",
        bytes(onset),
        threshold
            .size_bytes
            .map_or_else(String::new, |size| format!(
                " for this model of {}",
                bytes(size)
            )),
        with_rate(onset)
    );
    let less = match &verdict.collapse {
        Ok(collapse)
            if verdict
                .band
                .as_ref()
                .is_some_and(|band| !band.sizes_bytes.is_empty()) =>
        {
            format!(
                " With {} or less every token reads its weights again{}; in between the same run can be fast or slow.",
                bytes(collapse.size_bytes),
                with_rate(collapse.size_bytes)
            )
        }
        Ok(collapse) => format!(
            " With {} or less every token reads its weights again{}.",
            bytes(collapse.size_bytes),
            with_rate(collapse.size_bytes)
        ),
        Err(_) => {
            " With less it reads again; at which size it has to read everything was not found."
                .to_owned()
        }
    };
    Some(enough + &less)
}

/// Tokens per second with this memory: the median of the runs that could be judged.
fn rate(threshold: &ModelThreshold, size_bytes: u64) -> Option<f64> {
    let mut sizes = threshold.verdict.sizes.iter();
    let size = sizes.find(|size| size.size_bytes == size_bytes)?;
    let rates: Vec<f64> = size
        .runs
        .iter()
        .filter_map(|run| run.tokens_per_s)
        .collect();
    median(&rates)
}

/// The figures of a threshold that were observed, each with its name, for the first look.
pub(super) fn tiles(threshold: &ModelThreshold) -> Vec<(String, String)> {
    let onset = threshold
        .verdict
        .onset
        .as_ref()
        .ok()
        .map(|onset| onset.size_bytes);
    let collapse = threshold
        .verdict
        .collapse
        .as_ref()
        .ok()
        .map(|collapse| collapse.size_bytes);
    let rates = |size: Option<u64>| Some(Unit::PerSecond.show(rate(threshold, size?)?));
    if onset.is_none() && collapse.is_none() {
        return Vec::new();
    }
    [
        ("enough memory", onset.map(bytes)),
        ("tokens/s with it", rates(onset)),
        ("collapsed at", collapse.map(bytes)),
        ("tokens/s then", rates(collapse)),
        ("the model", threshold.size_bytes.map(bytes)),
        (
            "the engine held without pressure",
            threshold.resident_bytes.map(bytes),
        ),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// The verdict in words.
pub(super) fn lines(threshold: &ModelThreshold) -> Vec<String> {
    let verdict = &threshold.verdict;
    let mut lines = vec![
        format!(
            "Onset, the least memory that is enough: {}.",
            onset(&verdict.onset)
        ),
        format!(
            "Collapse, the most memory with which the weights are read again and again: {}.",
            collapse(&verdict.collapse)
        ),
    ];
    if let Some(band) = &verdict.band {
        if band.sizes_bytes.is_empty() {
            lines.push("Unstable band: no tested size lies between the two, so it is narrower than their distance, or there is none.".to_owned());
        } else {
            lines.push(format!(
                "Unstable band: {} to {}{}: {} runs, {} steps, of which {} in the high state (at least half of the need read); {} switches in {} runs; {} steps in between.",
                observed_bytes(band.sizes_bytes.first().copied()),
                observed_bytes(band.sizes_bytes.last().copied()),
                if band.bounded_below { "" } else { " (not bounded below)" },
                band.runs,
                band.steps,
                share(band.high_share),
                band.switches,
                band.runs_that_switch,
                band.steps_between,
            ));
            lines.push(format!(
                "Stays in the high state: {}; in the low state: {}.",
                stays(&band.high),
                stays(&band.low)
            ));
        }
        for (smaller, larger) in &band.more_memory_read_more {
            lines.push(format!(
                "More memory read more: the median run of {} read more of its need than that of {}.",
                bytes(*larger),
                bytes(*smaller)
            ));
        }
    }
    lines.push(format!(
        "To compare: the model has {}{}{}.",
        observed_bytes(threshold.size_bytes),
        threshold.resident_bytes.map_or_else(String::new, |held| format!(
            "; without pressure the engine held {} (RssFile + RssAnon)",
            bytes(held)
        )),
        threshold.prediction().map_or_else(String::new, |prediction| format!(
            "; onset − sum: {}, onset / sum: {}; the sum lies {} the interval in which the onset was found",
            signed_bytes(prediction.difference_bytes()),
            factor(prediction.ratio()),
            if prediction.within_resolution() { "within" } else { "outside" }
        ))
    ));
    lines
}

fn stays(dwells: &Dwells) -> String {
    let lengths: Vec<f64> = dwells.whole.iter().map(|steps| *steps as f64).collect();
    let longest_cut = dwells.cut.iter().max();
    let whole = match median(&lengths) {
        None => "none seen whole".to_owned(),
        Some(middle) => format!(
            "{} seen whole, {} steps ({} in the middle)",
            lengths.len(),
            Unit::Count.show_range(&lengths),
            Unit::Count.show(middle)
        ),
    };
    let cut = longest_cut.map_or_else(String::new, |longest| {
        format!(
            ", {} cut by the ends of what counts, the longest at least {} steps",
            dwells.cut.len(),
            count(*longest as u64)
        )
    });
    format!("{whole}{cut}")
}

pub(super) const SIZE_HEADER: [&str; 7] = [
    "size",
    "runs",
    "clean",
    "collapsed",
    "read / needed, every run",
    "tok/s, every run",
    "cannot be judged",
];

/// One line a size, from much memory to little.
pub(super) fn size_rows(threshold: &ModelThreshold) -> Vec<Vec<String>> {
    threshold.verdict.sizes.iter().map(size_row).collect()
}

fn size_row(size: &SizeFigures) -> Vec<String> {
    let standing = |standing: &Standing| match standing {
        Standing::All => "every run".to_owned(),
        Standing::NotAll => "not every run".to_owned(),
        Standing::Undecided(UndecidedSize::TooFewRuns(_)) => "too few runs".to_owned(),
        Standing::Undecided(_) => "not decided".to_owned(),
    };
    let shares: Vec<f64> = size.runs.iter().map(|run| run.read_share).collect();
    let speeds: Vec<f64> = size
        .runs
        .iter()
        .filter_map(|run| run.tokens_per_s)
        .collect();
    let unjudged: Vec<String> = size
        .unjudged
        .iter()
        .map(|(run, why)| format!("run {run}: {why}"))
        .collect();
    vec![
        bytes(size.size_bytes),
        size.runs.len().to_string(),
        standing(&size.clean),
        standing(&size.collapsed),
        Unit::Factor.show_all(&shares),
        Unit::PerSecond.show_all(&speeds),
        unjudged.join("; "),
    ]
}
