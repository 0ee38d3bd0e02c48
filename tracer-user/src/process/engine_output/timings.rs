//! Load, prompt and generation time and tokens per second, from what the engine itself prints.
//!
//! Tokens per second are never taken from the wall clock: that would count loading. Forms that are read:
//!
//! | [`TimingSource`] | printed by | what is taken when it appears more than once |
//! |---|---|---|
//! | `Builtin` | the tracer's own engine, `builtin_perf_print:` | the last block |
//! | `RateLine` | any engine, by the user's `--rate-line` | the last line |
//! | `Json` | a script's last line on standard output: llama-server's `timings` object | – |
//! | `Bench` | `llama-bench` as `json`, `jsonl`, `md`, `csv`, `sql`; `llama-batched-bench` as `md`, `jsonl` | sums over the tests with generation only (and with prompt only) of one depth and one number of sequences; where they have rates only and there are several, nothing |
//! | `Server` | llama-server, `slot print_timing: …`, on one line each or the items on the lines after it; `print_timings: …` of 2023, and as JSON of 2024 | sums over the requests |
//! | `Ollama` | ollama `--verbose`, and the last answer of its API to each request | sums over the requests |
//! | `KoboldCpp` | koboldcpp's line for each request | sums over the requests; where one has no count of tokens, nothing |
//! | `Perf` | `common_perf_print:`, `llama_perf_context_print:`, `llama_print_timings:` | the last block: the counters may or may not be cumulative, a sum could count twice |
//! | `Rates` | `llama-cli`'s `[ Prompt: … t/s \| Generation: … t/s ]` (rates only) | the last line |
//! | `LmStudio` | LM Studio's statistics of a prediction (rates only) | nothing |
//! | `Intervals` | vLLM, SGLang: means over intervals, never taken for a rate of requests; the time of loading | the slowest load |
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

mod documents;

use super::{
    bench::{self, BatchedColumns, BenchColumns, BenchTest},
    buffer_lines::{BufferSize, BufferSizes, offloaded_layers},
    engine_mark::{self, EngineMark},
    engine_timings::{EngineTimings, RequestTimings, TimingSource},
    log_prefix::without_prefix,
    other_engines::OtherEngines,
    output::OutputStream,
    report::{Judged, Report},
    request_line::{ActiveRequests, RequestMark},
    timing_line::{self, PerfForm, TimingItem, TimingLine},
    user_lines::UserLines,
};
use crate::stats::phases::given::GivenPhase;

/// Longest JSON document that is kept to be parsed, bytes.
const LONGEST_DOCUMENT_BYTES: usize = 4 << 20;
/// Characters of a line that a note shows.
const LONGEST_SHOWN_LINE: usize = 120;

/// Per stream: what the next line depends on.
#[derive(Debug, Default)]
struct StreamState {
    /// After `slot print_timing: id 0 | task 0 |` with nothing after it.
    inside_slot: bool,
    /// Lines of a pretty-printed JSON array since its `[`.
    document: Option<String>,
    /// Header of a table of comma-separated values.
    columns: Option<BenchColumns>,
    /// Header of a table of `llama-batched-bench`.
    batched: Option<BatchedColumns>,
}

/// Reads an engine's output line by line and keeps what it says about time, about its buffers and about requests.
#[derive(Debug, Default)]
pub struct EngineLogParser {
    user: UserLines,
    /// Rates by the user's expressions.
    user_rates: Option<Report>,
    given: Vec<GivenPhase>,
    given_seen: bool,
    streams: [StreamState; 2],
    perf: Option<(PerfForm, Report)>,
    builtin: Option<Report>,
    server: Option<Report>,
    bench: Vec<BenchTest>,
    others: OtherEngines,
    json: Option<Report>,
    rates: Option<Report>,
    buffers: BufferSizes,
    offloaded_layers: Option<(u64, u64)>,
    requests: ActiveRequests,
    request_marks: Vec<RequestMark>,
    /// The first line that states a rate of tokens in a form that is not read, and the rate's unit in it.
    unread_rate: Option<(&'static str, String)>,
}

impl EngineLogParser {
    /// A parser that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that also takes the user's word for what lines mean.
    #[must_use]
    pub fn with_lines(user: UserLines) -> Self {
        Self {
            user,
            ..Self::default()
        }
    }

    /// Takes one line (any bytes; a trailing `\n` does no harm). Returns the last mark in it, if there is one.
    ///
    /// A progress bar overwrites itself with `\r`: each part between two of them is read as a line.
    pub fn line(&mut self, stream: OutputStream, line: &[u8]) -> Option<EngineMark> {
        let text = timing_line::plain_text(line);
        let mut mark = None;
        self.request_marks.clear();
        self.given.clear();
        for segment in text
            .split(['\r', '\n'])
            .filter(|segment| !segment.trim().is_empty())
        {
            let whole = segment;
            let segment = without_prefix(segment);
            let segment = segment.as_ref();
            // What the user sees may have the prefix or not.
            let given = self.user.phase(segment).or_else(|| self.user.phase(whole));
            self.given.extend(given);
            self.given_seen |= given.is_some();
            if let Some(rate) = self.user.rate(segment).or_else(|| self.user.rate(whole)) {
                self.user_rate(rate);
                continue;
            }
            if stream == OutputStream::Stdout {
                // Only the last line is a summary.
                self.json = None;
            }
            mark = engine_mark::recognise(segment).or(mark);
            self.buffers.text(segment);
            self.offloaded_layers = offloaded_layers(segment).or(self.offloaded_layers);
            if let Some(request) = RequestMark::parse_text(segment) {
                self.requests.take(request);
                self.request_marks.push(request);
            }
            self.segment(stream, segment);
        }
        mark
    }

