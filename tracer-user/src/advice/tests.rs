//! Every cause: present, absent, not decided. And the laws of an explanation.

use proptest::prelude::*;
use serde_json::Value;

use crate::schema::{BufferRecord, DeviceTestRecord, RunRecord, WaitRecord};

use super::{
    CAUSES, Cost, Explanation, Facts, ModelExplanation, Storage, explain,
    explanation::rank,
    sample::{MIB, cache, device_test, generation, healthy, model_of, tensors, thrashing},
    time_split, verdict,
};

/// A cause's three answers: what makes it present in a healthy run, then takes it away, or hides it.
struct Case {
    cause: &'static str,
    device_test: Option<f64>,
    present: fn(&mut RunRecord),
    taken_away: fn(&mut RunRecord),
    hidden: fn(&mut RunRecord),
}

const CASES: &[Case] = &[
    Case {
        cause: "working_set",
        device_test: None,
        present: thrashing,
        taken_away: |run| generation(run).refaulted_bytes = Some(0),
        hidden: |run| generation(run).refaulted_bytes = None,
    },
    Case {
        cause: "read_ahead_in_vain",
        device_test: None,
        present: |run| {
            thrashing(run);
            cache(run).unused_at_least_bytes = Some(1024 * MIB);
            cache(run).unused_at_most_bytes = Some(2000 * MIB);
        },
        taken_away: |run| {
            cache(run).unused_at_least_bytes = Some(0);
            cache(run).unused_at_most_bytes = Some(10 * MIB);
        },
        // Between the bounds, too, it is not decided.
        hidden: |run| cache(run).unused_at_least_bytes = Some(10 * MIB),
    },
    Case {
        cause: "small_reads",
        device_test: None,
        present: |run| {
            let model = model_of(run);
            let sizes = model.reads.as_mut().unwrap().sizes.as_mut().unwrap();
            sizes[0].bytes = 4096;
            model.gaps.as_mut().unwrap().mean_queue_depth = Some(1.0);
        },
        taken_away: |run| model_of(run).gaps.as_mut().unwrap().mean_queue_depth = Some(8.0),
        hidden: |run| model_of(run).reads.as_mut().unwrap().sizes = None,
    },
    Case {
        cause: "other_load",
        device_test: None,
        present: |run| {
            generation(run).waits.stall_s = Some(1.0);
            run.devices[0].write_bytes = run.devices[0].read_bytes;
        },
        taken_away: |run| run.devices[0].write_bytes = 0,
        hidden: |run| run.devices.clear(),
    },
    Case {
        cause: "below_device",
        device_test: Some(4000.0),
        present: |_| {},
        taken_away: |run| {
            model_of(run).bandwidth.as_mut().unwrap().busy_bytes_per_s = Some(3000.0);
        },
        hidden: |run| model_of(run).bandwidth.as_mut().unwrap().busy_bytes_per_s = None,
    },
    Case {
        cause: "device_at_limit",
        device_test: Some(1100.0),
        present: |_| {},
        taken_away: |run| model_of(run).bandwidth.as_mut().unwrap().busy_s = Some(1.0),
        hidden: |run| model_of(run).bandwidth.as_mut().unwrap().busy_s = None,
    },
    Case {
        cause: "second_copy",
        device_test: None,
        present: |run| {
            model_of(run).cache.lookups = Some(100_000);
            run.process.peak.as_mut().unwrap().anonymous_bytes = Some(1100 * MIB);
        },
        taken_away: |run| run.process.peak.as_mut().unwrap().anonymous_bytes = Some(MIB),
        hidden: |run| run.process.peak = None,
    },
    Case {
        cause: "dead_weights",
        device_test: None,
        present: |run| {
            run.engine.buffers.push(BufferRecord {
                device: Some("CPU_REPACK".into()),
                purpose: "repack".into(),
                bytes: 500 * MIB,
            });
        },
        taken_away: |run| model_of(run).cache.last_token_bytes = Some(500 * MIB),
        hidden: |run| run.engine.buffers.clear(),
    },
    Case {
        cause: "dense_evicted",
        device_test: None,
        present: |run| {
            thrashing(run);
            tensors(run)[0].refaults_bytes = Some(640 * MIB);
        },
        taken_away: |run| tensors(run)[0].refaults_bytes = Some(MIB),
        hidden: |run| tensors(run)[3].refaults_bytes = None,
    },
    Case {
        cause: "hot_experts",
        device_test: None,
        present: |run| {
            thrashing(run);
            tensors(run)[1].refaults_bytes = Some(2000 * MIB);
        },
        taken_away: |run| tensors(run)[1].refaults_bytes = Some(130 * MIB),
        hidden: |run| tensors(run)[1].expert = None,
    },
    Case {
        cause: "reclaim",
        device_test: None,
        present: thrashing,
        taken_away: |run| {
            model_of(run).cache.evictions_by_agent =
                Some(crate::schema::EvictionsByAgent::default());
        },
        hidden: |run| model_of(run).cache.evictions_by_agent = None,
    },
    Case {
        cause: "thrown_out",
        device_test: None,
        present: |run| {
            thrashing(run);
            let agents = model_of(run).cache.evictions_by_agent.as_mut().unwrap();
            agents.invalidation = agents.direct_reclaim;
        },
        taken_away: |run| {
            model_of(run)
                .cache
                .evictions_by_agent
                .as_mut()
                .unwrap()
                .invalidation = 0;
        },
        hidden: |run| model_of(run).cache.refaults = None,
    },
    Case {
        cause: "limit_counts_cache",
        device_test: None,
        present: |run| run.pressure.cgroup.as_mut().unwrap().limit_bytes = 1130 * MIB,
        taken_away: |run| run.pressure.cgroup.as_mut().unwrap().limit_bytes = 2000 * MIB,
        hidden: |run| run.memory_course.clear(),
    },
    Case {
        cause: "memory_growth",
        device_test: None,
        present: |run| {
            run.memory_course[2]
                .process
                .as_mut()
                .unwrap()
                .anonymous_bytes = Some(250 * MIB);
            run.residency_course[2].by_events_bytes = vec![Some(800 * MIB)];
        },
        taken_away: |run| run.residency_course[2].by_events_bytes = vec![Some(1024 * MIB)],
        hidden: |run| run.memory_course.clear(),
    },
    Case {
        cause: "swap",
        device_test: None,
        present: |run| run.memory.swap_in_pages = Some(10_000),
        taken_away: |run| run.machine.swap_total_bytes = Some(0),
        hidden: |run| run.memory.swap_in_pages = None,
    },
    Case {
        cause: "file_system",
        device_test: None,
        present: |run| model_of(run).model.filesystem = "nfs4".into(),
        taken_away: |run| model_of(run).model.filesystem = "xfs".into(),
        hidden: |run| model_of(run).model.filesystem.clear(),
    },
    Case {
        cause: "fragmentation",
        device_test: None,
        present: |run| model_of(run).model.extents = Some(10_000),
        taken_away: |run| model_of(run).model.extents = Some(19),
        hidden: |run| model_of(run).model.extents = None,
    },
    Case {
        cause: "lock_without_effect",
        device_test: None,
        present: |run| run.command.push("--mlock".into()),
        taken_away: |run| {
            run.process.rollup.as_mut().unwrap().locked_bytes = Some(1024 * MIB);
        },
        hidden: |run| run.process.rollup = None,
    },
];

