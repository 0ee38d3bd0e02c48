//! The engine's log while it runs: what it marks, and what it says of its time.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    process::{
        Certainty, EngineLogParser, EngineMark, EngineTimings, MarkKind, OutputLine, RequestMark,
        RequestTimings, TimingSource, UserLines,
    },
    schema::{BufferRecord, EngineRecord, IntervalsRecord, RequestRecord},
    stats::{
        Nanos,
        phases::phase::{LoadEndBasis, Mark, TimedMark},
    },
};

use super::{
    marks::{GivenBy, GivenMark, SharedMarks},
    weights::add_places_of_weights,
};

/// A mark with its time.
#[derive(Clone, Copy, Debug)]
pub struct LogMark {
    /// What and how certain.
    pub mark: EngineMark,
    /// `CLOCK_MONOTONIC`, nanoseconds.
    pub at_nanos: u64,
}

/// The engine's log, fed by the threads that copy its output.
#[derive(Default)]
struct Log {
    parser: EngineLogParser,
    marks: Vec<LogMark>,
    said_timings: bool,
    shared: SharedMarks,
}

/// The engine's log, shared with those threads.
#[derive(Clone, Default)]
pub struct SharedLog(Arc<Mutex<Log>>);

impl SharedLog {
    /// An empty one, which tells what it marks to the reader of the ring buffer.
    #[must_use]
    pub fn new(shared: SharedMarks, lines: UserLines) -> Self {
        Self(Arc::new(Mutex::new(Log {
            parser: EngineLogParser::with_lines(lines),
            shared,
            ..Log::default()
        })))
    }

