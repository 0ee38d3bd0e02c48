//! Files as the tracer wrote them when the members had these names: read, and written again, they are the same.
//!
//! Real runs of the built-in engine and a real trace; long arrays are cut to their first elements.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{AuditRecord, BlockTraceRecord, DeviceTestRecord, RunRecord, SCHEMA_VERSION};

const ONE_MODEL: &str = include_str!("testdata/run-one-model.json");
const TWO_MODELS: &str = include_str!("testdata/run-two-models.json");
const DEVICE: &str = include_str!("testdata/device.json");
const TRACE: &str = include_str!("testdata/trace.json");
const AUDIT: &str = include_str!("testdata/audit.json");

fn is_the_same_again<R: Serialize + DeserializeOwned>(text: &str) {
    let written: Value = serde_json::from_str(text).unwrap();
    let record: R = serde_json::from_str(text).unwrap();
    assert_same("", &serde_json::to_value(record).unwrap(), &written);
}

/// Says where two values differ.
fn assert_same(place: &str, now: &Value, then: &Value) {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            for (name, then) in then {
                let place = format!("{place}.{name}");
                let now = now.get(name);
                assert_same(
                    &place,
                    now.unwrap_or_else(|| panic!("{place} is gone")),
                    then,
                );
            }
            // A member that came later was not observed then.
            for (name, now) in now.iter().filter(|(name, _)| !then.contains_key(*name)) {
                assert_eq!(now, &Value::Null, "{place}.{name} is new");
            }
        }
        (Value::Array(now), Value::Array(then)) => {
            assert_eq!(now.len(), then.len(), "elements of {place}");
            for (index, (now, then)) in now.iter().zip(then).enumerate() {
                assert_same(&format!("{place}[{index}]"), now, then);
            }
        }
        _ => assert_eq!(now, then, "{place}"),
    }
}

#[test]
fn a_run_is_read_and_written_again_to_the_digit() {
    is_the_same_again::<RunRecord>(ONE_MODEL);
    is_the_same_again::<RunRecord>(TWO_MODELS);
    let run: RunRecord = serde_json::from_str(ONE_MODEL).unwrap();
    assert_eq!(run.schema_version, SCHEMA_VERSION);
}

#[test]
fn a_device_test_a_trace_and_an_audit_are_read_and_written_again_to_the_digit() {
    is_the_same_again::<DeviceTestRecord>(DEVICE);
    is_the_same_again::<BlockTraceRecord>(TRACE);
    is_the_same_again::<AuditRecord>(AUDIT);
}

/// What a reader of a run counts on: each of these is a figure there, none is null by a member that lost its name.
#[test]
fn the_members_of_a_run_have_their_values() {
    let run: RunRecord = serde_json::from_str(ONE_MODEL).unwrap();
    let model = run.single.unwrap();
    let (reads, gaps) = (model.reads.unwrap(), model.gaps.unwrap());
    assert!(reads.amount.coverage.is_some() && reads.amount.amplification.is_some());
    assert!(reads.process_share.unwrap().share.is_some() && !reads.sizes.unwrap().is_empty());
    assert!(gaps.stream_sequential_share.is_some() && !gaps.distances.unwrap().is_empty());
    assert!(model.bandwidth.unwrap().peak_bytes_per_s.is_some());
    assert!(model.latency_us.unwrap().p99.is_some());
    assert!(model.cache.evictions_by_agent.is_some() && model.accountings.is_some());
}
