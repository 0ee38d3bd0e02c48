//! What one form of an engine's output said so far: sums over requests, and each request.

use super::{
    engine_timings::{
        EngineTimings, MOST_REQUESTS, RateDisagreement, RequestTimings, TimingSource, WorkKind,
    },
    timing_line::{self, TimingItem, Work},
};

/// Sums of work of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WorkSum {
    milliseconds: Option<f64>,
    tokens: Option<u64>,
    /// Items without a count of tokens, and the rate that the last of them printed.
    uncounted: u64,
    only_printed: Option<f64>,
    items: u64,
    disagreement: Option<(f64, f64)>,
}

impl WorkSum {
    pub(crate) fn add(&mut self, work: &Work, agrees: bool) {
        self.items += 1;
        self.milliseconds = Some(self.milliseconds.unwrap_or(0.0) + work.milliseconds);
        match work.tokens {
            Some(tokens) => self.tokens = Some(self.tokens.unwrap_or(0).saturating_add(tokens)),
            None => {
                self.uncounted += 1;
                self.only_printed = work.printed_rate;
            }
        }
        if let (false, Some(tokens), Some(printed)) = (agrees, work.tokens, work.printed_rate) {
            self.disagreement
                .get_or_insert((printed, 1e3 * tokens as f64 / work.milliseconds));
        }
    }

    fn tokens(&self) -> Option<u64> {
        self.tokens.filter(|_| self.uncounted == 0)
    }

    fn rate(&self) -> Option<f64> {
        if self.disagreement.is_some() {
            return None;
        }
        // Rates of several requests are not to be put together without their tokens.
        if self.items == 1 && self.uncounted == 1 {
            return self.only_printed;
        }
        Some(1e3 * self.tokens()? as f64 / self.milliseconds?)
    }
}

/// What one form said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub load_milliseconds: Option<f64>,
    pub prompt: WorkSum,
    pub eval: WorkSum,
    pub total_milliseconds: Option<f64>,
    pub prompt_rate: Option<f64>,
    pub rate: Option<f64>,
    pub reports: u64,
    pub requests: Vec<RequestTimings>,
    /// A request whose prompt has been processed.
    pub current: Option<RequestTimings>,
}

/// Work of one kind in one request, and whether its printed rate is what its tokens and time give.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    pub work: Work,
    pub agrees: bool,
}

impl Judged {
    /// Judged by the steps to which time (milliseconds) and rate were printed.
    pub(crate) fn by_rounding(work: Work, time_step: f64, rate_step: f64) -> Self {
        Self {
            work,
            agrees: timing_line::rate_agrees(&work, time_step, rate_step),
        }
    }

    fn rate(&self) -> Option<f64> {
        let work = &self.work;
        match work.tokens {
            Some(tokens) => self
                .agrees
                .then_some(1e3 * tokens as f64 / work.milliseconds),
            None => work.printed_rate,
        }
    }
}

impl Report {
    /// A whole request.
    pub(crate) fn request(&mut self, prompt: Option<Judged>, eval: Option<Judged>) {
        self.reports += 1;
        if let Some(prompt) = prompt {
            self.prompt.add(&prompt.work, prompt.agrees);
            self.request_prompt(&prompt);
        }
        if let Some(eval) = eval {
            self.eval.add(&eval.work, eval.agrees);
            self.request_eval(&eval);
        }
        self.keep_current();
    }

    /// The prompt of a request, with which it begins. The sums do not have it yet.
    pub(crate) fn request_prompt(&mut self, prompt: &Judged) {
        self.keep_current();
        self.current = Some(RequestTimings {
            prompt_seconds: Some(prompt.work.milliseconds / 1e3),
            prompt_tokens: prompt.work.tokens,
            prompt_tokens_per_second: prompt.rate(),
            ..RequestTimings::default()
        });
    }

    /// The generation of a request, with which it ends. The sums do not have it yet.
    pub(crate) fn request_eval(&mut self, eval: &Judged) {
        self.current = Some(RequestTimings {
            eval_seconds: Some(eval.work.milliseconds / 1e3),
            eval_tokens: eval.work.tokens,
            tokens_per_second: eval.rate(),
            ..self.current.take().unwrap_or_default()
        });
        self.keep_current();
    }

    fn keep_current(&mut self) {
        if let Some(request) = self.current.take() {
            self.keep_request(request);
        }
    }

    /// Keeps a request, or a test.
    pub(crate) fn keep_request(&mut self, request: RequestTimings) {
        if self.requests.len() < MOST_REQUESTS {
            self.requests.push(request);
        }
    }

    pub(crate) fn add(&mut self, item: &TimingItem) {
        // The engine prints times and rates with two decimals.
        let agrees = |work: &Work| timing_line::rate_agrees(work, 0.01, 0.01);
        match item {
            TimingItem::Load(milliseconds) => self.load_milliseconds = Some(*milliseconds),
            TimingItem::Prompt(Some(work)) => self.prompt.add(work, agrees(work)),
            TimingItem::Eval(Some(work)) => self.eval.add(work, agrees(work)),
            TimingItem::Prompt(None) | TimingItem::Eval(None) => {}
            TimingItem::Total(milliseconds) => {
                self.total_milliseconds =
                    Some(self.total_milliseconds.unwrap_or(0.0) + milliseconds);
            }
        }
    }

    pub(crate) fn finish(&self, source: TimingSource) -> EngineTimings {
        let disagreements = [
            (WorkKind::Prompt, &self.prompt),
            (WorkKind::Generation, &self.eval),
        ]
        .into_iter()
        .filter_map(|(work, sum)| {
            sum.disagreement
                .map(|(printed, computed)| RateDisagreement {
                    work,
                    printed,
                    computed,
                })
        })
        .collect();
        let seconds = |milliseconds: Option<f64>| milliseconds.map(|value| value / 1e3);
        EngineTimings {
            load_seconds: seconds(self.load_milliseconds),
            prompt_seconds: seconds(self.prompt.milliseconds),
            prompt_tokens: self.prompt.tokens(),
            eval_seconds: seconds(self.eval.milliseconds),
            eval_tokens: self.eval.tokens(),
            total_seconds: seconds(self.total_milliseconds),
            prompt_tokens_per_second: self.prompt.rate().or(self.prompt_rate),
            tokens_per_second: self.eval.rate().or(self.rate),
            source,
            reports: self.reports.max(1),
            disagreements,
            requests: self.requests.iter().chain(&self.current).cloned().collect(),
            intervals: None,
        }
    }
}
