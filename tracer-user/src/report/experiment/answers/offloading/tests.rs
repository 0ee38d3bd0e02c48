use crate::{
    report::experiment::{
        answers::answer,
        sample::{GIB, MODEL_BYTES, experiment, finished, with_model, with_record},
    },
    schema::{
        DeviceTestRecord, ExperimentRecord, ExperimentRunRecord, PatternRecord, PlannedPressure,
        SizeCount, SpreadRecord, TestedDevice,
    },
};

fn section(experiment: &ExperimentRecord, tests: &[DeviceTestRecord]) -> String {
    let text = answer(experiment, tests);
    let from = text.find("## 8. ").expect("the question");
    text[from..].to_owned()
}

fn has(text: &str, words: &[&str]) {
    for words in words {
        assert!(text.contains(words), "{words}:\n{text}");
    }
}

/// A run whose reads were of this size.
fn of_size(size: u64, written: u64) -> ExperimentRunRecord {
    let run = with_model(finished("a.gguf", PlannedPressure::None), |model| {
        let reads = model.reads.as_mut().expect("reads");
        reads.sizes = Some(vec![
            SizeCount {
                bytes: size,
                count: 100,
            },
            SizeCount {
                bytes: 4096,
                count: 50,
            },
        ]);
    });
    with_record(run, |record| {
        record.devices[0].read_bytes = MODEL_BYTES;
        record.devices[0].write_bytes = written;
    })
}

fn device_test(best: f64, doubts: &[&str]) -> DeviceTestRecord {
    DeviceTestRecord {
        device: TestedDevice {
            name: "nvme0n1".into(),
            ..Default::default()
        },
        doubts: doubts.iter().map(|doubt| (*doubt).to_owned()).collect(),
        patterns: vec![PatternRecord {
            order: "sequential".into(),
            bytes_per_s: Some(SpreadRecord {
                median: best,
                least: best,
                largest: best,
            }),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn what_a_study_found_is_held_against_each_figure() {
    let theirs = experiment(vec![of_size(128 << 10, 0)]);
    has(
        &section(&theirs, &[]),
        &[
            "Here it holds: at least half of the bytes came in such reads in 1 of 1 cells",
            "Here it is not decided: what the device can do is in no run. tracer device MODEL",
            "Here it holds: 4.00 GiB were read and nothing was written",
        ],
    );
    let other = experiment(vec![of_size(512 << 10, MODEL_BYTES)]);
    has(
        &section(&other, &[]),
        &[
            "Here it does not hold: at least half of the bytes came in such reads in 0 of 1 cells",
            "512.00 KiB",
            "Here it does not hold: 4.00 GiB were read and 4.00 GiB written",
        ],
    );
    // The runs got 2.5 GiB/s.
    let bandwidth =
        |gib: f64, doubts: &[&str]| section(&theirs, &[device_test(gib * GIB as f64, doubts)]);
    has(
        &bandwidth(5.0, &[]),
        &["Here it holds: while reads were in flight, 1 runs got 50.0 %"],
    );
    has(
        &bandwidth(2.5, &[]),
        &["Here it does not hold: while reads were in flight, 1 runs got 100.0 %"],
    );
    has(
        &bandwidth(1.0, &[]),
        &[
            "Here it is not decided: the runs got 250.0 %",
            "Make it again",
        ],
    );
    has(
        &bandwidth(5.0, &["others used the device"]),
        &["Here it is not decided", "in doubt: others used the device"],
    );
}
