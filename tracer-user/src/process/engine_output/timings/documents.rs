//! Timings that stand in JSON or in a table: of llama-bench, of servers' answers and of their logs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::process::engine_output::{
    bench_json::{BenchTest, ServerTimings},
    engine_timings::{MOST_REQUESTS, RequestTimings},
    output::OutputStream,
    report::{Report, WorkSum},
    timing_line::{self, Work},
};

use super::{EngineLogParser, LONGEST_DOCUMENT_BYTES};

impl EngineLogParser {
    /// Takes lines that are JSON. True if the line was part of a document.
    pub(super) fn document(&mut self, stream: OutputStream, segment: &str) -> bool {
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
                            self.bench_test(test);
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
            self.bench_test(test);
        } else if let Some(message) = server_message(&object) {
            self.segment(stream, &message);
        } else if self.others.answer(&object) {
            return true;
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

    pub(super) fn bench_test(&mut self, test: BenchTest) {
        // More rows than anybody reads.
        if self.bench.len() < MOST_REQUESTS {
            self.bench.push(test);
        }
    }
}

/// What tests of `llama-bench` say together. Depths are other tests: where there are several, depth 0 counts.
pub(super) fn bench_report(tests: &[BenchTest]) -> Option<Report> {
    if tests.is_empty() {
        return None;
    }
    let mut report = Report::default();
    let prompts = only(tests, |test| {
        test.prompt_tokens > 0 && test.generated_tokens == 0
    });
    let generations = only(tests, |test| {
        test.generated_tokens > 0 && test.prompt_tokens == 0
    });
    report.reports = generations.len() as u64;
    (report.prompt, report.prompt_rate) = together(&prompts);
    (report.eval, report.rate) = together(&generations);
    for test in tests {
        let rate = test.average_rate.filter(|_| test.rate_agrees());
        let (prompt_rate, rate) = match (test.prompt_tokens, test.generated_tokens) {
            (1.., 0) => (rate, None),
            (0, 1..) => (None, rate),
            // Prompt and generation in one figure: neither rate can be had from it.
            _ => continue,
        };
        report.keep_request(RequestTimings {
            name: Some(test.name()),
            prompt_tokens_per_second: prompt_rate,
            tokens_per_second: rate,
            ..RequestTimings::default()
        });
    }
    Some(report)
}

/// Tests of one kind and one depth.
fn only(tests: &[BenchTest], is_kind: fn(&BenchTest) -> bool) -> Vec<&BenchTest> {
    let of_kind = || tests.iter().filter(|test| is_kind(test));
    let depths: BTreeSet<u64> = of_kind().map(|test| test.depth_tokens).collect();
    let depth = match depths.len() {
        1 => depths.first().copied(),
        _ => depths.get(&0).copied(),
    };
    of_kind()
        .filter(|test| Some(test.depth_tokens) == depth)
        .collect()
}

/// Tokens and time of several tests, or the rate of a single one that has no more. Of several of those there is no rate
/// together.
fn together(tests: &[&BenchTest]) -> (WorkSum, Option<f64>) {
    let mut sum = WorkSum::default();
    let works: Option<Vec<_>> = tests
        .iter()
        .map(|test| Some((test, test.work()?)))
        .collect();
    for (test, work) in works.iter().flatten() {
        let printed = Work {
            printed_rate: test.average_rate,
            ..*work
        };
        sum.add(&printed, test.rate_agrees());
    }
    let rate = match (&works, tests) {
        (None, [test]) => test.average_rate,
        _ => None,
    };
    (sum, rate)
}

/// The timing line in what the server of 2024 logs as JSON, as its predecessor wrote it.
fn server_message(object: &serde_json::Map<String, Value>) -> Option<String> {
    let function = object.get("function")?.as_str()?;
    let message = object.get("message")?.as_str()?;
    (function == "print_timings").then(|| format!("print_timings: {message}"))
}
