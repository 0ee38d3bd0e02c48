//! Servers that print means over intervals instead of rates of requests, and lines that say how long loading took.
//!
//! ```text
//! INFO 01-02 12:30:10 [default_loader.py:262] Loading weights took 21.43 seconds                       vLLM
//! … Avg prompt throughput: 1069.7 tokens/s, Avg generation throughput: 3.6 tokens/s, Running: 1 reqs, …
//! … Load weight end. elapsed=21.43 s, type=…                                                           SGLang
//! … Decode batch, #running-req: 1, #token: 123, …, gen throughput (token/s): 12.34, …
//! loaded the model in 3.25s                                                                            candle
//! ```

use std::sync::LazyLock;

use regex_lite::Regex;

use crate::process::engine_output::engine_timings::IntervalMeans;

use super::{number::positive, ollama::milliseconds};

/// Form of a mean, and what its interval is.
const MEANS: [(&str, &str); 2] = [
    (
        r"Avg generation throughput: ([\d.]+) tokens/s",
        "about ten seconds (vLLM)",
    ),
    (
        r"Decode batch.*gen throughput \(token/s\): ([\d.]+)",
        "some tens of decode steps (SGLang)",
    ),
];

/// Forms of the time of loading, with its unit.
const LOADS: [&str; 3] = [
    r"Loading weights took ([\d.]+) ?(s)econds",
    r"Load weight end\. .*elapsed=([\d.]+) ?(s)",
    r"^\s*loaded the model in ([\d.]+)(ns|µs|ms|s)\s*$",
];

static MEAN_FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let form = |(form, interval): (&str, &'static str)| Some((Regex::new(form).ok()?, interval));
    MEANS.into_iter().filter_map(form).collect()
});

static LOAD_FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    LOADS
        .iter()
        .filter_map(|form| Regex::new(form).ok())
        .collect()
});

/// What was said of intervals and of loading.
#[derive(Debug, Default)]
pub(super) struct Intervals {
    load_milliseconds: Option<f64>,
    means: Option<IntervalMeans>,
}

impl Intervals {
    pub(super) const fn load_milliseconds(&self) -> Option<f64> {
        self.load_milliseconds
    }

    pub(super) const fn means(&self) -> Option<IntervalMeans> {
        self.means
    }

    pub(super) fn line(&mut self, text: &str) -> bool {
        if text.contains("throughput") {
            return self.mean(text);
        }
        if !text.contains("oad") {
            return false;
        }
        let found = LOAD_FORMS.iter().find_map(|form| form.captures(text));
        let Some(found) = found else {
            return false;
        };
        let (Some(number), Some(unit)) = (found.get(1), found.get(2)) else {
            return false;
        };
        let time = milliseconds(&format!("{}{}", number.as_str(), unit.as_str()));
        // Each worker of several says it: the slowest counts.
        self.load_milliseconds = match (self.load_milliseconds, time) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
        true
    }

    fn mean(&mut self, text: &str) -> bool {
        let found = MEAN_FORMS.iter().find_map(|(form, interval)| {
            Some((form.captures(text)?.get(1)?.as_str().to_owned(), *interval))
        });
        let Some((number, interval)) = found else {
            return false;
        };
        // In an interval of 0 nothing was generated.
        if let Some(rate) = positive(&number) {
            let means = self.means.get_or_insert(IntervalMeans {
                interval,
                count: 0,
                tokens_per_second: 0.0,
                lowest: rate,
                highest: rate,
            });
            means.count += 1;
            means.tokens_per_second += (rate - means.tokens_per_second) / means.count as f64;
            means.lowest = means.lowest.min(rate);
            means.highest = means.highest.max(rate);
        }
        true
    }
}
