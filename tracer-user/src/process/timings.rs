//! Load, prompt and generation time and tokens per second, from what the engine itself prints.
//!
//! Tokens per second are never taken from the wall clock: that would count loading. Forms that are read:
//!
//! | [`TimingSource`] | printed by | what is taken when it appears more than once |
//! |---|---|---|
//! | `Builtin` | the tracer's own engine, `builtin_perf_print:` | the last block |
//! | `Json` | a script's last line on standard output: llama-server's `timings` object | – |
//! | `Bench` | `llama-bench -o json` or `jsonl` | sums over the tests with generation only (and with prompt only) |
//! | `Server` | llama-server, `slot print_timing: …`, on one line each or the items on the lines after it | sums over the requests |
//! | `Perf` | `common_perf_print:`, `llama_perf_context_print:`, `llama_print_timings:` | the last block: the counters may or may not be cumulative, a sum could count twice |
//! | `Rates` | `llama-cli`'s `[ Prompt: … t/s \| Generation: … t/s ]` (rates only) | the last line |
//!
//! When several forms appear in one run the first in this table wins, and all values come from that one form, with one
//! exception: a `Json` object stands for one request, so when the server's lines show several, `Server` wins.
//! A sum over requests gives the mean rate that one request saw; with several slots at work at once the throughput of
//! the server is higher.
//!
//! `eval_tokens` counts what the form counts: decode runs in `Perf` and `Builtin` (the first token comes from the
//! prompt's run, so 20 tokens are 19 runs), and in `Server` and `Json` the
//! decode runs or the generated tokens, whichever the printed rate is over.
//!
//! llama.cpp's `load time` ends when the first evaluation ends its start-up, so it is not the end of reading the file.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{
    bench_json::{BenchTest, ServerTimings},
    buffer_lines::{BufferSize, BufferSizes},
    engine_mark::{self, EngineMark},
    output::OutputStream,
    request_line::{ActiveRequests, RequestMark},
    timing_line::{self, PerfForm, TimingItem, TimingLine, Work},
};

/// Which form of output the timings came from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingSource {
    /// `builtin_perf_print`.
    Builtin,
    /// llama-server's `timings` object on the last line of standard output.
    Json,
    /// `llama-bench -o json|jsonl`.
    Bench,
    /// `slot print_timing`, summed over requests.
    Server,
    /// `common_perf_print`.
    CommonPerf,
    /// `llama_perf_context_print`.
    PerfContext,
    /// `llama_print_timings`.
    PrintTimings,
    /// `[ Prompt: … | Generation: … ]`: rates only.
    Rates,
}

/// What the engine said about its own time. `None` is "not said", never 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineTimings {
    /// Seconds of loading, as the engine counts them (see the module's note).
    pub load_seconds: Option<f64>,
    /// Seconds of prompt processing.
    pub prompt_seconds: Option<f64>,
    /// Tokens of the prompt that were processed (cached ones are not among them).
    pub prompt_tokens: Option<u64>,
    /// Seconds of generation.
    pub eval_seconds: Option<f64>,
    /// Generated tokens, or decode runs (see the module's note).
    pub eval_tokens: Option<u64>,
    /// The engine's own total, seconds.
    pub total_seconds: Option<f64>,
    /// `prompt_tokens / prompt_seconds`; the printed rate where a form has rates only.
    pub prompt_tokens_per_second: Option<f64>,
    /// `eval_tokens / eval_seconds`; the printed rate where a form has rates only.
    pub tokens_per_second: Option<f64>,
    /// Where all of this came from.
    pub source: TimingSource,
    /// Requests, tests or blocks of that form that were seen (the module's table says what several mean).
    pub reports: u64,
    /// Rates that the engine printed and that its own tokens and time do not give. Where one is listed, the rate
    /// of that kind of work is `None`.
    pub disagreements: Vec<RateDisagreement>,
}

/// A printed rate that is not tokens / time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateDisagreement {
    /// Prompt or generation.
    pub work: WorkKind,
    /// Tokens per second as printed.
    pub printed: f64,
    /// Tokens per second from tokens and time of the same line.
    pub computed: f64,
}

impl fmt::Display for RateDisagreement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = match self.work {
            WorkKind::Prompt => "prompt",
            WorkKind::Generation => "generation",
        };
        write!(
            formatter,
            "the engine printed {} {work} tokens per second, its tokens and time give {:.2}",
            self.printed, self.computed
        )
    }
}

/// The two kinds of work that have a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    /// Processing the prompt.
    Prompt,
    /// Generating tokens.
    Generation,
}

/// Sums of work of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct WorkSum {
    milliseconds: Option<f64>,
    tokens: Option<u64>,
    uncounted: bool,
    disagreement: Option<(f64, f64)>,
}