fn only(explanation: Explanation) -> ModelExplanation {
    let [model] = <[ModelExplanation; 1]>::try_from(explanation.models).expect("one model");
    model
}

/// What became of a cause: `present`, `absent` or `not decided`.
fn answer(run: &RunRecord, test: Option<&DeviceTestRecord>, cause: &str) -> &'static str {
    let model = only(explain(run, test));
    if model.causes.iter().any(|found| found.name == cause) {
        "present"
    } else if model.absent.iter().any(|found| found.name == cause) {
        "absent"
    } else {
        assert!(
            model.not_decided.iter().any(|found| found.name == cause),
            "{cause} has no answer"
        );
        "not decided"
    }
}

#[test]
fn every_cause_has_a_case() {
    let names: Vec<_> = CAUSES.iter().map(|cause| cause.name).collect();
    let tested: Vec<_> = CASES.iter().map(|case| case.cause).collect();
    assert_eq!(names, tested);
}

#[test]
fn every_cause_is_present_absent_or_not_decided_by_its_figures() {
    for case in CASES {
        let test = case.device_test.map(device_test);
        let of = |change: &dyn Fn(&mut RunRecord)| {
            let mut run = healthy();
            change(&mut run);
            answer(&run, test.as_ref(), case.cause)
        };
        assert_eq!(of(&case.present), "present", "{}", case.cause);
        let away = of(&|run| {
            (case.present)(run);
            (case.taken_away)(run);
        });
        assert_eq!(away, "absent", "{}", case.cause);
        let hidden = of(&|run| {
            (case.present)(run);
            (case.hidden)(run);
        });
        assert_eq!(hidden, "not decided", "{}", case.cause);
    }
}

