use crate::schema::{
    BandwidthFigures, GapsRecord, LatencyFigures, ModelIdentity, ModelRecord, PageCacheFigures,
    PhaseRecord, ReadsRecord, RequestRecord, RunRecord, SizeCount, TensorRecord, TokenRecord,
};

use crate::advice;

use super::{ChartSources, markdown, run_page, terminal};

/// A run with something in every table.
fn sample() -> RunRecord {
    let tensor = |layer: u32, expert: u32| TensorRecord {
        name: format!("blk.{layer}.ffn"),
        kind: "expert_ffn".into(),
        layer: Some(layer),
        expert: Some(expert),
        bytes: 1 << 20,
        read_bytes: Some(u64::from(expert) << 20),
        reread: Some(f64::from(expert)),
        ..TensorRecord::default()
    };
    let reads = ReadsRecord {
        sizes: Some(
            (1..=500)
                .map(|pages| SizeCount {
                    bytes: pages * 4096,
                    count: 1,
                })
                .collect(),
        ),
        ..ReadsRecord::default()
    };
    let model = ModelRecord {
        model: ModelIdentity {
            path: "/models/a|b\nc".into(),
            ..ModelIdentity::default()
        },
        reads: Some(reads),
        gaps: Some(GapsRecord::default()),
        bandwidth: Some(BandwidthFigures::default()),
        latency_us: Some(LatencyFigures::default()),
        phases: Some(vec![PhaseRecord {
            phase: "warm_up".into(),
            ..PhaseRecord::default()
        }]),
        tokens: Some(
            (0..100)
                .map(|step| TokenRecord {
                    step,
                    phase: "generation".into(),
                    ..TokenRecord::default()
                })
                .collect(),
        ),
        tensors: Some(
            (0..8)
                .flat_map(|layer| (0..8).map(move |expert| tensor(layer, expert)))
                .collect(),
        ),
        ..ModelRecord::default()
    };
    RunRecord {
        command: vec!["llama-cli".into(), "-m".into(), "a|b".into()],
        single: Some(model),
        ..RunRecord::default()
    }
}

#[test]
fn foreign_text_cannot_break_a_table() {
    let text = markdown(&sample());
    let line = text
        .lines()
        .find(|line| line.starts_with("| a\\|b c"))
        .unwrap_or_default();
    let header = text.lines().find(|line| line.starts_with("| model |"));
    let cells = |line: &str| line.matches(" | ").count();
    assert_eq!(cells(line), cells(header.unwrap_or_default()), "{line}");
    assert!(cells(line) > 2, "{line}");
}

#[test]
fn what_was_not_observed_is_never_a_zero() {
    let text = markdown(&sample());
    let said: String = text
        .lines()
        .filter(|line| line.contains("ot observed"))
        .collect();
    for name in [
        "coverage",
        "amplification",
        "tok/s",
        "latency, p50",
        "refaulted",
    ] {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_model_without_sectors_has_no_figures_of_reads() {
    let record = RunRecord {
        single: Some(ModelRecord::default()),
        ..RunRecord::default()
    };
    let text = terminal(&record, None);
    assert!(text.contains("sectors are not known"), "{text}");
    let missing = text
        .lines()
        .find(|line| line.starts_with("Not observed:"))
        .unwrap_or_default();
    for name in ["total read", "coverage", "amplification", "backward"] {
        assert!(missing.contains(name), "{name}: {text}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in [40, 60, 100] {
        let text = terminal(&sample(), Some(columns));
        for line in text.lines() {
            assert!(
                line.chars().count() <= usize::from(columns),
                "{columns}: {line}"
            );
        }
    }
}

#[test]
fn what_was_evicted_unused_stands_on_the_first_screen_of_the_model_and_by_kind() {
    let mut record = sample();
    let model = record.single.as_mut().expect("one model");
    model.page_cache = Some(PageCacheFigures {
        unused_at_least_bytes: Some(64 << 20),
        unused_at_most_bytes: Some(128 << 20),
        ..PageCacheFigures::default()
    });
    for tensor in model.tensors.iter_mut().flatten() {
        tensor.unused_at_least_bytes = Some(1 << 20);
        tensor.unused_at_most_bytes = Some(2 << 20);
    }
    let text = terminal(&record, Some(40));
    let (results, kinds) = text.split_once("What was read again").expect("both parts");
    for part in [results, kinds] {
        assert!(
            part.contains("evicted unused, at least: 64.00 MiB"),
            "{part}"
        );
        assert!(
            part.contains("evicted unused, at most: 128.00 MiB"),
            "{part}"
        );
    }
}

#[test]
fn long_lists_are_cut_and_say_where_the_rest_is() {
    let text = markdown(&sample());
    assert!(text.lines().count() < 250, "{}", text.lines().count());
    assert!(
        text.contains("The 5 of 64 of which most was read"),
        "{text}"
    );
    assert!(text.contains("| layer 0, expert 7 |"), "{text}");
    assert!(
        text.contains("The first and the last 6 of 100 steps"),
        "{text}"
    );
    assert!(text.contains("| 99 (generation) |") && !text.contains("| 50 (generation) |"));
    assert!(!text.contains("| 1.04 MiB |"), "sizes are powers of two");
}

#[test]
fn requests_are_shown_where_there_are_several() {
    let mut record = sample();
    let request = |rate: f64| RequestRecord {
        tokens_per_s: Some(rate),
        ..RequestRecord::default()
    };
    record.engine.requests = Some(vec![request(4.46)]);
    assert!(!markdown(&record).contains("by the engine's log"));
    record.engine.requests = Some(vec![request(4.46), request(10.61)]);
    let text = markdown(&record);
    assert!(
        text.contains("Requests, by the engine's log") && text.contains("10.61"),
        "{text}"
    );
    record.engine.requests = Some((0..30).map(|_| request(1.0)).collect());
    assert!(markdown(&record).contains("The first 24 of 30"));
}

#[test]
fn commands_in_the_verdict_are_code_on_a_page() {
    let mut record = advice::sample::healthy();
    advice::sample::thrashing(&mut record);
    let page = run_page(&record, ChartSources::default());
    assert!(page.contains("<code>tracer explain</code>"), "{page}");
    let first = page.split("</header>").next().unwrap_or_default();
    assert!(first.contains("<code>") && !first.contains('`'), "{first}");
    assert!(terminal(&record, None).contains("`tracer explain`"));
}

/// No sentence about a part comes before it is said to be one.
#[test]
fn a_part_of_a_run_is_said_first() {
    let mut record = sample();
    let first = |record: &RunRecord| {
        let text = terminal(record, None);
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert!(first(&record).starts_with("Run of"), "{}", first(&record));
    record.partial = true;
    record.partial_reason = Some("only 3 s to 6 s are looked at".into());
    let words = "Part of a run (only 3 s to 6 s are looked at): ";
    assert!(first(&record).starts_with(words), "{}", first(&record));
}
