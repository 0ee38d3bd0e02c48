//! Tests of the timing parser: a real log, every form, and any bytes.

use proptest::prelude::*;
use serde_json::Value;

use crate::process::engine_output::{
    engine_mark::{Certainty, MarkKind},
    engine_timings::{EngineTimings, TimingSource},
};

use super::*;

mod each_engine;

const REAL_LOG: &[u8] = include_bytes!("../../testdata/llama-completion-11434.txt");

fn parse_all(stream: OutputStream, output: &[u8]) -> EngineLogParser {
    let mut parser = EngineLogParser::new();
    for line in output.split(|&byte| byte == b'\n') {
        parser.line(stream, line);
    }
    parser
}

fn timings(output: &str) -> EngineTimings {
    parse_all(OutputStream::Stderr, output.as_bytes())
        .timings()
        .expect("timings")
}

#[test]
fn a_real_log() {
    let found = parse_all(OutputStream::Stderr, REAL_LOG)
        .timings()
        .expect("timings");
    assert_eq!(found.source, TimingSource::CommonPerf);
    assert_eq!(found.load_seconds, Some(2.54473));
    assert_eq!(found.prompt_seconds, Some(0.4432));
    assert_eq!(found.prompt_tokens, Some(11));
    assert_eq!(found.eval_tokens, Some(29));
    assert_eq!(found.total_seconds, Some(1037.38 / 1e3));
    assert_eq!(found.disagreements, []);
    let rate = found.tokens_per_second.expect("rate");
    assert!((rate - 29.0 / 0.55396).abs() < 1e-9);

    let mut parser = EngineLogParser::new();
    let marks: Vec<_> = REAL_LOG
        .split(|&byte| byte == b'\n')
        .filter_map(|line| parser.line(OutputStream::Stderr, line))
        .map(|mark| (mark.kind, mark.certainty))
        .collect();
    assert_eq!(marks, [(MarkKind::LoadEnd, Certainty::UpperBound)]);
}

#[test]
fn the_oldest_form_has_no_rates_and_no_token_count_on_total() {
    let found = timings(
        "llama_print_timings:        load time =   134.84 ms
llama_print_timings:      sample time =    12.25 ms /    32 runs   (    0.38 ms per token)
llama_print_timings: prompt eval time =   925.78 ms /    24 tokens (   38.57 ms per token)
llama_print_timings:        eval time =  4178.32 ms /    31 runs   (  134.78 ms per token)
llama_print_timings:       total time =  5211.06 ms",
    );
    assert_eq!(found.source, TimingSource::PrintTimings);
    assert_eq!(
        (found.prompt_tokens, found.eval_tokens, found.reports),
        (Some(24), Some(31), 1)
    );
    assert!((found.tokens_per_second.expect("rate") - 31e3 / 4178.32).abs() < 1e-9);
    assert!((found.total_seconds.expect("total") - 5.21106).abs() < 1e-12);
}

#[test]
fn a_server_with_two_layouts_sums_its_requests_and_has_no_load_time() {
    let found = timings(
        "[42027] 1.35.716.244 I slot print_timing: id  0 | task 388 | n_decoded =    172, tg =  12.00 t/s
[42027] 1.37.495.377 I slot print_timing: id  0 | task 388 | \r
[42027] prompt eval time =     789.03 ms /    27 tokens (   29.22 ms per token,    34.22 tokens per second)
[42027]        eval time =   16112.50 ms /   192 tokens (   83.92 ms per token,    11.92 tokens per second)
[42027]       total time =   16901.53 ms /   219 tokens
[42027] 1.37.495.398 I statistics ngram-map-k: #calls(b,g,a) = 3 570 0
       eval time =   1.00 ms /   1000 tokens (not after a slot line: does not count)
16.44.049.633 I slot print_timing: id  3 | task 1941 | prompt eval time =     210.02 ms /   104 tokens (    2.02 ms per token,   495.19 tokens per second)
16.44.049.636 I slot print_timing: id  3 | task 1941 |        eval time =   12060.66 ms /   764 tokens (   15.79 ms per token,    63.35 tokens per second)
16.44.049.637 I slot print_timing: id  3 | task 1941 |       total time =   12270.68 ms /   868 tokens
16.44.049.637 I slot print_timing: id  3 | task 1941 |    graphs reused =       2590",
    );
    assert_eq!(found.source, TimingSource::Server);
    assert_eq!((found.load_seconds, found.reports), (None, 2));
    assert_eq!(
        (found.prompt_tokens, found.eval_tokens),
        (Some(131), Some(956))
    );
    assert!((found.tokens_per_second.expect("rate") - 956e3 / (16112.50 + 12060.66)).abs() < 1e-9);
    assert!((found.total_seconds.expect("total") - (16.90153 + 12.27068)).abs() < 1e-9);
    assert_eq!(found.disagreements, []);
}

