//! Runs whose folders hold what no tracer writes, or only a part.

use std::{fs, path::Path};

use proptest::prelude::*;
use prost::Message as _;

use crate::{
    read_list::{ReadListHeader, ReadListWriter, ReadRow, RecordedFile, RecordedModel},
    schema::{
        ModelIdentity, ModelRecord, PhaseRecord, ReadListRecord, RunRecord, SCHEMA_VERSION,
        TensorRecord, TokenRecord,
    },
};

use super::{
    ExportError, Exported,
    lanes::Lanes,
    message::{Trace, TracePacket, event_type},
    perfetto,
    writer::{TraceWriter, TrackKind},
};

const HOSTILE: &str = "blk.0\u{202e}\u{0}\n<script>\"'\u{1b}[2J";

fn record(name: &str) -> RunRecord {
    let mut record = RunRecord {
        schema_version: SCHEMA_VERSION,
        command: vec![name.to_owned()],
        read_list: Some(ReadListRecord {
            file: Some("reads.parquet".into()),
            ..ReadListRecord::default()
        }),
        single: Some(ModelRecord {
            model: ModelIdentity {
                path: format!("/m/{name}"),
                ..ModelIdentity::default()
            },
            phases: Some(vec![PhaseRecord {
                phase: name.to_owned(),
                start_s: 0.0,
                end_s: 1.0,
                duration_s: 0.5,
                ..PhaseRecord::default()
            }]),
            tokens: Some(vec![TokenRecord {
                phase: name.to_owned(),
                start_s: 0.25,
                duration_s: Some(0.5),
                ..TokenRecord::default()
            }]),
            tensors: Some(vec![
                TensorRecord {
                    name: name.to_owned(),
                    offset_bytes: 0,
                    bytes: 8192,
                    ..TensorRecord::default()
                },
                TensorRecord {
                    name: "second".into(),
                    offset_bytes: 8192,
                    bytes: u64::MAX,
                    expert: Some(3),
                    ..TensorRecord::default()
                },
            ]),
            ..ModelRecord::default()
        }),
        ..RunRecord::default()
    };
    record.time.wall_s = 1.0;
    record
}

fn rows() -> Vec<ReadRow> {
    // The second begins in the first, the third's end was not seen, the last has no place in a file.
    let row = |time_ns, offset: Option<u64>, latency_ns| ReadRow {
        time_ns,
        file: offset.map(|_| 0),
        file_offset_bytes: offset,
        bytes: 4096,
        request_bytes: 4096,
        latency_ns,
        ..ReadRow::default()
    };
    vec![
        row(100, Some(4096), Some(50)),
        row(120, Some(6144), Some(500)),
        row(130, Some(8192), None),
        row(150, None, Some(10)),
    ]
}

fn folder(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("scratch");
    let text = serde_json::to_vec(&record(name)).expect("JSON");
    fs::write(folder.path().join("run.json"), text).expect("writable");
    let header = ReadListHeader {
        tracer_version: "0".into(),
        kernel: "0".into(),
        devices: vec![name.to_owned()],
        models: vec![RecordedModel {
            path: name.to_owned(),
            files: vec![RecordedFile {
                path: name.to_owned(),
                size_bytes: 1 << 20,
            }],
        }],
    };
    let file = fs::File::create(folder.path().join("reads.parquet")).expect("writable");
    let mut writer = ReadListWriter::new(file, &header).expect("a list");
    writer.push(&rows()).expect("rows");
    writer.finish().expect("written");
    folder
}

fn exported(folder: &Path) -> Result<(Exported, Trace), ExportError> {
    let mut bytes = Vec::new();
    let exported = perfetto(folder, &mut bytes)?;
    Ok((exported, Trace::decode(&*bytes).expect("a trace")))
}

