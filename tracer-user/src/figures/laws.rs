//! Every figure is the member that it names, and no number of a record is missing from the catalogue. Tried with the record
//! of a real run (`laws/run.json`, its long lists cut), all of whose numbers are first made different.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::schema::{DeviceRecord, ModelRecord, PhaseRecord, RunRecord, TensorRecord, TokenRecord};

use super::{
    Figure, Scope, device, engine, gaps, losses, memory, model, pages, phase, process, reads,
    speed, step, tensor,
};

/// Members that are numbers and no figures: identities, settings of other members, and lists that have tables of their own.
const NO_FIGURES: &[&str] = &[
    "/schema_version",
    "/exit/",
    "/engine/buffers/",
    "/engine/requests/",
    "/given_marks/",
    "/model/files/",
    "/reads/sizes/",
    "/gaps/distances/",
    "/accountings/",
    "/marks/calls/",
    "/process/pid",
    "/process/mappings/",
    "/device_share/",
    "/memory_course/",
    "/residency_course/",
    "/read_list/",
    "/recording/",
    "/overhead/programs/",
    "/kinds/",
    "/tensors/*/layer",
    "/tensors/*/expert",
    "/tensors/*/file",
    "/tensors/*/offset_bytes",
    "/phases/*/latency_us/untimed",
];

/// A record in which no number is there twice, and which has a number wherever one may be.
fn distinct() -> Value {
    let mut value: Value =
        serde_json::from_str(include_str!("laws/run.json")).expect("the record is JSON");
    let read: RunRecord = serde_json::from_value(value).expect("a record of today is read");
    value = serde_json::to_value(&read).expect("a record is written");
    let mut pointers = Vec::new();
    leaves(&value, String::new(), &mut pointers);
    for (next, pointer) in (1000..).zip(pointers) {
        let before = std::mem::replace(at(&mut value, &pointer), Value::from(next));
        // A text or a structure that is not there cannot be a number. The model's members are flattened into the run's: one
        // that cannot be read leaves the run without its model.
        let read = serde_json::from_value::<RunRecord>(value.clone());
        if !read.is_ok_and(|record| record.single.is_some()) {
            *at(&mut value, &pointer) = before;
        }
    }
    value
}

fn at<'v>(value: &'v mut Value, pointer: &str) -> &'v mut Value {
    value.pointer_mut(pointer).expect("a member that was there")
}

/// Pointers of all numbers and nulls.
fn leaves(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::Null | Value::Number(_) => found.push(pointer),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, item)| leaves(item, format!("{pointer}/{at}"), found)),
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| leaves(member, format!("{pointer}/{name}"), found)),
        Value::Bool(_) | Value::String(_) => {}
    }
}

/// Compares the figures of one record with the members below `base`, and notes them as known.
fn compare<R: Scope>(
    whole: &Value,
    base: &str,
    record: &R,
    figures: &[&[&Figure<R>]],
    known: &mut BTreeSet<String>,
) {
    for figure in figures.iter().copied().flatten() {
        let pointer = format!("{base}/{}", figure.member.replace('.', "/"));
        let member = whole
            .pointer(&pointer)
            .unwrap_or_else(|| panic!("{pointer} is no member"));
        assert!(!member.is_null(), "{pointer}: the sample has no number");
        assert_eq!(figure.value(record), member.as_f64(), "{pointer}");
        assert!(known.insert(pointer.clone()), "{pointer} is there twice");
    }
}

const OF_RUN: &[&[&Figure<RunRecord>]] = &[
    engine::TIME,
    engine::ENGINE,
    engine::ENGINE_METRICS,
    memory::PRESSURE,
    memory::MEMORY,
    memory::MACHINE,
    process::PROCESS,
    losses::LOSSES,
    losses::OVERHEAD,
];
const OF_MODEL: &[&[&Figure<ModelRecord>]] = &[
    model::MODEL,
    reads::READS,
    gaps::GAPS,
    speed::BANDWIDTH,
    speed::LATENCY,
    pages::CACHE,
    pages::PAGE_CACHE,
];
const OF_PHASE: &[&[&Figure<PhaseRecord>]] = &[phase::PHASE, gaps::phase::GAPS];
const OF_STEP: &[&[&Figure<TokenRecord>]] = &[step::STEP];
const OF_TENSOR: &[&[&Figure<TensorRecord>]] = &[tensor::TENSOR];
const OF_DEVICE: &[&[&Figure<DeviceRecord>]] = &[device::DEVICE];