#[test]
fn rates_only() {
    let found = timings("[ Prompt: 20.1 t/s | Generation: 9.9 t/s ]");
    assert_eq!(found.source, TimingSource::Rates);
    assert_eq!(
        (found.prompt_tokens_per_second, found.tokens_per_second),
        (Some(20.1), Some(9.9))
    );
    assert_eq!(
        (found.eval_seconds, found.eval_tokens, found.load_seconds),
        (None, None, None)
    );
    assert_eq!(
        timings("[ Prompt: inf t/s | Generation: 9.9 t/s ]").prompt_tokens_per_second,
        None
    );
}

#[test]
fn a_rate_that_contradicts_its_own_line_is_withheld_and_said() {
    let found = timings(
        "common_perf_print: load time = 1.00 ms\ncommon_perf_print: eval time = 553.96 ms / 29 runs ( 19.10 ms per token, 99.00 tokens per second)",
    );
    assert_eq!(
        (found.tokens_per_second, found.eval_tokens),
        (None, Some(29))
    );
    let [disagreement] = found.disagreements.as_slice() else {
        panic!("{:?}", found.disagreements)
    };
    assert_eq!(
        disagreement.to_string(),
        "the engine printed 99 generation tokens per second, its tokens and time give 52.35"
    );
}

#[test]
fn nothing_generated_is_none() {
    let found = timings(
        "llama_perf_context_print:        load time =    100.00 ms
llama_perf_context_print: prompt eval time =      10.00 ms /     2 tokens (    5.00 ms per token,   200.00 tokens per second)
llama_perf_context_print:        eval time =       0.00 ms /     1 runs   (    0.00 ms per token,      inf tokens per second)
llama_perf_context_print:       total time =      11.00 ms /     3 tokens",
    );
    assert_eq!(found.source, TimingSource::PerfContext);
    assert_eq!(
        (
            found.eval_seconds,
            found.eval_tokens,
            found.tokens_per_second
        ),
        (None, None, None)
    );
    assert_eq!(found.prompt_tokens, Some(2));
    assert_eq!(EngineLogParser::new().timings(), None);
}

#[test]
fn the_last_of_several_blocks_counts() {
    let block = |runs: u32| {
        format!(
            "common_perf_print: load time = 5.00 ms\ncommon_perf_print: eval time = 1000.00 ms / {runs} runs ( 1.00 ms per token, {runs}.00 tokens per second)\ncommon_perf_print: total time = 9.00 ms / 9 tokens\n"
        )
    };
    let found = timings(&(block(10) + &block(20)));
    assert_eq!((found.eval_tokens, found.reports), (Some(20), 2));
    assert_eq!(found.eval_seconds, Some(1.0));
}

const SERVER_JSON: &str = r#"{"cache_n": 0, "prompt_n": 8, "prompt_ms": 20.0, "prompt_per_token_ms": 2.5, "prompt_per_second": 400.0, "predicted_n": 20, "predicted_ms": 400.0, "predicted_per_token_ms": 20.0, "predicted_per_second": 50.0}"#;