#[test]
fn a_healthy_run_has_no_cause_and_does_not_wait_for_storage() {
    let run = healthy();
    let explanation = explain(&run, None);
    let said = verdict(&explanation);
    let model = only(explanation);
    assert_eq!(model.causes, []);
    assert!(
        matches!(model.storage, Storage::No { .. }),
        "{:?}",
        model.storage
    );
    assert!(
        said[0].starts_with("Storage is not what you wait for"),
        "{said:?}"
    );
    assert!(said[0].contains("100 %"), "{said:?}");
}

#[test]
fn a_record_without_figures_gives_no_advice() {
    let mut run = RunRecord {
        single: Some(crate::schema::ModelRecord::default()),
        ..RunRecord::default()
    };
    for detail in ["counts", "events"] {
        run.detail = Some(detail.into());
        let model = only(explain(&run, None));
        assert_eq!(model.causes, []);
        assert!(matches!(model.storage, Storage::NotDecided { .. }));
        assert_eq!(model.time, None);
    }
}

#[test]
fn the_level_counts_is_told_to_trace_with_events() {
    let mut run = healthy();
    run.detail = Some("counts".into());
    model_of(&mut run).phases = None;
    model_of(&mut run).page_cache = None;
    let model = only(explain(&run, None));
    assert!(
        model.storage.sentence().contains("--detail events"),
        "{:?}",
        model.storage
    );
    let why = &model
        .not_decided
        .iter()
        .find(|cause| cause.name == "working_set")
        .unwrap()
        .why;
    assert!(why.contains("--detail events"), "{why}");
}

#[test]
fn swap_and_direct_reads_keep_storage_from_being_ruled_out() {
    let mut swapping = healthy();
    swapping.memory.swap_in_pages = Some(5000);
    let mut direct = healthy();
    generation(&mut direct).waits.other_io_threads_s = Some(4.0);
    for run in [swapping, direct] {
        let model = only(explain(&run, None));
        assert!(
            matches!(model.storage, Storage::NotDecided { .. }),
            "{:?}",
            model.storage
        );
    }
}

#[test]
fn read_ahead_in_vain_comes_before_the_memory_that_it_wastes() {
    let mut run = healthy();
    thrashing(&mut run);
    cache(&mut run).unused_at_least_bytes = Some(2000 * MIB);
    cache(&mut run).unused_at_most_bytes = Some(2048 * MIB);
    let model = only(explain(&run, None));
    assert_eq!(model.causes[0].name, "read_ahead_in_vain");
    let Some(first) = model.causes[0].cost else {
        panic!("no cost");
    };
    // 6 s of reading over 10 steps, by 2,000 of 3,072 MiB.
    assert!(
        (first.seconds - 0.6 * 2000.0 / 3072.0).abs() < 1e-12,
        "{first:?}"
    );
    let said = verdict(&explain(&run, None));
    assert!(
        said[0].contains("50.0 % of the time") && said[0].contains("reads ahead"),
        "{said:?}"
    );
}

/// The values at a path, `[]` standing for every element.
fn at<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    path.split('.').fold(vec![value], |values, part| {
        let name = part.trim_end_matches("[]");
        values
            .into_iter()
            .filter_map(|value| value.get(name))
            .flat_map(|value| match value {
                Value::Array(elements) if part.ends_with("[]") => elements.iter().collect(),
                other => vec![other],
            })
            .collect()
    })
}

