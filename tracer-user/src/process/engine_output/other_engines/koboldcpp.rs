//! koboldcpp: one line for each request, in the forms of several years.
//!
//! ```text
//! ContextLimit: 152/1024, Processing:3.11s (50.2ms/T), Generation:4.20s (120.0ms/T), Total:7.31s (137.0ms/T = 7.30T/s)
//! CtxLimit: 1843/8192, Process:16.32s (11.0ms/T = 91.03T/s), Generate:80.00s (224.1ms/T = 4.46T/s), Total:96.33s (3.71T/s)
//! [18:44:54] CtxLimit:39294/40960, Amt:597/2048, Init:0.24s, Process:68.69s (563.34T/s), Generate:56.27s (10.61T/s), Total:124.96s
//! ```
//!
//! The rate behind `Total` is over prompt and generation together, so it is not read. Tokens come from `Amt`, or from the
//! progress that is printed before; where those do not fit the printed rate, the rate alone counts.

use std::sync::LazyLock;

use regex_lite::{Captures, Regex};

use crate::process::engine_output::{
    report::{Judged, Report},
    timing_line::{self, Work},
};

use super::number::positive;

static SUMMARY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let part = |name: &str, key: &str| {
        format!(
            r"{name}: ?(?P<{key}_s>[\d.]+)s \((?:(?P<{key}_ms>[\d.]+)ms/T)?(?: = )?(?:(?P<{key}_rate>[\d.]+)T/s)?\)"
        )
    };
    let prompt = part("Process(?:ing)?", "prompt");
    let eval = part("Generat(?:e|ion)", "eval");
    Regex::new(&format!(
        r"(?:Amt: ?(?P<amount>\d+)/\d+, .*)?{prompt}, {eval}, Total: ?(?P<total>[\d.]+)s"
    ))
    .ok()
});

static PROGRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:(Processing Prompt)|(Generating)).*\((\d+) / \d+ tokens\)").ok()
});

/// What koboldcpp has said.
#[derive(Debug, Default)]
pub(super) struct KoboldCpp {
    prompt_tokens: Option<u64>,
    generated_tokens: Option<u64>,
    report: Option<Report>,
}

impl KoboldCpp {
    pub(super) const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    pub(super) fn line(&mut self, text: &str) -> bool {
        if !text.contains(" tokens)") && !text.contains("Total:") {
            return false;
        }
        if let Some(found) = PROGRESS.as_ref().and_then(|form| form.captures(text)) {
            let count = found.get(3).and_then(|count| count.as_str().parse().ok());
            if found.get(1).is_some() {
                self.prompt_tokens = count;
            } else {
                self.generated_tokens = count;
            }
            return true;
        }
        let Some(found) = SUMMARY.as_ref().and_then(|form| form.captures(text)) else {
            return false;
        };
        let amount = found
            .name("amount")
            .and_then(|count| count.as_str().parse().ok());
        let generated = amount.or(self.generated_tokens.take());
        let prompt = work(&found, "prompt", self.prompt_tokens.take());
        let eval = work(&found, "eval", generated);
        self.generated_tokens = None;
        let report = self.report.get_or_insert_default();
        if let Some(total) = found
            .name("total")
            .and_then(|total| positive(total.as_str()))
        {
            report.total_milliseconds =
                Some(report.total_milliseconds.unwrap_or(0.0) + 1e3 * total);
        }
        report.request(prompt, eval);
        true
    }
}

fn work(found: &Captures<'_>, key: &str, tokens: Option<u64>) -> Option<Judged> {
    let number = |what: &str| positive(found.name(&format!("{key}_{what}"))?.as_str());
    let work = Work {
        milliseconds: 1e3 * number("s")?,
        tokens: tokens.filter(|tokens| *tokens > 0),
        printed_rate: number("rate").or_else(|| Some(1e3 / number("ms")?)),
    };
    // Times and rates have two decimals; a time per token has one, of milliseconds.
    let step = match (number("rate"), number("ms")) {
        (None, Some(per_token)) => 0.1 * 1e3 / (per_token * per_token),
        _ => 0.01,
    };
    let fits = timing_line::rate_agrees(&work, 10.0, step);
    let tokens = work.tokens.filter(|_| fits);
    Some(Judged {
        work: Work { tokens, ..work },
        agrees: true,
    })
}
