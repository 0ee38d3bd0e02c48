//! LM Studio: the statistics of a prediction, as `lms chat --stats` prints them and as its REST interface sends them.
//!
//! ```text
//! Prediction Stats:
//!   Stop Reason: eosFound
//!   Tokens/Second: 31.59
//!   Time to First Token: 0.147s
//!   Prompt Tokens: 22
//!   Predicted Tokens: 75
//! ```
//!
//! There is no time of the generation that its rate is over, so rates of several predictions are not put together.

use serde_json::{Map, Value};

use crate::process::engine_output::{engine_timings::RequestTimings, report::Report};

use super::number::positive;

/// What LM Studio has said.
#[derive(Debug, Default)]
pub(super) struct LmStudio {
    inside: bool,
    report: Option<Report>,
    current: Option<RequestTimings>,
}

impl LmStudio {
    pub(super) const fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    pub(super) fn line(&mut self, text: &str) -> bool {
        if text.trim() == "Prediction Stats:" {
            self.inside = true;
            self.current = Some(RequestTimings::default());
            return true;
        }
        if !self.inside {
            return false;
        }
        let Some((name, value)) = text.trim().split_once(": ") else {
            self.inside = false;
            return false;
        };
        let Some(current) = &mut self.current else {
            return false;
        };
        match name {
            "Tokens/Second" => current.tokens_per_second = positive(value),
            "Prompt Tokens" => current.prompt_tokens = value.trim().parse().ok(),
            "Predicted Tokens" => {
                current.eval_tokens = value.trim().parse().ok();
                let request = current.clone();
                self.request(request);
            }
            "Stop Reason" | "Time to First Token" | "Total Tokens" => {}
            _ => {
                self.inside = false;
                return false;
            }
        }
        true
    }

    /// An answer of the REST interface: `stats`, and `usage` beside it.
    pub(super) fn answer(&mut self, object: &Map<String, Value>) -> bool {
        let Some(stats) = object.get("stats").and_then(Value::as_object) else {
            return false;
        };
        let Some(rate) = stats.get("tokens_per_second").and_then(Value::as_f64) else {
            return false;
        };
        let usage = |key: &str| object.get("usage")?.get(key)?.as_u64();
        self.request(RequestTimings {
            prompt_tokens: usage("prompt_tokens"),
            eval_tokens: usage("completion_tokens"),
            tokens_per_second: Some(rate).filter(|rate| rate.is_finite() && *rate > 0.0),
            ..RequestTimings::default()
        });
        true
    }

    fn request(&mut self, request: RequestTimings) {
        let report = self.report.get_or_insert_default();
        report.reports += 1;
        report.rate = request.tokens_per_second.filter(|_| report.reports == 1);
        report.keep_request(request);
    }
}