#[test]
fn json_counts_only_as_the_last_line_of_standard_output() {
    let found = parse_all(
        OutputStream::Stdout,
        format!("text\n{SERVER_JSON}\n\n").as_bytes(),
    )
    .timings()
    .expect("timings");
    assert_eq!(found.source, TimingSource::Json);
    assert_eq!(
        (
            found.eval_tokens,
            found.eval_seconds,
            found.tokens_per_second
        ),
        (Some(20), Some(0.4), Some(50.0))
    );
    assert_eq!((found.prompt_tokens, found.load_seconds), (Some(8), None));

    let nested = format!(r#"{{"content": "x", "timings": {SERVER_JSON}}}"#);
    assert_eq!(
        parse_all(OutputStream::Stdout, nested.as_bytes())
            .timings()
            .map(|t| t.eval_tokens),
        Some(Some(20))
    );
    assert_eq!(
        parse_all(
            OutputStream::Stdout,
            format!("{SERVER_JSON}\nmore").as_bytes()
        )
        .timings(),
        None
    );
    assert_eq!(
        parse_all(
            OutputStream::Stdout,
            format!("{SERVER_JSON}\n{{broken}}").as_bytes()
        )
        .timings(),
        None
    );
    assert_eq!(
        parse_all(OutputStream::Stderr, SERVER_JSON.as_bytes()).timings(),
        None
    );
}

#[test]
fn json_gives_way_to_a_server_that_served_more_requests() {
    let request = "slot print_timing: id  0 | task 1 |        eval time =     400.00 ms /    20 tokens (   20.00 ms per token,    50.00 tokens per second)";
    let mut parser = EngineLogParser::new();
    parser.line(OutputStream::Stdout, SERVER_JSON.as_bytes());
    parser.line(OutputStream::Stderr, request.as_bytes());
    assert_eq!(parser.timings().map(|t| t.source), Some(TimingSource::Json));
    parser.line(OutputStream::Stderr, request.as_bytes());
    assert_eq!(
        parser.timings().map(|t| (t.source, t.eval_tokens)),
        Some((TimingSource::Server, Some(40)))
    );
}

const BENCH: &str = r#"[
  {
    "build_commit": "abc", "n_prompt": 512, "n_gen": 0,
    "avg_ns": 1000000000, "avg_ts": 512.0, "stddev_ts": 0.0,
    "samples_ns": [ 1000000000, 1000000000 ]
  },
  {
    "n_prompt": 0, "n_gen": 128,
    "avg_ns": 3000000000, "avg_ts": 48.000000, "stddev_ts": 1.0,
    "samples_ns": [ 2000000000, 4000000000 ]
  },
  { "n_prompt": 16, "n_gen": 16, "avg_ts": 1.0, "samples_ns": [ 7 ] }
]
"#;

#[test]
fn llama_bench_takes_the_generation_test() {
    let lines: Vec<String> = match serde_json::from_str(BENCH).expect("json") {
        Value::Array(tests) => tests.iter().map(Value::to_string).collect(),
        _ => Vec::new(),
    };
    for output in [BENCH.to_owned(), lines.join("\n")] {
        let found = parse_all(OutputStream::Stdout, output.as_bytes())
            .timings()
            .expect("timings");
        assert_eq!(found.source, TimingSource::Bench);
        assert_eq!(
            (found.eval_tokens, found.eval_seconds),
            (Some(256), Some(6.0))
        );
        assert_eq!(
            (found.prompt_tokens, found.prompt_tokens_per_second),
            (Some(1024), Some(512.0))
        );
        assert!((found.tokens_per_second.expect("rate") - 256.0 / 6.0).abs() < 1e-9);
        assert_eq!((found.disagreements, found.reports), (vec![], 1));
    }
    let wrong = BENCH.replace("48.000000", "50.000000");
    let found = parse_all(OutputStream::Stdout, wrong.as_bytes())
        .timings()
        .expect("timings");
    assert_eq!(
        (found.tokens_per_second, found.disagreements.len()),
        (None, 1)
    );
    let rate_only = r#"{"n_prompt": 0, "n_gen": 128, "avg_ts": 48.5}"#;
    let found = parse_all(OutputStream::Stdout, rate_only.as_bytes())
        .timings()
        .expect("timings");
    assert_eq!(
        (found.tokens_per_second, found.eval_tokens),
        (Some(48.5), None)
    );
}