#[test]
fn every_figure_is_its_member_and_every_number_is_a_figure() {
    let mut value = distinct();
    // A structure that this run did not have.
    value["pressure"]["cgroup"] = serde_json::json!({
        "version": 2, "limit_bytes": 1, "high_bytes": 2, "peak_bytes": 3, "oom_kills": 4,
        "workingset_refault_file": 5
    });
    value["engine"]["intervals"] = serde_json::json!({
        "interval": "some", "count": 6, "tokens_per_s": 7.5, "lowest_tokens_per_s": 8.5, "highest_tokens_per_s": 9.5
    });
    let record: RunRecord = serde_json::from_value(value.clone()).expect("numbers only");
    let mut known = BTreeSet::from(["/pressure/cgroup/version".to_owned()]);
    compare(&value, "", &record, OF_RUN, &mut known);
    let model = record.single.as_ref().expect("one model");
    compare(&value, "", model, OF_MODEL, &mut known);
    for (at, phase) in model.phases.iter().flatten().enumerate() {
        if phase.gaps.is_some() && phase.latency_us.is_some() {
            compare(
                &value,
                &format!("/phases/{at}"),
                phase,
                OF_PHASE,
                &mut known,
            );
        }
    }
    for (at, step) in model.tokens.iter().flatten().enumerate() {
        compare(&value, &format!("/tokens/{at}"), step, OF_STEP, &mut known);
    }
    for (at, tensor) in model.tensors.iter().flatten().enumerate() {
        compare(
            &value,
            &format!("/tensors/{at}"),
            tensor,
            OF_TENSOR,
            &mut known,
        );
    }
    for (at, device) in record.devices.iter().enumerate() {
        compare(
            &value,
            &format!("/devices/{at}"),
            device,
            OF_DEVICE,
            &mut known,
        );
    }
    let mut numbers = Vec::new();
    leaves(&value, String::new(), &mut numbers);
    let anywhere = |pointer: &str| {
        let parts = pointer.split('/').map(|part| {
            if part.parse::<u32>().is_ok() {
                "*"
            } else {
                part
            }
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let known: BTreeSet<String> = known.iter().map(|pointer| anywhere(pointer)).collect();
    let missing: BTreeSet<String> = numbers
        .iter()
        .filter(|pointer| value.pointer(pointer).is_some_and(Value::is_number))
        .map(|pointer| anywhere(pointer))
        .filter(|pointer| !known.contains(pointer))
        .filter(|pointer| !NO_FIGURES.iter().any(|member| pointer.contains(member)))
        .collect();
    assert!(
        missing.is_empty(),
        "members without an entry in the catalogue: {missing:#?}"
    );
}

#[test]
fn what_a_record_does_not_have_is_none() {
    let run = RunRecord::default();
    for figure in OF_RUN
        .iter()
        .copied()
        .flatten()
        .filter(|figure| !figure.null.is_empty())
    {
        assert_eq!(figure.value(&run), None, "{}", figure.member);
    }
    let model = ModelRecord::default();
    for figure in OF_MODEL
        .iter()
        .copied()
        .flatten()
        .filter(|figure| !figure.null.is_empty())
    {
        assert_eq!(figure.value(&model), None, "{}", figure.member);
    }
    let phase = PhaseRecord::default();
    for figure in OF_PHASE
        .iter()
        .copied()
        .flatten()
        .filter(|figure| !figure.null.is_empty())
    {
        assert_eq!(figure.value(&phase), None, "{}", figure.member);
    }
}

#[test]
fn labels_are_told_apart_and_sentences_have_no_end() {
    fn of<R: Scope>(groups: &[&[&Figure<R>]]) {
        let mut labels = BTreeSet::new();
        for figure in groups.iter().copied().flatten() {
            assert!(
                labels.insert(figure.label),
                "two figures are called {}",
                figure.label
            );
            assert!(!figure.meaning.ends_with('.'), "{}", figure.member);
            assert_eq!(
                figure.meaning.matches('`').count() % 2,
                0,
                "{}",
                figure.member
            );
            assert!(
                !figure.meaning.contains('|'),
                "{} breaks a table",
                figure.member
            );
        }
    }
    of(OF_RUN);
    of(OF_MODEL);
    of(OF_PHASE);
    of(OF_STEP);
    of(OF_TENSOR);
    of(OF_DEVICE);
}
