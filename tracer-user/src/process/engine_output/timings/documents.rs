//! Timings that stand in JSON or in a table: of llama-bench, of servers' answers and of their logs.

use serde_json::Value;

use crate::process::engine_output::{
    bench::{self, BenchTest},
    engine_timings::MOST_REQUESTS,
    output::OutputStream,
    report::Report,
    server_answer::ServerTimings,
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
        } else if let Some(tests) = bench::tests_of_object(&object) {
            tests.into_iter().for_each(|test| self.bench_test(test));
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

/// The timing line in what the server of 2024 logs as JSON, as its predecessor wrote it.
fn server_message(object: &serde_json::Map<String, Value>) -> Option<String> {
    let function = object.get("function")?.as_str()?;
    let message = object.get("message")?.as_str()?;
    (function == "print_timings").then(|| format!("print_timings: {message}"))
}