#[test]
fn the_built_in_engine_comes_first() {
    let found = timings(
        "builtin_perf_print: load time = 1500.00 ms\nbuiltin_perf_print: eval time = 1000.00 ms / 19 runs ( 52.63 ms per token, 19.00 tokens per second)\ncommon_perf_print: load time = 1.00 ms\n[ Prompt: 1.0 t/s | Generation: 1.0 t/s ]",
    );
    assert_eq!(
        (found.source, found.load_seconds, found.eval_tokens),
        (TimingSource::Builtin, Some(1.5), Some(19))
    );
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(lines in proptest::collection::vec(
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            // Damaged lines of every form: a valid one cut and spliced with noise.
            (0usize..200, 0usize..200, proptest::collection::vec(any::<u8>(), 0..8), 0usize..6).prop_map(|(from, to, noise, which)| {
                let lines: [&[u8]; 6] = [
                    b"common_perf_print: prompt eval time =     443.20 ms /    11 tokens (   40.29 ms per token,    24.82 tokens per second)",
                    b"slot print_timing: id  0 | task 0 | ", b"[ Prompt: 20.1 t/s | Generation: 9.9 t/s ]", b"[",
                    b"\x1b[0m  eval time =  12.00 ms / 99999999999999999999 tokens (", b"]"];
                let mut line = lines[which].to_vec();
                let (from, to) = (from.min(line.len()), to.min(line.len()));
                line.splice(from.min(to)..from.max(to), noise);
                line
            }),
        ], 0..30)
    ) {
        let mut parser = EngineLogParser::new();
        for (index, line) in lines.iter().enumerate() {
            let stream = if index % 3 == 0 { OutputStream::Stdout } else { OutputStream::Stderr };
            parser.line(stream, line);
        }
        if let Some(timings) = parser.timings() {
            let rates = [timings.tokens_per_second, timings.prompt_tokens_per_second];
            prop_assert!(rates.into_iter().flatten().all(|rate| rate.is_finite() && rate > 0.0));
        }
    }

    /// What an engine prints with printf comes back, to the two decimals that were printed.
    #[test]
    fn a_printed_block_parses_back(
        label in 0usize..5,
        load in 0u64..10_000_000, prompt_ms in 1u64..10_000_000, prompt_n in 1u64..100_000,
        eval_ms in 1u64..10_000_000, eval_n in 1u64..100_000, stamped: bool, carriage_return: bool,
    ) {
        let form = ["builtin_perf_print:", "common_perf_print:", "llama_perf_context_print:", "llama_print_timings:",
            "slot print_timing: id  0 | task 0 |"][label];
        let server = label == 4;
        let stamp = if stamped { "0.03.595.703 I " } else { "" };
        let end = if carriage_return { "\r\n" } else { "\n" };
        let hundredths = |value: u64| value as f64 / 100.0;
        let work = |name: &str, ms: u64, n: u64, unit: &str| format!(
            "{stamp}{form} {name} time = {:10.2} ms / {n:5} {unit} ({:8.2} ms per token, {:8.2} tokens per second){end}",
            hundredths(ms), hundredths(ms) / n as f64, 1e3 * n as f64 / hundredths(ms));
        let mut output = String::new();
        if !server {
            output += &format!("{stamp}{form}        load time = {:10.2} ms{end}", hundredths(load));
        }
        output += &work("prompt eval", prompt_ms, prompt_n, "tokens");
        output += &work("       eval", eval_ms, eval_n, if server { "tokens" } else { "runs  " });
        output += &format!("{stamp}{form}       total time = {:10.2} ms / {:5} tokens{end}", hundredths(prompt_ms + eval_ms), prompt_n + eval_n);
        let found = timings(&output);
        let close = |found: Option<f64>, expected: f64| found.is_some_and(|value| (value - expected).abs() <= 1e-9 * expected.max(1e-9));
        prop_assert_eq!(&found.disagreements, &vec![]);
        prop_assert_eq!(found.load_seconds.is_some(), !server);
        prop_assert!(server || close(found.load_seconds, hundredths(load) / 1e3));
        prop_assert!(close(found.prompt_seconds, hundredths(prompt_ms) / 1e3));
        prop_assert!(close(found.eval_seconds, hundredths(eval_ms) / 1e3));
        prop_assert!(close(found.total_seconds, hundredths(prompt_ms + eval_ms) / 1e3));
        prop_assert_eq!((found.prompt_tokens, found.eval_tokens), (Some(prompt_n), Some(eval_n)));
        prop_assert!(close(found.tokens_per_second, 1e3 * eval_n as f64 / hundredths(eval_ms)));
    }
}

