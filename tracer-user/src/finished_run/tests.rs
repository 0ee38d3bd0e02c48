use std::{fs::File, path::Path};

use crate::{
    read_list::{ReadListHeader, ReadListWriter, ReadRow, RecordedFile, RecordedModel},
    schema::{ModelFileRecord, ModelRecord, ReadListRecord, RunRecord, TensorRecord, TimeRecord},
};

use super::page_of;

const HOSTILE: &str = "</script></svg></td><img src=x onerror=alert(1)>\"' & \u{202e}";
const MODEL_BYTES: u64 = 8 << 30;

/// A run that reads its model from front to back again and again, and now and then elsewhere.
fn run(folder: &Path, reads: u64) -> RunRecord {
    let header = ReadListHeader {
        tracer_version: "0".into(),
        kernel: "0".into(),
        devices: vec!["sda".into()],
        models: vec![RecordedModel {
            path: "m".into(),
            files: vec![RecordedFile {
                path: "m".into(),
                size_bytes: MODEL_BYTES,
            }],
        }],
    };
    let file = File::create(folder.join("reads.parquet")).expect("a file");
    let mut list = ReadListWriter::new(file, &header).expect("a list");
    let size = 256 * 1024;
    for number in 0..reads {
        let scan = number * size % MODEL_BYTES;
        let offset = if number % 1000 == 7 {
            number.wrapping_mul(7_919 * 4096) % (MODEL_BYTES - size)
        } else {
            scan
        };
        let row = ReadRow {
            time_ns: number * 60_000_000_000 / reads,
            file: Some(0),
            file_offset_bytes: Some(offset / 4096 * 4096),
            bytes: size,
            request_bytes: size as u32,
            latency_ns: Some(80_000 + number % 977 * 500),
            ..ReadRow::default()
        };
        list.push(&[row]).expect("room");
    }
    list.finish().expect("a list");
    let mut model = ModelRecord::default();
    model.model.path = format!("/m/{HOSTILE}.gguf");
    model.model.size_bytes = MODEL_BYTES;
    model.model.files.push(ModelFileRecord {
        size_bytes: MODEL_BYTES,
        ..ModelFileRecord::default()
    });
    model.tensors = Some(vec![TensorRecord {
        name: HOSTILE.into(),
        kind: HOSTILE.into(),
        layer: Some(0),
        bytes: MODEL_BYTES,
        read_bytes: Some(reads * size),
        ..TensorRecord::default()
    }]);
    RunRecord {
        command: vec![HOSTILE.into()],
        notes: vec![HOSTILE.into()],
        time: TimeRecord {
            wall_s: 60.0,
            ..TimeRecord::default()
        },
        single: Some(model),
        read_list: Some(ReadListRecord {
            file: Some("reads.parquet".into()),
            reads: Some(reads),
            ..ReadListRecord::default()
        }),
        ..RunRecord::default()
    }
}

fn page(reads: u64) -> String {
    let folder = tempfile::tempdir().expect("scratch");
    page_of(&run(folder.path(), reads), folder.path())
}

#[test]
fn many_reads_make_a_grid_and_few_are_drawn_one_by_one() {
    let many = page(250_000);
    assert!(many.contains("class=\"density") && !many.contains("class=\"piece"));
    assert!(many.len() < 2 << 20, "{}", many.len());
    let few = page(2_000);
    assert!(few.contains("class=\"piece") && !few.contains("class=\"density"));
    assert!(few.contains("2,000 reads"));
}

#[test]
fn names_from_outside_are_no_markup_anywhere_in_the_page() {
    let page = page(100);
    assert!(!page.contains("<img") && !page.contains("onerror=alert(1)>\""));
    // The page's own.
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script>").count(), 1);
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(!page.contains('\u{202e}'));
}

#[test]
fn what_a_record_does_not_hold_is_said() {
    let folder = tempfile::tempdir().expect("scratch");
    let mut record = run(folder.path(), 10);
    record.read_list = None;
    let page = page_of(&record, folder.path());
    assert!(page.contains("--no-read-list"), "{page}");
    assert!(page.contains("no decode step was seen"), "{page}");
    assert!(!page.contains("id=\"offset-time\""));
}

/// Writes a page to where `TRACER_PAGE` says, to be opened in a browser.
#[test]
#[ignore = "ten million reads take minutes without optimisation"]
fn ten_million_reads_stay_below_five_megabytes() {
    let page = page(10_000_000);
    assert!(page.len() < 5_000_000, "{}", page.len());
    if let Some(path) = std::env::var_os("TRACER_PAGE") {
        std::fs::write(path, page).expect("writable");
    }
}