impl WorkSum {
    fn add(&mut self, work: &Work, agrees: bool) {
        self.milliseconds = Some(self.milliseconds.unwrap_or(0.0) + work.milliseconds);
        match work.tokens {
            Some(tokens) => self.tokens = Some(self.tokens.unwrap_or(0).saturating_add(tokens)),
            None => self.uncounted = true,
        }
        if let (false, Some(tokens), Some(printed)) = (agrees, work.tokens, work.printed_rate) {
            self.disagreement
                .get_or_insert((printed, 1e3 * tokens as f64 / work.milliseconds));
        }
    }

    fn tokens(&self) -> Option<u64> {
        self.tokens.filter(|_| !self.uncounted)
    }

    fn rate(&self) -> Option<f64> {
        if self.disagreement.is_some() {
            return None;
        }
        Some(1e3 * self.tokens()? as f64 / self.milliseconds?)
    }
}

/// What one form said so far.
#[derive(Debug, Clone, Default)]
struct Report {
    load_milliseconds: Option<f64>,
    prompt: WorkSum,
    eval: WorkSum,
    total_milliseconds: Option<f64>,
    prompt_rate: Option<f64>,
    rate: Option<f64>,
    reports: u64,
}

impl Report {
    fn add(&mut self, item: &TimingItem) {
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

    fn finish(&self, source: TimingSource) -> EngineTimings {
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
        }
    }
}

/// Longest JSON document that is kept to be parsed, bytes.
const LONGEST_DOCUMENT_BYTES: usize = 4 << 20;

/// Per stream: what the next line depends on.
#[derive(Debug, Default)]
struct StreamState {
    /// After `slot print_timing: id 0 | task 0 |` with nothing after it.
    inside_slot: bool,
    /// Lines of a pretty-printed JSON array since its `[`.
    document: Option<String>,
}

/// Reads an engine's output line by line and keeps what it says about time, about its buffers and about requests.
#[derive(Debug, Default)]
pub struct EngineLogParser {
    streams: [StreamState; 2],
    perf: Option<(PerfForm, Report)>,
    builtin: Option<Report>,
    server: Option<Report>,
    bench: Option<Report>,
    json: Option<Report>,
    rates: Option<Report>,
    buffers: BufferSizes,
    requests: ActiveRequests,
    request_marks: Vec<RequestMark>,
}

impl EngineLogParser {
    /// A parser that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one line (any bytes; a trailing `\n` does no harm). Returns the last mark in it, if there is one.
    ///
    /// A progress bar overwrites itself with `\r`: each part between two of them is read as a line.
    pub fn line(&mut self, stream: OutputStream, line: &[u8]) -> Option<EngineMark> {
        let text = timing_line::plain_text(line);
        let mut mark = None;
        self.request_marks.clear();
        for segment in text
            .split(['\r', '\n'])
            .filter(|segment| !segment.trim().is_empty())
        {
            if stream == OutputStream::Stdout {
                // Only the last line is a summary.
                self.json = None;
            }
            mark = engine_mark::recognise(segment).or(mark);
            self.buffers.text(segment);
            if let Some(request) = RequestMark::parse_text(segment) {
                self.requests.take(request);
                self.request_marks.push(request);
            }
            self.segment(stream, segment);
        }
        mark
    }

    /// Sizes of the engine's buffers as its log states them; empty if it does not (see [`BufferSizes`]).
    #[must_use]
    pub fn buffers(&self) -> &[BufferSize] {
        self.buffers.sizes()
    }

    /// Requests that began or ended in the line that was taken last.
    #[must_use]
    pub fn request_marks(&self) -> &[RequestMark] {
        &self.request_marks
    }

    /// Requests of a server after the line that was taken last.
    #[must_use]
    pub fn requests(&self) -> &ActiveRequests {
        &self.requests
    }

    /// What has been said so far, by the best form seen; `None` if nothing was.
    #[must_use]
    pub fn timings(&self) -> Option<EngineTimings> {
        let perf = self.perf.as_ref().map(|(form, report)| {
            let source = match form {
                PerfForm::Builtin => TimingSource::Builtin,
                PerfForm::Common => TimingSource::CommonPerf,
                PerfForm::PerfContext => TimingSource::PerfContext,
                PerfForm::PrintTimings => TimingSource::PrintTimings,
            };
            (source, report)
        });
        let one_request = self
            .server
            .as_ref()
            .is_none_or(|server| server.reports <= 1);
        let candidates = [
            self.builtin
                .as_ref()
                .map(|report| (TimingSource::Builtin, report)),
            self.json
                .as_ref()
                .filter(|_| one_request)
                .map(|report| (TimingSource::Json, report)),
            self.bench
                .as_ref()
                .map(|report| (TimingSource::Bench, report)),
            self.server
                .as_ref()
                .map(|report| (TimingSource::Server, report)),
            perf,
            self.rates
                .as_ref()
                .map(|report| (TimingSource::Rates, report)),
        ];
        let (source, report) = candidates.into_iter().flatten().next()?;
        Some(report.finish(source))
    }

    fn state(&mut self, stream: OutputStream) -> &mut StreamState {
        let [stdout, stderr] = &mut self.streams;
        match stream {
            OutputStream::Stdout => stdout,
            OutputStream::Stderr => stderr,
        }
    }