fn given(stream: OutputStream, name: &str) -> EngineLogParser {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/process/testdata/field");
    parse_all(stream, &std::fs::read(folder.join(name)).unwrap())
}

#[test]
fn servers_of_2023_and_2024() {
    for name in ["server-2023-plain.log", "server-json-2024.log"] {
        let parser = given(OutputStream::Stderr, name);
        let found = parser.timings().expect(name);
        assert_eq!(found.source, TimingSource::Server, "{name}");
        assert_eq!(
            (found.tokens_per_second, found.prompt_tokens_per_second),
            (Some(10.0), Some(50.0)),
            "{name}"
        );
        assert_eq!(parser.unread_rate(), None, "{name}");
    }
    // Two requests are summed.
    let line = "print_timings:        eval time =    5000.00 ms /    50 runs   (  100.00 ms per token,    10.00 tokens per second)\n";
    let found = timings(&format!(
        "{line}{}",
        line.replace("5000", "1000")
            .replace("50 runs", "30 runs")
            .replace("10.00 tok", "30.00 tok")
    ));
    assert_eq!(
        (found.eval_tokens, found.eval_seconds, found.reports),
        (Some(80), Some(6.0), 2)
    );
}

#[test]
fn an_answer_of_ollama() {
    let found = given(OutputStream::Stdout, "ollama-api-json.log")
        .timings()
        .expect("timings");
    assert_eq!(
        (found.eval_tokens, found.load_seconds),
        (Some(298), Some(0.002_154_458))
    );
    let rate = found.tokens_per_second.expect("a rate");
    assert!((rate - 298.0 / 4.799_921).abs() < 1e-9, "{rate}");
    assert_eq!(found.total_seconds, Some(5.191_566_416));
    let part = r#"{"model": "m", "response": "a", "done": false}"#;
    assert_eq!(
        parse_all(OutputStream::Stdout, part.as_bytes()).timings(),
        None
    );
}

#[test]
fn a_table_of_llama_bench() {
    let found = given(OutputStream::Stdout, "bench-md.log")
        .timings()
        .expect("timings");
    assert_eq!(found.source, TimingSource::Bench);
    assert_eq!(
        (found.tokens_per_second, found.prompt_tokens_per_second),
        (Some(12.5), Some(100.25))
    );
    // Two tests of generation have no rate together; a depth is another test.
    let row = |test: &str, rate: &str| format!("| llama 7B | 16 | {test} | {rate} ± 0.08 |\n");
    let deep = timings(&(row("tg128", "12.5") + &row("tg128 @ d512", "7.0")));
    assert_eq!(deep.tokens_per_second, Some(12.5));
    let three = timings(&(row("tg128", "12.5") + &row("tg64", "13.5") + &row("tg32", "14.5")));
    assert_eq!(three.tokens_per_second, None);
}

#[test]
fn a_rate_that_is_not_read_is_shown() {
    let parser = given(OutputStream::Stdout, "candle-others.log");
    let found = parser.timings().expect("the time of loading");
    assert_eq!(
        (found.tokens_per_second, found.load_seconds),
        (None, Some(3.25))
    );
    assert_eq!(
        parser.unread_rate(),
        Some(("token/s", "99 tokens generated (12.34 token/s)"))
    );
    for (unit, line) in [
        ("tok/s", "decode: 12.3 tok/s"),
        ("tokens/s", "generation throughput (tokens/s): 12.3"),
        ("T/s", "speed 4.46T/s"),
        ("tokens per second", "that is 3.5 tokens per second"),
    ] {
        let parser = parse_all(OutputStream::Stderr, line.as_bytes());
        assert_eq!(parser.unread_rate(), Some((unit, line)));
    }
    for line in ["12 Mbit/s", "format: 3 bit/s: 5", "a rate in t/s: none"] {
        let parser = parse_all(OutputStream::Stderr, line.as_bytes());
        assert_eq!(parser.unread_rate(), None, "{line}");
    }
    let quiet = parse_all(OutputStream::Stderr, b"we offer tokens/s, t/s and more\n");
    assert_eq!(quiet.unread_rate(), None);
}
