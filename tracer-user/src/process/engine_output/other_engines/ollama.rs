//! ollama: what `--verbose` prints after each answer, and the last object that its API sends for each request.
//!
//! ```text
//! total duration:       2m27.5s
//! load duration:        559.665542ms
//! prompt eval count:    13 token(s)
//! prompt eval duration: 19.747s
//! prompt eval rate:     0.66 tokens/s
//! eval count:           1133 token(s)
//! eval duration:        2m7.682s
//! eval rate:            8.87 tokens/s
//! ```

use serde_json::{Map, Value};

use crate::process::engine_output::{
    report::{Judged, Report},
    timing_line::Work,
};

use super::number::positive;

/// Durations are printed to the nanosecond, or cut by who shows them; half a millisecond is less than any rate's rounding.
const TIME_STEP_MILLISECONDS: f64 = 1.0;
/// Rates have two decimals.
const RATE_STEP: f64 = 0.01;

/// Lines since the last whole request.
#[derive(Debug, Default)]
struct Block {
    total: Option<f64>,
    load: Option<f64>,
    prompt: Part,
    eval: Part,
}

#[derive(Debug, Default, Clone, Copy)]
struct Part {
    tokens: Option<u64>,
    milliseconds: Option<f64>,
    rate: Option<f64>,
}

impl Part {
    /// Time and tokens; without both there is nothing to rely on.
    fn work(&self) -> Option<Judged> {
        let work = Work {
            milliseconds: self.milliseconds?,
            tokens: Some(self.tokens?),
            printed_rate: self.rate,
        };
        Some(Judged::by_rounding(work, TIME_STEP_MILLISECONDS, RATE_STEP))
    }
}

/// What ollama has said.
#[derive(Debug, Default)]
pub(super) struct Ollama {
    block: Block,
    report: Option<Report>,
}

impl Ollama {
    pub(super) const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    pub(super) fn line(&mut self, text: &str) -> bool {
        let Some((name, value)) = text.split_once(':') else {
            return false;
        };
        let value = value.trim();
        let tokens = || {
            let count = value.strip_suffix("token(s)")?.trim();
            count.parse().ok().filter(|tokens: &u64| *tokens > 0)
        };
        let rate = || positive(value.strip_suffix("tokens/s")?);
        let block = &mut self.block;
        match name.trim() {
            "total duration" => {
                let Some(total) = milliseconds(value) else {
                    return false;
                };
                *block = Block {
                    total: Some(total),
                    ..Block::default()
                };
            }
            // Without the first line it is no block of ollama.
            _ if block.total.is_none() => return false,
            "load duration" => block.load = milliseconds(value),
            "prompt eval count" => block.prompt.tokens = tokens(),
            "prompt eval duration" => block.prompt.milliseconds = milliseconds(value),
            "prompt eval rate" => block.prompt.rate = rate(),
            "eval count" => block.eval.tokens = tokens(),
            "eval duration" => block.eval.milliseconds = milliseconds(value),
            "eval rate" => {
                block.eval.rate = rate();
                self.end_block();
            }
            _ => return false,
        }
        true
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.request(
            block.prompt.work(),
            block.eval.work(),
            block.load,
            block.total,
        );
    }

    fn request(
        &mut self,
        prompt: Option<Judged>,
        eval: Option<Judged>,
        load: Option<f64>,
        total: Option<f64>,
    ) {
        let report = self.report.get_or_insert_default();
        // The first request loads the model; later ones wait for nothing.
        report.load_milliseconds = report.load_milliseconds.or(load);
        if let Some(total) = total {
            report.total_milliseconds = Some(report.total_milliseconds.unwrap_or(0.0) + total);
        }
        report.request(prompt, eval);
    }

    /// The last answer of the API to a request: durations in nanoseconds.
    pub(super) fn answer(&mut self, object: &Map<String, Value>) -> bool {
        if !(object.contains_key("eval_count") && object.contains_key("eval_duration")) {
            return false;
        }
        let count = |key: &str| object.get(key)?.as_u64().filter(|value| *value > 0);
        let milliseconds = |key: &str| Some(count(key)? as f64 / 1e6);
        let work = |tokens: &str, duration: &str| {
            Some(Judged {
                work: Work {
                    milliseconds: milliseconds(duration)?,
                    tokens: Some(count(tokens)?),
                    printed_rate: None,
                },
                agrees: true,
            })
        };
        self.request(
            work("prompt_eval_count", "prompt_eval_duration"),
            work("eval_count", "eval_duration"),
            milliseconds("load_duration"),
            milliseconds("total_duration"),
        );
        true
    }
}

/// A duration as Go prints it, `2m7.682s`, in milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<f64> {
    let mut sum = 0.0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, after) = rest.split_at_checked(end)?;
        let end = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let factor = match unit {
            "h" => 3_600_000.0,
            "m" => 60_000.0,
            "s" => 1e3,
            "ms" => 1.0,
            "µs" | "μs" | "us" => 1e-3,
            "ns" => 1e-6,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (sum.is_finite() && sum > 0.0).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_of_go() {
        for (text, expected) in [
            ("2m27.5s", 147_500.0),
            ("559.665542ms", 559.665_542),
            ("1h0m1s", 3_601_000.0),
            ("12µs", 0.012),
        ] {
            let found = milliseconds(text).expect(text);
            assert!(
                (found - expected).abs() < 1e-9 * expected,
                "{text}: {found}"
            );
        }
        for text in ["", "5", "s", "1x", "1.2.3s", "0s", "-1s", "ms5"] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
