//! Forms of engines that are not llama.cpp's own programs, requests apart, log keepers' prefixes, the user's expressions.

use crate::process::engine_output::user_lines::UserLines;

use super::*;

fn each_rate(timings: &EngineTimings) -> Vec<Option<f64>> {
    let rounded = |rate: f64| (rate * 100.0).round() / 100.0;
    let requests = timings.requests.iter();
    requests
        .map(|request| request.tokens_per_second.map(rounded))
        .collect()
}

#[test]
fn llama_bench_as_csv_and_sql() {
    let found = given(OutputStream::Stdout, "bench-csv.log")
        .timings()
        .expect("timings");
    assert_eq!(
        (
            found.source,
            found.tokens_per_second,
            found.prompt_tokens_per_second
        ),
        (TimingSource::Bench, Some(12.5), Some(100.25))
    );
    let row = |prompt: u32, generated: u32, depth: u32, rate: &str| {
        format!(
            "INSERT INTO llama_bench (build_commit, n_prompt, n_gen, n_depth, avg_ns, avg_ts) VALUES ('x', '{prompt}', '{generated}', '{depth}', '1', '{rate}');\n"
        )
    };
    let sql =
        "CREATE TABLE IF NOT EXISTS llama_bench (\n  build_commit TEXT,\n  avg_ts REAL\n);\n\n"
            .to_owned()
            + &row(512, 0, 0, "100.25")
            + &row(0, 128, 0, "12.500000")
            + &row(0, 128, 4096, "7.000000");
    let found = timings(&sql);
    assert_eq!(
        (found.tokens_per_second, found.prompt_tokens_per_second),
        (Some(12.5), Some(100.25))
    );
    let names: Vec<_> = found
        .requests
        .iter()
        .filter_map(|test| test.name.as_deref())
        .collect();
    assert_eq!(names, ["pp512", "tg128", "tg128 @ d4096"]);
    assert_eq!(each_rate(&found), [None, Some(12.5), Some(7.0)]);
}

#[test]
fn depths_of_llama_bench_are_tests_of_their_own() {
    let test = |depth: u32, nanos: u64| {
        format!(
            r#"{{"n_prompt": 0, "n_gen": 128, "n_depth": {depth}, "avg_ts": {}, "samples_ns": [{nanos}]}}"#,
            128e9 / nanos as f64
        )
    };
    let both = format!("{}\n{}", test(512, 8_000_000_000), test(0, 4_000_000_000));
    let found = timings(&both);
    assert_eq!(
        (found.tokens_per_second, found.eval_tokens),
        (Some(32.0), Some(128))
    );
    assert_eq!(each_rate(&found), [Some(16.0), Some(32.0)]);
    // One depth alone is what was measured; of two, neither of them 0, there is no rate.
    assert_eq!(
        timings(&test(512, 8_000_000_000)).tokens_per_second,
        Some(16.0)
    );
    let two = format!("{}\n{}", test(512, 8_000_000_000), test(64, 4_000_000_000));
    assert_eq!(timings(&two).tokens_per_second, None);
}

/// As llama.cpp's `llama-batched-bench -npp 128,256 -ntg 32 -npl 1,4` prints it, with what comes before and after.
fn batched_table(rows: &[&str]) -> String {
    format!(
        "main: n_kv_max = 2048, n_batch = 2048, n_ubatch = 512, flash_attn = 0, is_pp_shared = 0, n_gpu_layers = -1, n_threads = 2, n_threads_batch = 2

|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |
|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|
{}

llama_perf_context_print:        load time =     134.84 ms
llama_perf_context_print: prompt eval time =     925.78 ms /  2400 tokens (    0.39 ms per token,  2592.41 tokens per second)
llama_perf_context_print:        eval time =    4178.32 ms /    64 runs   (   65.29 ms per token,    15.32 tokens per second)
",
        rows.join("\n")
    )
}

