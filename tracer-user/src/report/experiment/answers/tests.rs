use crate::{
    report::experiment::sample::{
        GIB, MODEL_BYTES, experiment, finished, phase, steps, with_model, with_record,
    },
    schema::{
        BufferRecord, ExperimentRecord, ExperimentRunRecord, LatencyFigures, PlannedPressure,
        TensorRecord,
    },
};

use super::answer;

/// The text of one question.
fn section(experiment: &ExperimentRecord, number: u32) -> String {
    let text = answer(experiment, &[]);
    let from = text
        .find(&format!("## {number}. "))
        .unwrap_or_else(|| panic!("no question {number}"));
    let rest = &text[from..];
    let end = rest.find(&format!("## {}. ", number + 1));
    rest[..end.unwrap_or(rest.len())].to_owned()
}

fn has(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{words}:\n{text}");
    }
}

fn tokens(mut run: ExperimentRunRecord, tokens: &str) -> ExperimentRunRecord {
    run.cell.insert("tokens".into(), tokens.into());
    run
}

#[test]
fn without_runs_nothing_is_claimed_and_every_question_names_a_template() {
    let empty = ExperimentRecord::default();
    for (number, template) in [
        (1, "coverage"),
        (2, "cache-delta"),
        (3, "threshold"),
        (4, "memory"),
        (5, "rereads"),
        (6, "seeks"),
        (7, "kv-cache"),
        (8, "seeks"),
    ] {
        let text = section(&empty, number);
        has(
            &text,
            &[
                "Not answered by these runs.",
                &format!("template {template}"),
            ],
        );
    }
}

#[test]
fn a_load_that_covers_the_model_at_several_token_counts_answers_the_first() {
    let run = || finished("a.gguf", PlannedPressure::None);
    let made = experiment(vec![tokens(run(), "10"), tokens(run(), "100")]);
    let text = section(&made, 1);
    has(
        &text,
        &[
            "in 2 runs with 10, 100 tokens the load read 100.0 % of the model's bytes",
            "the generation read 0.0 %: loading alone covers the model in every one of them",
            "tokens = [\"1000\", \"10000\"]",
        ],
    );
    assert!(!text.contains("one token count only"));
}

#[test]
fn a_load_that_leaves_something_out_is_not_called_the_cause() {
    let lazy = with_model(finished("a.gguf", PlannedPressure::None), |model| {
        model.phases = Some(vec![phase("load", GIB), phase("generation", MODEL_BYTES)]);
    });
    let text = section(&experiment(vec![lazy]), 1);
    has(
        &text,
        &[
            "the load read 25.0 %",
            "the generation read 100.0 %: loading alone does not cover the model",
            "one token count only",
        ],
    );
}

#[test]
fn lost_records_answer_nothing() {
    let lost = with_record(finished("a.gguf", PlannedPressure::None), |record| {
        record.loss.ring_buffer_records = 1;
    });
    let text = section(&experiment(vec![lost]), 1);
    has(
        &text,
        &[
            "Not answered by these runs.",
            "tokens = [\"10\", \"100\", \"1000\", \"10000\"]",
        ],
    );
}

fn delta(
    model: &str,
    pressure: PlannedPressure,
    delta_gib: u64,
    repacked_gib: u64,
) -> ExperimentRunRecord {
    let run = with_model(finished(model, pressure), |model| {
        model.cache.delta_bytes = Some((delta_gib * GIB).cast_signed());
    });
    with_record(run, |record| {
        record.engine.buffers = vec![BufferRecord {
            device: Some("CPU_REPACK".into()),
            purpose: "repack".into(),
            bytes: repacked_gib * GIB,
        }];
    })
}

#[test]
fn deltas_are_held_against_repacking_and_missing_pressures_are_planned() {
    let lock = PlannedPressure::Lock(10 * GIB);
    let made = experiment(vec![
        delta("a.gguf", lock, 1, 3),
        delta("b.gguf", lock, 4, 0),
    ]);
    let text = section(&made, 2);
    has(
        &text,
        &[
            "a.gguf: 25.0 %; b.gguf: 100.0 %",
            "1 − repacked / size is 25.0 %, the delta 25.0 %: close to it",
            "not that one caused the other",
            "pressure = [\"none\"]",
        ],
    );
    let apart = experiment(vec![
        delta("a.gguf", lock, 2, 3),
        delta("b.gguf", lock, 4, 0),
    ]);
    has(&section(&apart, 2), &["the delta 50.0 %: apart from it"]);
}

