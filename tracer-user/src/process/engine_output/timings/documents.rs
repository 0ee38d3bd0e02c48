//! Timings that stand in JSON or in a table: of llama-bench, of servers' answers and of their logs.

use serde_json::Value;

use crate::process::engine_output::{
    bench_json::{BenchTest, ServerTimings},
    output::OutputStream,
    timing_line::{self, Work},
};

use super::{EngineLogParser, LONGEST_DOCUMENT_BYTES, Report};

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
        } else if let Some(message) = server_message(&object) {
            self.segment(stream, &message);
        } else if stream == OutputStream::Stdout {
            self.json = ServerTimings::from_object(&object).map(|timings| {
                let mut report = Report {
                    reports: 1,
                    load_milliseconds: timings.load_milliseconds,
                    total_milliseconds: timings.total_milliseconds,
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

    /// A row of a table, which has a rate and neither tokens nor time: of several tests there is no rate of all.
    pub(super) fn bench_row(&mut self, test: &BenchTest) {
        self.bench_test(test);
        let [prompts, generations] = &mut self.bench_rows;
        *prompts += u64::from(test.prompt_tokens > 0);
        *generations += u64::from(test.generated_tokens > 0);
        if let Some(report) = &mut self.bench {
            report.prompt_rate = report.prompt_rate.filter(|_| *prompts == 1);
            report.rate = report.rate.filter(|_| *generations == 1);
        }
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

/// The timing line in what the server of 2024 logs as JSON, as its predecessor wrote it.
fn server_message(object: &serde_json::Map<String, Value>) -> Option<String> {
    let function = object.get("function")?.as_str()?;
    let message = object.get("message")?.as_str()?;
    (function == "print_timings").then(|| format!("print_timings: {message}"))
}