const ONE_AT_128: &str = "|   128 |     32 |    1 |    160 |    0.108 |  1186.64 |    3.079 |    10.39 |    3.187 |    50.20 |";
const FOUR_AT_128: &str = "|   128 |     32 |    4 |    640 |    0.373 |  1373.96 |    6.878 |    18.61 |    7.251 |    88.26 |";
const ONE_AT_256: &str = "|   256 |     32 |    1 |    288 |    0.220 |  1163.64 |    3.200 |    10.00 |    3.420 |    84.21 |";

#[test]
fn depths_and_batches_of_llama_batched_bench_are_kept_apart() {
    let found = timings(&batched_table(&[ONE_AT_128, FOUR_AT_128]));
    let names: Vec<_> = found
        .requests
        .iter()
        .filter_map(|test| test.name.as_deref())
        .collect();
    assert_eq!(
        names,
        ["pp128", "tg32 @ d128", "pp128 x 4", "tg32 x 4 @ d128"]
    );
    assert_eq!(each_rate(&found), [None, Some(10.39), None, Some(18.61)]);
    // Of one sequence, where there are several numbers of them.
    assert_eq!(found.source, TimingSource::Bench);
    assert_eq!(
        (found.eval_tokens, found.prompt_tokens),
        (Some(32), Some(128))
    );
    let rate = found.tokens_per_second.expect("a rate");
    assert!((rate - 32.0 / 3.079).abs() < 1e-9, "{rate}");
    // The time is printed to 1 ms, so the rate says it more exactly.
    let prompt = found.prompt_tokens_per_second.expect("a rate");
    assert!((prompt - 1186.64).abs() < 1e-3, "{prompt}");
    assert_eq!(found.disagreements, []);
    // One number of sequences alone is what was measured: all of them together.
    let four = timings(&batched_table(&[FOUR_AT_128]));
    assert_eq!(four.eval_tokens, Some(128));
    assert!((four.tokens_per_second.expect("a rate") - 18.61).abs() < 1e-3);
    // Two depths, neither of them 0: no rate together, and each.
    let two = timings(&batched_table(&[ONE_AT_128, ONE_AT_256]));
    assert_eq!((two.tokens_per_second, two.eval_tokens), (None, None));
    assert_eq!(each_rate(&two), [None, Some(10.39), None, Some(10.0)]);
    // Behind a container's prefix.
    let prefixed: String = batched_table(&[ONE_AT_128])
        .lines()
        .map(|line| format!("2026-01-02T12:30:10.123456789Z stdout F {line}\n"))
        .collect();
    assert_eq!(timings(&prefixed).eval_tokens, Some(32));
}

#[test]
fn llama_batched_bench_as_json_lines() {
    let row = |pl: u32, speed: f64| {
        format!(
            r#"{{"n_kv_max": 2048, "n_batch": 2048, "n_ubatch": 512, "flash_attn": 0, "is_pp_shared": 0, "n_gpu_layers": -1, "n_threads": 2, "n_threads_batch": 2, "pp": 128, "tg": 32, "pl": {pl}, "n_kv": {}, "t_pp": 0.500000, "speed_pp": {:.6}, "t_tg": 4.000000, "speed_tg": {speed:.6}, "t": 4.500000, "speed": 35.555557}}"#,
            160 * pl,
            f64::from(128 * pl) / 0.5,
        )
    };
    let found = timings(&format!("{}\n{}", row(1, 8.0), row(2, 16.0)));
    assert_eq!(
        (
            found.source,
            found.tokens_per_second,
            found.prompt_tokens_per_second
        ),
        (TimingSource::Bench, Some(8.0), Some(256.0))
    );
    assert_eq!(each_rate(&found), [None, Some(8.0), None, Some(16.0)]);
    // A rate that is not what tokens and time give.
    let wrong = timings(&row(1, 9.0));
    assert_eq!(
        (wrong.tokens_per_second, wrong.disagreements.len()),
        (None, 1)
    );
    assert_eq!(each_rate(&wrong), [None, None]);
}