    /// Takes in one line of output.
    pub fn line(&self, line: &OutputLine) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let engine_mark = log.parser.line(line.stream, &line.bytes);
        let time = Nanos(line.monotonic_nanos);
        for mark in engine_mark.into_iter().flat_map(phase_marks) {
            log.shared.log(TimedMark { time, mark });
        }
        for request in log.parser.request_marks() {
            let mark = match request {
                RequestMark::Began { .. } => Mark::RequestBegan,
                RequestMark::Ended { .. } => Mark::RequestEnded,
            };
            log.shared.log(TimedMark { time, mark });
        }
        for phase in log.parser.given_phases() {
            log.shared.give(GivenMark {
                phase: *phase,
                by: GivenBy::LogLine,
                at: time,
                uncertainty_nanos: line.monotonic_nanos.saturating_sub(line.empty_nanos),
            });
        }
        if let Some(mark) = engine_mark {
            log.marks.push(LogMark {
                mark,
                at_nanos: line.monotonic_nanos,
            });
        }
        // How long loading took is said before there is a token.
        let says_work = |timings: EngineTimings| timings.source != TimingSource::Intervals;
        log.said_timings = log.said_timings || log.parser.timings().is_some_and(says_work);
    }

    /// The best mark of a load's end so far.
    pub(super) fn load_end(&self) -> Option<LogMark> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.marks
            .iter()
            .filter(|timed| timed.mark.kind == MarkKind::LoadEnd)
            .max_by_key(|timed| (timed.mark.certainty, timed.at_nanos))
            .copied()
    }

    pub(super) fn said_timings(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .said_timings
    }

    /// Tokens per second that it has stated by now.
    pub(in crate::run) fn tokens_per_s(&self) -> Option<f64> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !log.said_timings {
            return None;
        }
        log.parser.timings()?.tokens_per_second
    }

    /// What the engine said of itself, with the load's end counted from the opening of the gate.
    #[must_use]
    pub fn engine(&self, opened_nanos: u64) -> (EngineRecord, Vec<String>) {
        let load_end = self.load_end();
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut record = EngineRecord {
            load_end_s: load_end
                .map(|timed| timed.at_nanos.saturating_sub(opened_nanos) as f64 / 1e9),
            load_end_mark: load_end.map(|timed| {
                let certainty = match timed.mark.certainty {
                    Certainty::Exact => "at that moment",
                    Certainty::Close => "right after it",
                    Certainty::UpperBound => "some time after it",
                };
                format!("{} (printed {certainty})", timed.mark.basis)
            }),
            ..EngineRecord::default()
        };
        record.buffers = log
            .parser
            .buffers()
            .iter()
            .map(|buffer| BufferRecord {
                device: buffer.device.clone(),
                purpose: serde_json::to_value(buffer.purpose)
                    .ok()
                    .and_then(|value| value.as_str().map(str::to_owned))
                    .unwrap_or_default(),
                bytes: buffer.bytes,
            })
            .collect();
        add_places_of_weights(
            &mut record,
            log.parser.buffers(),
            log.parser.offloaded_layers(),
        );
        let mut notes = Vec::new();
        if let Some(timings) = log.parser.timings() {
            record.source = serde_json::to_value(timings.source)
                .ok()
                .and_then(|value| value.as_str().map(str::to_owned));
            record.tokens_per_s = timings.tokens_per_second;
            record.load_s = timings.load_seconds;
            record.prompt_s = timings.prompt_seconds;
            record.prompt_tokens = timings.prompt_tokens;
            record.prompt_tokens_per_s = timings.prompt_tokens_per_second;
            record.eval_s = timings.eval_seconds;
            record.eval_tokens = timings.eval_tokens;
            record.total_s = timings.total_seconds;
            let requests: Vec<_> = timings.requests.iter().map(request_record).collect();
            record.requests = Some(requests).filter(|requests| !requests.is_empty());
            if let Some(means) = timings.intervals {
                notes.push(format!(
                    "the engine printed means over intervals of {}: {:.2} – {:.2} tokens/s in {} of them with generation. Part of an interval may be idle, so none is taken for the rate of a request",
                    means.interval, means.lowest, means.highest, means.count
                ));
                record.intervals = Some(IntervalsRecord {
                    interval: means.interval.to_owned(),
                    count: means.count,
                    tokens_per_s: means.tokens_per_second,
                    lowest_tokens_per_s: means.lowest,
                    highest_tokens_per_s: means.highest,
                });
            }
            notes.extend(timings.disagreements.iter().map(ToString::to_string));
        }
        notes.extend(
            log.parser
                .unmatched()
                .into_iter()
                .map(|option| format!("no line of the log matches the expression of {option}")),
        );
        if let Some((unit, line)) = log.parser.unread_rate() {
            notes.push(format!(
                "the log has '{unit}' in a form that is not known; see --rate-line: {line:?}"
            ));
        }
        (record, notes)
    }
}

/// What a line of the log marks.
fn phase_marks(mark: EngineMark) -> impl Iterator<Item = Mark> {
    let first = match (mark.kind, mark.certainty) {
        (MarkKind::LoadEnd, Certainty::Exact) => Mark::Loaded(LoadEndBasis::ExactLogLine),
        (MarkKind::LoadEnd, Certainty::Close) => Mark::Loaded(LoadEndBasis::LogLine),
        (MarkKind::LoadEnd, Certainty::UpperBound) => Mark::Loaded(LoadEndBasis::LateLogLine),
        (MarkKind::PromptEnd, _) => Mark::PromptEnded,
    };
    let announced = mark.basis.starts_with("warming up");
    [Some(first), announced.then_some(Mark::WarmUpAnnounced)]
        .into_iter()
        .flatten()
}

fn request_record(request: &RequestTimings) -> RequestRecord {
    RequestRecord {
        name: request.name.clone(),
        prompt_s: request.prompt_seconds,
        prompt_tokens: request.prompt_tokens,
        prompt_tokens_per_s: request.prompt_tokens_per_second,
        eval_s: request.eval_seconds,
        eval_tokens: request.eval_tokens,
        tokens_per_s: request.tokens_per_second,
    }
}