    fn segment(&mut self, stream: OutputStream, segment: &str) {
        if self.document(stream, segment) {
            return;
        }
        let parsed = timing_line::parse(segment);
        let state = self.state(stream);
        let inside_slot = std::mem::take(&mut state.inside_slot);
        match parsed {
            Some(TimingLine::Perf(form, item)) => self.perf_item(form, &item),
            Some(TimingLine::Slot(item)) => self.slot_item(&item),
            Some(TimingLine::SlotOpen) => state.inside_slot = true,
            Some(TimingLine::Bare(item)) if inside_slot => {
                state.inside_slot = true;
                self.slot_item(&item);
            }
            Some(TimingLine::Bare(_)) | None => {}
            Some(TimingLine::Rates { prompt, generation }) => {
                let reports = self.rates.as_ref().map_or(0, |report| report.reports) + 1;
                self.rates = Some(Report {
                    prompt_rate: prompt,
                    rate: generation,
                    reports,
                    ..Report::default()
                });
            }
        }
    }

    fn perf_item(&mut self, form: PerfForm, item: &TimingItem) {
        if form == PerfForm::Builtin {
            next_in_block(self.builtin.get_or_insert_default(), item);
            return;
        }
        match &mut self.perf {
            Some((current, report)) if *current == form => next_in_block(report, item),
            _ => {
                let mut report = Report::default();
                next_in_block(&mut report, item);
                self.perf = Some((form, report));
            }
        }
    }

    fn slot_item(&mut self, item: &TimingItem) {
        let report = self.server.get_or_insert_default();
        if let TimingItem::Eval(work) = item {
            report.reports += 1;
            let steps = work.map(|work| timing_line::as_decode_steps(&work, 0.01, 0.01));
            report.add(&TimingItem::Eval(steps));
        } else {
            report.add(item);
        }
    }

    /// Takes lines that are JSON. True if the line was part of a document.
    fn document(&mut self, stream: OutputStream, segment: &str) -> bool {
        let trimmed = segment.trim();
        let state = self.state(stream);
        if let Some(document) = &mut state.document {
            if document.len() + segment.len() > LONGEST_DOCUMENT_BYTES {
                state.document = None;
                return false;
            }
            document.push_str(segment);
            document.push('\n');
            // llama-bench indents everything inside its array.
            if segment.trim_end() == "]" {
                let document = state.document.take().unwrap_or_default();
                if let Ok(Value::Array(tests)) = serde_json::from_str(&document) {
                    for object in tests.iter().filter_map(Value::as_object) {
                        if let Some(test) = BenchTest::from_object(object) {
                            self.bench_test(&test);
                        }
                    }
                }
            }
            // Timings inside a text that only began like an array must not be lost.
            return timing_line::parse(segment).is_none();
        }
        if segment.trim_end() == "[" {
            state.document = Some("[\n".to_owned());
            return true;
        }
        if !(trimmed.starts_with('{') && trimmed.ends_with('}')) {
            return false;
        }
        let Ok(Value::Object(object)) = serde_json::from_str(trimmed) else {
            return false;
        };
        if let Some(test) = BenchTest::from_object(&object) {
            self.bench_test(&test);
        } else if stream == OutputStream::Stdout {
            self.json = ServerTimings::from_object(&object).map(|timings| {
                let mut report = Report {
                    reports: 1,
                    ..Report::default()
                };
                // JSON carries full precision; the server rounds times to a microsecond.
                let agrees = |work: &Work| timing_line::rate_agrees(work, 0.002, 1e-3);
                if let Some(work) = timings.prompt {
                    report.prompt.add(&work, agrees(&work));
                }
                if let Some(work) = timings.generation {
                    let work = timing_line::as_decode_steps(&work, 0.002, 1e-3);
                    report.eval.add(&work, agrees(&work));
                }
                report
            });
        }
        true
    }

    fn bench_test(&mut self, test: &BenchTest) {
        let generation = match (test.prompt_tokens, test.generated_tokens) {
            (0, 1..) => true,
            (1.., 0) => false,
            // Prompt and generation in one figure: neither rate can be had from it.
            _ => return,
        };
        let report = self.bench.get_or_insert_default();
        let (sum, rate) = if generation {
            report.reports += 1;
            (&mut report.eval, &mut report.rate)
        } else {
            (&mut report.prompt, &mut report.prompt_rate)
        };
        match test.work() {
            Some(work) => sum.add(
                &Work {
                    printed_rate: test.average_rate,
                    ..work
                },
                test.rate_agrees(),
            ),
            None => *rate = test.average_rate,
        }
    }
}

/// A block is printed from `load time` to `total time`; a second block replaces the first.
fn next_in_block(report: &mut Report, item: &TimingItem) {
    let starts_anew = match item {
        TimingItem::Load(_) => {
            report.load_milliseconds.is_some() || report.total_milliseconds.is_some()
        }
        _ => false,
    };
    if starts_anew || report.reports == 0 {
        *report = Report {
            reports: report.reports + 1,
            ..Report::default()
        };
    }
    report.add(item);
}

#[cfg(test)]
mod tests;