/// Makes the number at this place (of all numbers in the order of the record) null; false where there is none.
fn make_null(value: &mut Value, place: &mut usize) -> bool {
    match value {
        Value::Number(_) if *place == 0 => {
            *value = Value::Null;
            true
        }
        Value::Number(_) => {
            *place -= 1;
            false
        }
        Value::Array(elements) => elements.iter_mut().any(|element| make_null(element, place)),
        Value::Object(members) => members.values_mut().any(|member| make_null(member, place)),
        _ => false,
    }
}

proptest! {
    #[test]
    fn shares_of_the_time_sum_to_one(
        duration in 1e-6..1e6_f64,
        waits in prop::collection::vec(prop::option::of(0.0..2e6_f64), 4),
    ) {
        let mut run = healthy();
        let phase = generation(&mut run);
        phase.duration_s = duration;
        phase.waits = WaitRecord {
            stall_s: waits[0],
            other_io_s: waits[1],
            reclaim_s: waits[2],
            lock_s: waits[3],
            ..WaitRecord::default()
        };
        let facts = Facts::new(&run, run.single.as_ref().unwrap(), None);
        let split = time_split(&facts);
        prop_assert_eq!(split.is_some(), waits[0].is_some());
        if let Some(split) = split {
            let sum: f64 = split.parts.iter().map(|part| part.share).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9, "{}", sum);
            prop_assert!(split.parts.iter().all(|part| part.share >= 0.0));
            // Only where everything is known is the rest called computing.
            let known = waits.iter().all(Option::is_some);
            prop_assert_eq!(split.parts.iter().any(|part| part.name == "rest"), known);
        }
    }

    #[test]
    fn causes_are_ranked_by_seconds(costs in prop::collection::vec(prop::option::of(0.0..1e3_f64), 0..8)) {
        let mut run = healthy();
        thrashing(&mut run);
        let sample = only(explain(&run, None)).causes.remove(0);
        let mut causes: Vec<_> = costs
            .into_iter()
            .map(|cost| super::Found { cost: Cost::about(cost), ..sample.clone() })
            .collect();
        rank(&mut causes);
        for pair in causes.windows(2) {
            match (pair[0].cost, pair[1].cost) {
                (Some(one), Some(other)) => prop_assert!(one.seconds >= other.seconds),
                (None, Some(_)) => prop_assert!(false, "a cause without a time comes first"),
                (_, None) => {}
            }
        }
    }

    #[test]
    fn no_advice_comes_from_a_null(case in 0..CASES.len(), nulls in prop::collection::vec(0_usize..400, 1..6)) {
        let case = &CASES[case];
        let mut run = healthy();
        (case.present)(&mut run);
        let mut json = serde_json::to_value(&run).unwrap();
        for place in nulls {
            let mut changed = json.clone();
            make_null(&mut changed, &mut { place });
            // Some members are never null: such a record is refused when it is read.
            // A model that lacks one is then no model at all.
            if serde_json::from_value::<RunRecord>(changed.clone()).is_ok_and(|run| run.single.is_some()) {
                json = changed;
            }
        }
        let run: RunRecord = serde_json::from_value(json.clone()).unwrap();
        let test = case.device_test.map(device_test);
        for found in only(explain(&run, test.as_ref())).causes {
            prop_assert!(!found.evidence.is_empty(), "{} shows nothing", found.name);
            for evidence in found.evidence {
                let values = at(&json, evidence.member);
                prop_assert!(
                    values.iter().any(|value| !value.is_null()),
                    "{} stands on {}, which is null", found.name, evidence.member
                );
            }
        }
    }
}

#[test]
fn the_document_shows_every_cause() {
    const BEGIN: &str = "<!-- causes -->\n";
    const END: &str = "<!-- end -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/ADVICE.md");
    let document = std::fs::read_to_string(path).expect("docs/ADVICE.md is read");
    let (before, rest) = document
        .split_once(BEGIN)
        .expect("docs/ADVICE.md has a begin");
    let (_, after) = rest.split_once(END).expect("docs/ADVICE.md has an end");
    let wanted = format!("{before}{BEGIN}{}{END}{after}", super::catalogue());
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &wanted).expect("docs/ADVICE.md is written");
    } else {
        assert!(
            document == wanted,
            "docs/ADVICE.md does not show the catalogue of causes: run `cargo xtask lint --bless`"
        );
    }
}