    fn user_rate(&mut self, rate: f64) {
        let report = self.user_rates.get_or_insert_default();
        report.reports += 1;
        report.rate = Some(rate);
        report.keep_request(RequestTimings {
            tokens_per_second: Some(rate),
            ..RequestTimings::default()
        });
    }

    /// Phases that begin by the user's expressions in the line that was taken last.
    #[must_use]
    pub fn given_phases(&self) -> &[GivenPhase] {
        &self.given
    }

    /// Options of the user whose expressions have matched nothing yet.
    #[must_use]
    pub fn unmatched(&self) -> Vec<&'static str> {
        let phase = !self.user.phases.is_empty() && !self.given_seen;
        let rate = !self.user.rates.is_empty() && self.user_rates.is_none();
        [(phase, "--phase-line"), (rate, "--rate-line")]
            .into_iter()
            .filter_map(|(unmatched, option)| unmatched.then_some(option))
            .collect()
    }

    /// Sizes of the engine's buffers as its log states them; empty if it does not (see [`BufferSizes`]).
    #[must_use]
    pub fn buffers(&self) -> &[BufferSize] {
        self.buffers.sizes()
    }

    /// Layers that are on a GPU, and layers at all, by the last line that says so.
    #[must_use]
    pub const fn offloaded_layers(&self) -> Option<(u64, u64)> {
        self.offloaded_layers
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

    /// The first line that states a rate of tokens in a form that is not read, and the rate's unit in it, where no rate
    /// of generation was read.
    #[must_use]
    pub fn unread_rate(&self) -> Option<(&'static str, &str)> {
        let has_rate = |timings: EngineTimings| {
            timings.tokens_per_second.is_some()
                || timings.intervals.is_some()
                || timings
                    .requests
                    .iter()
                    .any(|request| request.tokens_per_second.is_some())
        };
        self.unread_rate
            .as_ref()
            .filter(|_| !self.timings().is_some_and(has_rate))
            .map(|(unit, line)| (*unit, line.as_str()))
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
        let bench = bench::bench_report(&self.bench);
        let [ollama, koboldcpp, lm_studio] = self.others.reports();
        let candidates = [
            (TimingSource::RateLine, self.user_rates.as_ref()),
            (TimingSource::Builtin, self.builtin.as_ref()),
            (
                TimingSource::Json,
                self.json.as_ref().filter(|_| one_request),
            ),
            (TimingSource::Bench, bench.as_ref()),
            (TimingSource::Server, self.server.as_ref()),
            ollama,
            koboldcpp,
        ];
        let own = candidates
            .into_iter()
            .chain(perf.map(|(source, report)| (source, Some(report))))
            .chain([(TimingSource::Rates, self.rates.as_ref()), lm_studio])
            .find_map(|(source, report)| Some(report?.finish(source)));
        let timings = own.or_else(|| self.others.without_requests())?;
        Some(EngineTimings {
            intervals: self.others.means(),
            ..timings
        })
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
        if self.bench_row(stream, segment) || self.others.line(segment) {
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
            Some(TimingLine::Bare(_)) | None => {
                let unit = timing_line::stated_rate(segment)
                    .or_else(|| bench::has_batched_rate(segment))
                    .or_else(|| bench::unread_table_row(segment).then_some("t/s"));
                if let (Some(unit), None) = (unit, &self.unread_rate) {
                    let shown = segment.trim().chars().take(LONGEST_SHOWN_LINE);
                    self.unread_rate = Some((unit, shown.collect()));
                }
            }
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

    /// A line of a table of `llama-bench` or `llama-batched-bench`. True if it was one.
    fn bench_row(&mut self, stream: OutputStream, segment: &str) -> bool {
        let state = self.state(stream);
        if let Some(columns) = BenchColumns::from_header(segment) {
            state.columns = Some(columns);
            return true;
        }
        if let Some(columns) = BatchedColumns::from_header(segment) {
            state.batched = Some(columns);
            return true;
        }
        let of_columns = || state.columns.as_ref()?.row(segment);
        let test = bench::from_table_row(segment)
            .or_else(|| bench::from_sql(segment))
            .or_else(of_columns);
        let tests = match test {
            Some(test) => vec![test],
            None => {
                let batched = state.batched.as_ref();
                batched
                    .and_then(|columns| columns.row(segment))
                    .unwrap_or_default()
            }
        };
        let was_one = !tests.is_empty();
        tests.into_iter().for_each(|test| self.bench_test(test));
        was_one
    }

    fn slot_item(&mut self, item: &TimingItem) {
        let report = self.server.get_or_insert_default();
        let judged = |work| Judged::by_rounding(work, 0.01, 0.01);
        match item {
            TimingItem::Eval(work) => {
                report.reports += 1;
                let steps = work.map(|work| timing_line::as_decode_steps(&work, 0.01, 0.01));
                if let Some(steps) = steps {
                    report.request_eval(&judged(steps));
                }
                report.add(&TimingItem::Eval(steps));
            }
            TimingItem::Prompt(Some(work)) => {
                report.request_prompt(&judged(*work));
                report.add(item);
            }
            _ => report.add(item),
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