#[test]
fn a_table_of_rates_that_is_not_known_is_said() {
    let unread = |text: &str| {
        let parser = parse_all(OutputStream::Stdout, text.as_bytes());
        assert_eq!(
            parser.timings().and_then(|found| found.tokens_per_second),
            None
        );
        parser.unread_rate().map(|(unit, _)| unit)
    };
    let sweep = "|    PP |     TG |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |
|-------|--------|--------|----------|----------|----------|----------|
|   512 |    128 |      0 |    1.234 |   414.91 |   12.345 |    10.37 |";
    assert_eq!(unread(sweep), Some("S_TG t/s"));
    let not_json = r#"{"pp": 8, "tg": 0, "pl": 1, "t_pp": 0.5, "speed_pp": 16.0, "t_tg": 0.0, "speed_tg": -nan}"#;
    assert_eq!(unread(not_json), Some("speed_tg"));
    // Prompt and generation in one figure.
    let both = "| llama 7B Q4_0 | 3.56 GiB | 6.74 B | CPU | 16 | pp512+tg128 | 30.00 ± 0.10 |";
    assert_eq!(unread(both), Some("t/s"));
    // A table that ended before its first row.
    let header = batched_table(&[]);
    let table: Vec<_> = header
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    assert_eq!(unread(&table.join("\n")), None);
}

#[test]
fn ollama_with_verbose() {
    let text = std::fs::read_to_string(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/process/testdata/field/ollama-verbose.log"),
    )
    .expect("it is there");
    let found = timings(&text);
    let rate = found.tokens_per_second.expect("a rate");
    assert!((rate - 1133.0 / 127.682).abs() < 1e-9, "{rate}");
    assert_eq!(
        (
            found.source,
            found.load_seconds,
            found.total_seconds,
            found.prompt_tokens
        ),
        (
            TimingSource::Ollama,
            Some(0.559_665_542),
            Some(147.5),
            Some(13)
        )
    );
    assert_eq!(found.disagreements, []);
    // A second answer: the sums of both, and each.
    let second = text
        .replace("1133", "100")
        .replace("2m7.682s", "5s")
        .replace("8.87", "20.00")
        .replace("559.665542ms", "12ms");
    let both = timings(&format!("{text}{second}"));
    assert_eq!(both.eval_tokens, Some(1233));
    assert_eq!(each_rate(&both), [Some(8.87), Some(20.0)]);
    assert_eq!(both.load_seconds, Some(0.559_665_542));
    // A rate that its own lines do not give.
    let wrong = timings(&text.replace("8.87", "9.87"));
    assert_eq!(
        (wrong.tokens_per_second, wrong.disagreements.len()),
        (None, 1)
    );
    // Without tokens and time a rate is not believed.
    let alone = parse_all(OutputStream::Stderr, b"eval rate: 12.00 tokens/s");
    assert_eq!(alone.timings(), None);
    assert_eq!(
        alone.unread_rate(),
        Some(("tokens/s", "eval rate: 12.00 tokens/s"))
    );
}

#[test]
fn several_answers_of_ollama() {
    let answer = |count: u32, duration: u64| {
        format!(
            "{{\"model\": \"m\", \"response\": \"a\", \"done\": false}}\n{{\"done\": true, \"load_duration\": 5000000, \"eval_count\": {count}, \"eval_duration\": {duration}}}\n"
        )
    };
    let found = parse_all(
        OutputStream::Stdout,
        (answer(100, 10_000_000_000) + &answer(100, 5_000_000_000)).as_bytes(),
    )
    .timings()
    .expect("timings");
    assert_eq!(
        (found.eval_tokens, found.eval_seconds),
        (Some(200), Some(15.0))
    );
    assert_eq!(each_rate(&found), [Some(10.0), Some(20.0)]);
}