#[test]
fn models_under_different_locks_are_not_compared() {
    let made = experiment(vec![
        delta("a.gguf", PlannedPressure::Lock(10 * GIB), 1, 3),
        delta("b.gguf", PlannedPressure::Lock(12 * GIB), 4, 0),
    ]);
    has(&section(&made, 2), &["Not answered by these runs."]);
}

fn grid(model: &str, model_gib: u64, clean_gib: u64) -> Vec<ExperimentRunRecord> {
    [2, 4, 6, 8, 10]
        .into_iter()
        .flat_map(|size| {
            let run = with_model(
                finished(model, PlannedPressure::MemoryMax(size * GIB)),
                |model| {
                    let read = if size >= clean_gib { 0 } else { 100 };
                    model.tokens = Some(steps(&[read; 99]));
                    model.model.size_bytes = model_gib * GIB;
                },
            );
            vec![run; 5]
        })
        .collect()
}

#[test]
fn thresholds_are_compared_as_intervals() {
    let made = |onset| {
        let mut runs = grid("a.gguf", 4, 6);
        runs.extend(grid("b.gguf", 5, onset));
        experiment(runs)
    };
    // a: above 4/4, up to 6/4. b: above 6/5, up to 8/5, which overlap; or above 8/5, up to 10/5, which do not.
    has(
        &section(&made(8), 3),
        &["a.gguf: 1.000 – 1.500; b.gguf: 1.200 – 1.600; one ratio fits all of them"],
    );
    has(
        &section(&made(10), 3),
        &["no single ratio fits all of them"],
    );
    // The bracket of each model, in steps of 2 % of the model.
    has(
        &section(&made(8), 3),
        &[
            "sizes between collapse and onset",
            "pressure = [\"memory-max=",
        ],
    );
}

#[test]
fn a_threshold_without_an_onset_is_no_answer() {
    let mut runs = grid("a.gguf", 4, 20);
    runs.truncate(10);
    let text = section(&experiment(runs), 3);
    has(
        &text,
        &[
            "Not answered by these runs.",
            "no tested size is clean",
            "a size above 4.00 GiB",
        ],
    );
}

#[test]
fn unpressed_runs_get_a_first_grid() {
    let made = experiment(vec![finished("a.gguf", PlannedPressure::None)]);
    // 10/8 of the 5 GiB that it took, down to 2/8.
    has(
        &section(&made, 3),
        &[
            "Not answered by these runs.",
            &format!("memory-max={}", 10 * 5 * GIB / 8),
            &format!("memory-max={}", 2 * 5 * GIB / 8),
        ],
    );
}

#[test]
fn memory_beside_the_file_is_divided_by_the_log() {
    let run = with_record(finished("a.gguf", PlannedPressure::None), |record| {
        record.engine.buffers = [("kv_cache", 512), ("compute", 128), ("mapped", 4096)]
            .map(|(purpose, mib)| BufferRecord {
                device: Some("CPU".into()),
                purpose: purpose.into(),
                bytes: mib << 20,
            })
            .into();
    });
    has(
        &section(&experiment(vec![run]), 4),
        &[
            "KV cache and state 512.00 MiB",
            "384.00 MiB it does not name",
            "anonymous 1.00 GiB (99.1 %)",
        ],
    );
    let silent = experiment(vec![finished("a.gguf", PlannedPressure::None)]);
    has(&section(&silent, 4), &["the log named no buffer", "-lv 4"]);
}

#[test]
fn what_came_back_is_divided_by_kind_and_expert() {
    let tensor = |kind: &str, expert, size: u64, read: u64, again: u64| TensorRecord {
        kind: kind.into(),
        layer: Some(0),
        expert,
        bytes: size,
        read_bytes: Some(read),
        refaults_bytes: Some(again),
        ..Default::default()
    };
    let run = with_model(
        finished("moe.gguf", PlannedPressure::MemoryMax(GIB)),
        |model| {
            model.tensors = Some(vec![
                tensor("embedding", None, 100, 100, 0),
                tensor("expert_ffn", Some(0), 200, 800, 600),
                tensor("expert_ffn", Some(1), 200, 200, 0),
                tensor("attention", None, 100, 300, 200),
            ]);
        },
    );
    let made = experiment(vec![run, finished("dense.gguf", PlannedPressure::None)]);
    has(
        &section(&made, 5),
        &[
            "expert ffn 75.0 % (66.7 % of the model), attention 25.0 % (16.7 % of the model)",
            "its 2 experts (layer by layer) were read 1.000× – 4.000× times their size",
            "whether MoE changes the pattern is not shown",
            "runs of dense.gguf in which something is read again",
        ],
    );
}