fn events(trace: &Trace, r#type: i32) -> impl Iterator<Item = &TracePacket> {
    trace.packet.iter().filter(move |packet| {
        let event = packet.track_event.as_ref();
        event.is_some_and(|event| event.r#type == Some(r#type))
    })
}

fn names(trace: &Trace) -> Vec<&str> {
    let interned = trace
        .packet
        .iter()
        .filter_map(|packet| packet.interned_data.as_ref());
    let interned = interned.flat_map(|data| &data.event_names);
    let tracks = trace
        .packet
        .iter()
        .filter_map(|packet| packet.track_descriptor.as_ref());
    tracks
        .filter_map(|track| track.name.as_deref())
        .chain(interned.filter_map(|name| name.name.as_deref()))
        .collect()
}

#[test]
fn without_a_recording_there_are_reads_steps_and_phases_and_it_is_said_what_is_missing() {
    let folder = folder("m.gguf");
    let (exported, trace) = exported(folder.path()).expect("a trace");
    assert_eq!(
        (exported.reads, exported.read_bytes, exported.steps),
        (4, 16_384, 1)
    );
    assert_eq!(
        (exported.waits, exported.partial.as_slice()),
        (None, &[][..])
    );
    assert!(
        exported.missing[0].contains("--record"),
        "{:?}",
        exported.missing
    );
    // The run, a phase, a step, three reads; the fourth has no end.
    assert_eq!(events(&trace, event_type::SLICE_BEGIN).count(), 6);
    assert_eq!(events(&trace, event_type::SLICE_END).count(), 6);
    assert_eq!(events(&trace, event_type::INSTANT).count(), 1);
    let names = names(&trace);
    for name in [
        "m.gguf",
        "second",
        "read",
        "m.gguf (from its first part to its last)",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let lanes = names.iter().filter(|name| **name == "reads").count();
    assert_eq!(lanes, 2);
}

#[test]
fn names_from_files_break_nothing() {
    let long = "x".repeat(100_000);
    for name in [HOSTILE, &long, "", "\u{feff}", "a/../../b"] {
        let folder = folder(name);
        let (exported, trace) = exported(folder.path()).expect("a trace");
        assert_eq!(exported.reads, 4);
        for shown in names(&trace) {
            assert!(
                shown.chars().count() <= 600
                    && !shown.contains(['\n', '\u{0}', '\u{1b}', '\u{202e}']),
                "{shown:?}"
            );
        }
    }
}

#[test]
fn what_is_damaged_is_left_out_and_said_and_nothing_at_all_is_an_error() {
    let folder = folder("m.gguf");
    let list = folder.path().join("reads.parquet");
    let whole = fs::read(&list).expect("written");
    fs::write(&list, &whole[..whole.len() / 2]).expect("writable");
    let (part, trace) = exported(folder.path()).expect("a trace");
    assert_eq!((part.reads, part.steps), (0, 1));
    assert!(
        part.partial[0].contains("reads.parquet"),
        "{:?}",
        part.partial
    );
    assert!(names(&trace).contains(&"run (a part of it)"));

    // A recording that makes no sense, beside a record that does.
    fs::write(&list, &whole).expect("writable");
    fs::create_dir(folder.path().join("recording")).expect("writable");
    fs::write(folder.path().join("recording/setup.json"), "{").expect("writable");
    let (part, _) = exported(folder.path()).expect("a trace");
    assert_eq!((part.reads, part.waits), (4, None));
    assert!(part.partial[0].contains("setup.json"), "{:?}", part.partial);
    fs::remove_file(folder.path().join("run.json")).expect("it is there");
    let error = exported(folder.path())
        .expect_err("neither is there")
        .to_string();
    assert!(error.contains("setup.json"), "{error}");
    fs::remove_dir_all(folder.path().join("recording")).expect("it is there");
    let error = exported(folder.path())
        .expect_err("nothing is there")
        .to_string();
    assert!(error.contains("run.json"), "{error}");
}

proptest! {
    /// On one track no slice begins before the last has ended, whatever the order in which they come.
    #[test]
    fn slices_of_a_lane_never_overlap(
        spans in proptest::collection::vec((0u64..1_000, 0u64..200), 1..100),
    ) {
        let mut writer = TraceWriter::new(Vec::new());
        let parent = writer.track(None, "device", TrackKind::Plain, None).expect("memory");
        let mut lanes = Lanes::new(parent, "reads");
        for (from, length) in &spans {
            lanes.slice(&mut writer, "read", (*from, from + length), &[]).expect("memory");
        }
        let trace = Trace::decode(&*writer.finish().expect("memory")).expect("a trace");
        let mut free = std::collections::BTreeMap::new();
        let mut slices = 0;
        for packet in &trace.packet {
            let (Some(event), Some(time)) = (&packet.track_event, packet.timestamp) else {
                continue;
            };
            let free = free.entry(event.track_uuid).or_insert(0);
            prop_assert!(*free <= time);
            *free = time;
            slices += usize::from(event.r#type == Some(event_type::SLICE_END));
        }
        prop_assert_eq!(slices, spans.len());
    }
}