#[test]
fn requests_of_koboldcpp() {
    let found = given(OutputStream::Stdout, "koboldcpp.log")
        .timings()
        .expect("timings");
    assert_eq!(found.source, TimingSource::KoboldCpp);
    assert_eq!(each_rate(&found), [Some(4.46), Some(10.61)]);
    assert_eq!(
        (found.eval_tokens, found.prompt_tokens),
        (Some(357 + 597), None)
    );
    let rate = found.tokens_per_second.expect("a rate");
    assert!((rate - 954.0 / 136.27).abs() < 1e-9, "{rate}");
    // The prompt of the second has no count of tokens: its own rate stands, there is none of both.
    let prompts: Vec<_> = found
        .requests
        .iter()
        .map(|request| (request.prompt_tokens, request.prompt_tokens_per_second))
        .collect();
    assert_eq!(prompts[1], (None, Some(563.34)));
    assert_eq!(prompts[0].0, Some(1486));
    assert_eq!(found.prompt_tokens_per_second, None);
    // Progress on one line, as on a terminal, and the form of 2023 without rates.
    let old = timings(
        "Generating (1 / 80 tokens)\rGenerating (35 / 80 tokens)\nContextLimit: 152/1024, Processing:3.11s (50.0ms/T), Generation:4.20s (120.0ms/T), Total:7.31s (137.0ms/T = 7.30T/s)",
    );
    assert_eq!(old.eval_tokens, Some(35));
    assert!((old.tokens_per_second.expect("a rate") - 35.0 / 4.2).abs() < 1e-9);
    // A count that does not fit is not taken.
    let line = "CtxLimit: 9/99, Process:1.00s (10.0ms/T = 100.00T/s), Generate:10.00s (100.0ms/T = 10.00T/s), Total:11.00s (9T/s)";
    let odd = timings(&format!("Generating (3 / 2048 tokens)\n{line}"));
    assert_eq!((odd.eval_tokens, odd.tokens_per_second), (None, Some(10.0)));
}

#[test]
fn predictions_of_lm_studio() {
    let block = "Prediction Stats:\n  Stop Reason: eosFound\n  Tokens/Second: 31.59\n  Time to First Token: 0.147s\n  Prompt Tokens: 22\n  Predicted Tokens: 75\n  Total Tokens: 97\n";
    let one = timings(block);
    assert_eq!(
        (one.source, one.tokens_per_second),
        (TimingSource::LmStudio, Some(31.59))
    );
    assert_eq!(one.requests[0].eval_tokens, Some(75));
    // Rates of two are not put together.
    let two = timings(&format!("{block}{}", block.replace("31.59", "20.00")));
    assert_eq!(two.tokens_per_second, None);
    assert_eq!(each_rate(&two), [Some(31.59), Some(20.0)]);
    let answer = r#"{"id": "x", "usage": {"prompt_tokens": 24, "completion_tokens": 53}, "stats": {"tokens_per_second": 51.4, "generation_time": 0.954}}"#;
    let rest = parse_all(OutputStream::Stdout, answer.as_bytes());
    assert_eq!(
        rest.timings().and_then(|found| found.tokens_per_second),
        Some(51.4)
    );
    let outside = parse_all(OutputStream::Stderr, b"Tokens/Second: 31.59");
    assert_eq!(outside.timings(), None);
    assert_eq!(
        outside.unread_rate().map(|(unit, _)| unit),
        Some("Tokens/Second")
    );
}

#[test]
fn means_over_intervals_are_no_rate() {
    let parser = given(OutputStream::Stdout, "vllm.log");
    let found = parser.timings().expect("timings");
    assert_eq!(
        (found.source, found.tokens_per_second, found.load_seconds),
        (TimingSource::Intervals, None, Some(21.43))
    );
    let means = found.intervals.expect("a mean");
    assert_eq!((means.count, means.tokens_per_second), (1, 3.6));
    assert_eq!(parser.unread_rate(), None);
    let line = |rate: &str| {
        format!(
            "[2026-01-02 12:30:10 TP0] Decode batch, #running-req: 1, #token: 9, gen throughput (token/s): {rate}, #queue-req: 0\n"
        )
    };
    let found = timings(&(line("10.00") + &line("0.00") + &line("20.00")));
    let means = found.intervals.expect("a mean");
    assert_eq!(
        (
            means.count,
            means.tokens_per_second,
            means.lowest,
            means.highest
        ),
        (2, 15.0, 10.0, 20.0)
    );
    assert_eq!(found.load_seconds, None);
    let candle = timings("loaded the model in 812.5ms");
    assert_eq!(candle.load_seconds, Some(0.8125));
}

