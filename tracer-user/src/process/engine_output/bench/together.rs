//! What the tests of a benchmark say together.

use std::collections::BTreeSet;

use super::test::BenchTest;
use crate::process::engine_output::{
    engine_timings::RequestTimings,
    report::{Report, WorkSum},
    timing_line::Work,
};

/// What tests say together. Depths and numbers of sequences are other tests: where there are several, one sequence at
/// depth 0 counts.
pub(crate) fn bench_report(tests: &[BenchTest]) -> Option<Report> {
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

/// Tests of one kind, one number of sequences and one depth.
fn only(tests: &[BenchTest], is_kind: fn(&BenchTest) -> bool) -> Vec<&BenchTest> {
    let of_kind = tests.iter().filter(|test| is_kind(test)).collect();
    let of_sequences = one_of(of_kind, |test| test.sequences, 1);
    one_of(of_sequences, |test| test.depth_tokens, 0)
}

/// Tests that have one value: the only one that there is, else the usual one.
fn one_of(tests: Vec<&BenchTest>, value: fn(&BenchTest) -> u64, usual: u64) -> Vec<&BenchTest> {
    let values: BTreeSet<u64> = tests.iter().map(|test| value(test)).collect();
    let counts = match values.first() {
        Some(&only) if values.len() == 1 => only,
        _ => usual,
    };
    tests
        .into_iter()
        .filter(|test| value(test) == counts)
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
