use std::{fs, path::Path};

use serde_json::json;

use crate::{
    experiment::{
        plan::{Adapter, EnginePlan},
        server::Answer,
    },
    schema::{RunRecord, WorkRecord},
};

use super::{tokens_per_s, work};

fn engine(adapter: Adapter) -> EnginePlan {
    EnginePlan {
        adapter,
        command: Vec::new(),
        tokens_per_s: None,
        temperature: None,
        seed: None,
    }
}

fn folder(stdout: &str, stderr: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    fs::write(folder.path().join("engine.stdout"), stdout).expect("stdout");
    fs::write(folder.path().join("engine.stderr"), stderr).expect("stderr");
    folder
}

fn of(adapter: Adapter, directory: &Path) -> WorkRecord {
    work(&engine(adapter), directory, None, None).expect("readable")
}

// printf '186\n321\n' | sha256sum
const IDS_186_321: &str = "c975378321813a4c24083346851fb13550077e929d3aaf7ce78e50080b5259ef";

#[test]
fn the_built_in_engine_gives_ids() {
    let folder = folder("186 321 \ntoken hash: 15b58018b4ddcb04\n", "");
    let work = of(Adapter::BuiltIn, folder.path());
    assert_eq!(work.output_kind.as_deref(), Some("token ids"));
    assert_eq!(work.output_digest.as_deref(), Some(IDS_186_321));
    assert_eq!(work.generated_tokens, Some(2));
    assert!(
        work.engine_version
            .is_some_and(|version| version.starts_with("built-in engine"))
    );
}

#[test]
fn the_built_in_engine_that_said_nothing_did_no_work() {
    let folder = folder("", "");
    let work = of(Adapter::BuiltIn, folder.path());
    assert_eq!((work.output_digest, work.generated_tokens), (None, None));
}

#[test]
fn a_server_gives_the_same_digest_for_the_same_ids() {
    let folder = folder("", "");
    let answer = |tokens| Answer {
        whole: json!({}),
        token_ids: tokens,
        text: "abc".into(),
        generated_tokens: Some(2),
        build: Some("b1-abc".into()),
    };
    let of = |answer: &Answer| {
        work(
            &engine(Adapter::LlamaServer),
            folder.path(),
            None,
            Some(answer),
        )
        .expect("readable")
    };
    let with_ids = of(&answer(Some(vec![186, 321])));
    assert_eq!(with_ids.output_digest.as_deref(), Some(IDS_186_321));
    assert_eq!(with_ids.engine_version.as_deref(), Some("b1-abc"));
    let without = of(&answer(None));
    // printf abc | sha256sum
    assert_eq!(
        (
            without.output_digest.as_deref(),
            without.output_kind.as_deref()
        ),
        (
            Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            Some("text")
        )
    );
}

#[test]
fn other_engines_give_their_text() {
    let folder = folder(
        "abc",
        "0.00.000.123 I build: 11434 (abcdef) with gcc\nother\n",
    );
    let digest = Some("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let text = of(Adapter::LlamaCompletion, folder.path());
    assert_eq!(
        (text.output_digest.as_deref(), text.output_kind.as_deref()),
        (digest, Some("text"))
    );
    assert_eq!(
        text.engine_version.as_deref(),
        Some("build: 11434 (abcdef) with gcc")
    );
    let any = of(Adapter::Command, folder.path());
    assert_eq!(
        (any.output_digest.as_deref(), any.output_kind.as_deref()),
        (digest, Some("standard output"))
    );
    let bench = of(Adapter::LlamaBench, folder.path());
    assert_eq!(bench.output_digest, None);
}

#[test]
fn decode_runs_are_one_fewer_than_tokens() {
    let folder = folder("x", "");
    let mut record = RunRecord::default();
    record.engine.eval_tokens = Some(19);
    let of = |record: &RunRecord| {
        work(
            &engine(Adapter::LlamaCompletion),
            folder.path(),
            Some(record),
            None,
        )
        .expect("readable")
        .generated_tokens
    };
    record.engine.source = Some("common_perf".into());
    assert_eq!(of(&record), Some(20));
    record.engine.source = Some("rates".into());
    assert_eq!(of(&record), None);
}

#[test]
fn sampling_is_deterministic_as_far_as_the_plan_tells() {
    let folder = folder("x", "");
    let with = |adapter, temperature, seed| {
        let engine = EnginePlan {
            temperature,
            seed,
            ..engine(adapter)
        };
        work(&engine, folder.path(), None, None)
            .expect("readable")
            .deterministic_sampling
    };
    assert!(with(Adapter::LlamaCli, Some(0.0), Some(1)));
    assert!(!with(Adapter::LlamaCli, Some(0.8), Some(1)));
    assert!(!with(Adapter::LlamaCli, Some(0.0), None));
    assert!(!with(Adapter::Command, None, None));
    assert!(with(Adapter::BuiltIn, None, Some(0)));
}

#[test]
fn the_plans_expression_finds_the_last_rate() {
    let folder = folder("warm-up 1.5 tok/s\nspeed 12.25 tok/s\n", "speed 99 tok/s");
    let rate = |pattern: &str| tokens_per_s(pattern, folder.path()).expect("readable");
    assert_eq!(rate(r"([\d.]+) tok/s"), Some(12.25));
    assert_eq!(rate(r"speed (\d+) tok/s"), Some(99.0));
    assert_eq!(rate(r"none (\d+)"), None);
    assert_eq!(rate(r"(speed)"), None);
}