#[test]
fn every_form_is_read_behind_a_log_keepers_prefix() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/process/testdata/field");
    let prefixes = [
        "Jan 02 12:30:10 host engine[4242]: ",
        "2026-01-02T12:30:10.123456789Z ",
        "llama-1  | ",
        "2026-01-02T12:30:10.123456789Z stderr F ",
    ];
    let mut forms = 0;
    for entry in std::fs::read_dir(folder).expect("the folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let plain = parse_all(OutputStream::Stdout, text.as_bytes()).timings();
        for prefix in prefixes {
            let prefixed: String = text
                .lines()
                .map(|line| format!("{prefix}{line}\n"))
                .collect();
            let found = parse_all(OutputStream::Stdout, prefixed.trim_end().as_bytes()).timings();
            assert_eq!(found, plain, "{}: {prefix}", path.display());
        }
        forms += 1;
    }
    assert!(forms >= 9, "{forms}");
    // llama-bench's pretty JSON in lines of docker's json-file driver.
    let wrapped: String = BENCH
        .lines()
        .map(|line| {
            let entry = serde_json::json!({"log": format!("{line}\n"), "stream": "stdout", "time": "2026-01-02T12:30:10Z"});
            // serde_json sorts members: docker writes them in this order too.
            format!("{entry}\n")
        })
        .collect();
    assert_eq!(
        timings(&wrapped).tokens_per_second,
        timings(BENCH).tokens_per_second
    );
}

#[test]
fn a_server_tells_each_request_apart() {
    let request = |prompt: &str, eval: &str| {
        format!(
            "slot print_timing: id  0 | task 0 | prompt eval time =     400.00 ms /    {prompt} tokens\nslot print_timing: id  0 | task 0 |        eval time =    1000.00 ms /    {eval} tokens\nslot print_timing: id  0 | task 0 |       total time =    1400.00 ms\n"
        )
    };
    let found = timings(&(request("20", "10") + &request("40", "30")));
    assert_eq!(each_rate(&found), [Some(10.0), Some(30.0)]);
    assert_eq!(found.requests[1].prompt_tokens, Some(40));
    assert_eq!(found.tokens_per_second, Some(20.0));
    // Of very many the first are kept, and the sums have all.
    let many: String = (0..1200).map(|_| request("20", "10")).collect();
    let found = timings(&many);
    assert_eq!((found.requests.len(), found.reports), (1000, 1200));
    assert_eq!(found.eval_tokens, Some(12_000));
}

#[test]
fn the_users_expressions_come_first() {
    let parser = || {
        EngineLogParser::with_lines(UserLines {
            phases: vec!["^weights ready=idle".parse().expect("well-formed")],
            rates: vec!["speed ([0-9.]+)".parse().expect("well-formed")],
        })
    };
    let mut silent = parser();
    silent.line(
        OutputStream::Stderr,
        b"[ Prompt: 20.1 t/s | Generation: 9.9 t/s ]",
    );
    assert_eq!(silent.unmatched(), ["--phase-line", "--rate-line"]);
    assert_eq!(
        silent.timings().map(|found| found.source),
        Some(TimingSource::Rates)
    );
    let mut taken = parser();
    // Behind a prefix the expression's line begins where the engine's does.
    taken.line(OutputStream::Stdout, b"llama-1  | weights ready");
    assert_eq!(
        taken
            .given_phases()
            .iter()
            .map(|given| given.name())
            .collect::<Vec<_>>(),
        ["idle"]
    );
    taken.line(OutputStream::Stdout, b"speed 3.5");
    assert_eq!(taken.given_phases(), []);
    taken.line(OutputStream::Stdout, b"speed 4.5 tok/s");
    taken.line(
        OutputStream::Stderr,
        b"[ Prompt: 20.1 t/s | Generation: 9.9 t/s ]",
    );
    let found = taken.timings().expect("timings");
    assert_eq!(
        (found.source, found.tokens_per_second),
        (TimingSource::RateLine, Some(4.5))
    );
    assert_eq!(each_rate(&found), [Some(3.5), Some(4.5)]);
    assert_eq!((taken.unmatched(), taken.unread_rate()), (vec![], None));
}