#[test]
fn the_order_of_a_generation_stands_beside_its_latency() {
    let latency = |us: f64| {
        Some(LatencyFigures {
            p50: Some(us),
            p99: Some(4.0 * us),
            ..Default::default()
        })
    };
    let run = with_model(
        finished("a.gguf", PlannedPressure::MemoryMax(GIB)),
        |model| {
            let mut phases = vec![phase("load", MODEL_BYTES), phase("generation", GIB)];
            phases[0].latency_us = latency(100.0);
            phases[1].latency_us = latency(150.0);
            model.phases = Some(phases);
        },
    );
    has(
        &section(&experiment(vec![run]), 6),
        &[
            "25.0 % of the reads follow the one before them, 35.0 % go backward, and 90.0 % continue one of the last 32",
            "took 150 µs, in the load 100 µs (1.500×)",
            "a measurement of the device itself, which no run is",
        ],
    );
    let quiet = experiment(vec![finished("a.gguf", PlannedPressure::None)]);
    has(
        &section(&quiet, 6),
        &["Not answered by these runs.", "makes at least 100 reads"],
    );
}

#[test]
fn a_load_that_ends_when_the_model_is_covered_proves_nothing() {
    let by_pages = with_model(finished("a.gguf", PlannedPressure::None), |model| {
        if let Some(marks) = &mut model.marks {
            marks.load_end = Some("page cache".into());
        }
    });
    has(
        &section(&experiment(vec![by_pages]), 1),
        &[
            "Not answered by these runs.",
            "covers the model by definition",
        ],
    );
}

/// A run with this context, whose log says how large the KV cache is, and of which so much came back over its steps.
fn context(context: &str, kv_mib: u64, again_mib: u64) -> ExperimentRunRecord {
    let run = with_model(
        finished("a.gguf", PlannedPressure::MemoryMax(5 * GIB)),
        |model| {
            let mut generation = phase("generation", again_mib << 20);
            generation.steps = 10;
            generation.refaulted_bytes = Some(again_mib << 20);
            model.phases = Some(vec![phase("load", MODEL_BYTES), generation]);
        },
    );
    let mut run = with_record(run, |record| {
        record.engine.buffers = vec![BufferRecord {
            device: Some("CPU".into()),
            purpose: "kv_cache".into(),
            bytes: kv_mib << 20,
        }];
    });
    run.cell.insert("context".into(), context.into());
    run
}

#[test]
fn a_longer_context_is_a_cause_only_where_the_ranges_lie_apart() {
    let said = |short: [u64; 2], long: [u64; 2]| {
        let runs = [
            context("512", 64, short[0]),
            context("512", 64, short[1]),
            context("4096", 512, long[0]),
            context("4096", 512, long[1]),
        ];
        section(&experiment(runs.to_vec()), 7)
    };
    let yes = said([10, 20], [1000, 1200]);
    // (1100 - 15) / 10 tokens / (512 - 64).
    has(
        &yes,
        &["from 64.00 MiB to 512.00 MiB of KV cache: yes.", "0.242×"],
    );
    assert!(!yes.contains("Missing"), "{yes}");
    has(&said([10, 1100], [1000, 1200]), &["not shown", "overlap"]);
    has(&said([1000, 1200], [10, 20]), &["no.", "less, not more"]);
    has(&said([0, 0], [0, 0]), &["no. Nothing was read again"]);
}

#[test]
fn one_context_or_one_run_of_each_decides_nothing() {
    let once = section(
        &experiment(vec![context("512", 64, 10), context("4096", 512, 1000)]),
        7,
    );
    has(
        &once,
        &[
            "not decided",
            "each seen once",
            "repetitions = 3",
            "context = [",
        ],
    );
    let one = section(
        &experiment(vec![context("512", 64, 10), context("512", 64, 20)]),
        7,
    );
    has(&one, &["Not answered by these runs."]);
    // Contexts that take the same memory, as with an engine that does not listen to the option.
    let same = section(
        &experiment(vec![
            context("512", 64, 10),
            context("512", 64, 10),
            context("4096", 64, 1000),
            context("4096", 64, 1000),
        ]),
        7,
    );
    has(
        &same,
        &["not decided, since the contexts take nearly the same memory"],
    );
    // Another thread count beside another context: two things differ, and nothing is compared.
    let mut threads = [context("512", 64, 10), context("4096", 512, 1000)];
    for (run, value) in threads.iter_mut().zip(["1", "8"]) {
        run.cell.insert("threads".into(), value.into());
    }
    has(
        &section(&experiment(threads.to_vec()), 7),
        &["Not answered by these runs."],
    );
}
