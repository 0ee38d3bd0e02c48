//! Round trips, foreign files, and disks that fail.

use std::{
    io::{self, Write},
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
};

use parquet::{
    data_type::{Int32Type, Int64Type},
    file::{
        metadata::KeyValue, properties::WriterProperties, reader::FileReader as _,
        reader::SerializedFileReader, writer::SerializedFileWriter,
    },
    schema::parser::parse_message_type,
};
use proptest::prelude::*;

use super::{
    ReadList, ReadListError, ReadListHeader, ReadListWriter, ReadRecorder, ReadRow, RecordedFile,
    RecordedModel, writer::ROW_GROUP_ROWS,
};

fn header() -> ReadListHeader {
    ReadListHeader {
        tracer_version: "1.2.3".into(),
        kernel: "6.18.0 \"x\"".into(),
        devices: vec!["nvme0n1".into(), "sda".into()],
        models: vec![RecordedModel {
            path: "/models/ä.gguf".into(),
            files: vec![RecordedFile {
                path: "/models/ä.gguf".into(),
                size_bytes: 1 << 40,
            }],
        }],
    }
}

fn bytes_of(rows: &[ReadRow]) -> Vec<u8> {
    let mut writer = ReadListWriter::new(Vec::new(), &header()).expect("memory");
    writer.push(rows).expect("memory");
    writer.finish().expect("memory")
}

/// A file with this content, opened as a list.
fn open(content: &[u8]) -> Result<ReadList, ReadListError> {
    let mut file = tempfile::NamedTempFile::new().expect("scratch");
    file.write_all(content).expect("scratch");
    ReadList::open(file.path())
}

fn rows_of(list: &ReadList) -> Result<Vec<ReadRow>, ReadListError> {
    list.rows().collect()
}

fn any_row() -> impl Strategy<Value = ReadRow> {
    let large = 0..=i64::MAX.unsigned_abs();
    (
        (large.clone(), 0u8..2, any::<u16>(), any::<Option<u16>>()),
        (large.clone(), large.clone(), large.clone(), any::<u32>()),
        proptest::option::of(large.clone()),
        proptest::option::of(large.clone()),
        proptest::option::of(large),
        (any::<bool>(), any::<u32>(), any::<u32>()),
    )
        .prop_map(|(who, place, offset, previous, latency, thread)| ReadRow {
            time_ns: who.0,
            device: who.1,
            model: who.2,
            file: who.3,
            start_sector: place.0,
            sectors: place.1,
            file_offset_bytes: offset,
            bytes: place.2,
            request_bytes: place.3,
            previous_end_sector: previous,
            readahead: thread.0,
            process_id: thread.1,
            thread_id: thread.2,
            latency_ns: latency,
        })
}

proptest! {
    #[test]
    fn what_was_written_is_read(rows in proptest::collection::vec(any_row(), 0..300)) {
        let list = open(&bytes_of(&rows)).expect("just written");
        prop_assert_eq!(list.header(), &header());
        prop_assert_eq!(list.count(), rows.len() as u64);
        prop_assert_eq!(rows_of(&list).expect("just written"), rows);
    }

    /// Whatever is done to a file, there is an answer.
    #[test]
    fn damage_gives_an_error_or_rows(
        place in any::<prop::sample::Index>(), value: u8, cut in any::<prop::sample::Index>(), shorten: bool,
    ) {
        let rows = vec![ReadRow { bytes: 4096, latency_ns: Some(3), ..ReadRow::default() }; 50];
        let mut bytes = bytes_of(&rows);
        let place = place.index(bytes.len());
        bytes[place] = value;
        if shorten {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = open(&bytes).and_then(|list| rows_of(&list));
    }
}

#[test]
fn groups_are_bounded_and_hang_together() {
    let rows: Vec<ReadRow> = (0..2 * ROW_GROUP_ROWS as u64 + 5)
        .map(|number| ReadRow {
            time_ns: number,
            start_sector: number * 8,
            ..ReadRow::default()
        })
        .collect();
    let bytes = bytes_of(&rows);
    let file = SerializedFileReader::new(bytes::Bytes::from(bytes.clone())).expect("a file");
    let groups: Vec<i64> = file
        .metadata()
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    let full = ROW_GROUP_ROWS as i64;
    assert_eq!(groups, [full, full, 5]);
    assert_eq!(rows_of(&open(&bytes).expect("a list")).expect("rows"), rows);
}

#[test]
fn foreign_bytes_are_named() {
    let error = |content: &[u8]| open(content).err().expect("foreign");
    for content in [
        &b""[..],
        b"PAR1",
        b"some text that is longer than a footer",
        &[0; 4096],
    ] {
        assert!(matches!(error(content), ReadListError::NotParquet(_)));
    }
    let whole = bytes_of(&[ReadRow::default(); 3]);
    assert!(matches!(
        error(&whole[..whole.len() - 9]),
        ReadListError::NotParquet(_)
    ));
    let missing = ReadList::open(Path::new("/nowhere/reads.parquet"));
    assert!(matches!(
        missing.err(),
        Some(ReadListError::Unopenable { .. })
    ));
}

/// A Parquet file of two numbers a row with these column declarations and metadata.
fn parquet(columns: &str, metadata: &[(&str, &str)]) -> Vec<u8> {
    let schema = Arc::new(parse_message_type(&format!("message m {{ {columns} }}")).expect("type"));
    let metadata = metadata
        .iter()
        .map(|(key, value)| KeyValue::new((*key).to_owned(), (*value).to_owned()))
        .collect();
    let properties = WriterProperties::builder()
        .set_key_value_metadata(Some(metadata))
        .build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).expect("memory");
    let mut group = writer.next_row_group().expect("memory");
    while let Some(mut column) = group.next_column().expect("memory") {
        use parquet::column::writer::ColumnWriter;
        match column.untyped() {
            ColumnWriter::Int32ColumnWriter(_) => {
                column.typed::<Int32Type>().write_batch(&[1], None, None)
            }
            _ => column.typed::<Int64Type>().write_batch(&[1], None, None),
        }
        .expect("memory");
        column.close().expect("memory");
    }
    group.close().expect("memory");
    writer.into_inner().expect("memory")
}

const OURS: [(&str, &str); 5] = [
    ("tracer.schema_version", "1"),
    ("tracer.version", "0"),
    ("tracer.kernel", "k"),
    ("tracer.devices", "[]"),
    ("tracer.models", "[]"),
];

#[test]
fn other_tables_are_told_from_lists_of_reads() {
    let error = |columns: &str, metadata: &[(&str, &str)]| {
        open(&parquet(columns, metadata)).err().expect("no list")
    };
    let one = "required int64 time_ns;";
    assert!(matches!(
        error(one, &[]),
        ReadListError::Foreign("tracer.schema_version")
    ));
    assert!(matches!(
        error(one, &OURS),
        ReadListError::MissingColumn("device")
    ));
    assert!(matches!(
        error("required int32 time_ns;", &OURS),
        ReadListError::WrongType {
            column: "time_ns",
            ..
        }
    ));
    let with = |key: &str, value: &'static str| {
        OURS.map(|(own, old)| (own, if own == key { value } else { old }))
    };
    assert!(matches!(
        error(one, &with("tracer.schema_version", "2")),
        ReadListError::FutureSchema { found: 2, known: 1 }
    ));
    for (key, value) in [("tracer.schema_version", "one"), ("tracer.models", "{")] {
        assert!(matches!(
            error(one, &with(key, value)),
            ReadListError::Metadata { .. }
        ));
    }
}

#[test]
fn a_value_that_no_tracer_writes_is_named() {
    // The slot of a device that the header does not name.
    let mut writer = ReadListWriter::new(Vec::new(), &header()).expect("memory");
    writer
        .push(&[ReadRow {
            device: 2,
            ..ReadRow::default()
        }])
        .expect("kept");
    assert!(matches!(writer.finish(), Err(ReadListError::Write(_))));
    // A number beyond what the columns hold.
    let mut writer = ReadListWriter::new(Vec::new(), &header()).expect("memory");
    let pushed = writer.push(&[ReadRow {
        bytes: u64::MAX,
        ..ReadRow::default()
    }]);
    assert!(matches!(pushed, Err(ReadListError::Write(_))));
}

/// The names of a group are those of the group before where the devices are the same.
#[test]
fn devices_change_between_groups() {
    let rows: Vec<ReadRow> = (0..3 * ROW_GROUP_ROWS as u64 + 7)
        .map(|number| ReadRow {
            time_ns: number,
            device: u8::from(number % 3 == number / ROW_GROUP_ROWS as u64),
            ..ReadRow::default()
        })
        .collect();
    let list = open(&bytes_of(&rows)).expect("a list");
    assert_eq!(rows_of(&list).expect("rows"), rows);
}

/// Takes so many bytes, then says that the disk is full.
struct FullDisk(usize);

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 < bytes.len() {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        self.0 -= bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn record<W: Write + Send + 'static>(recorder: &mut ReadRecorder<W>, reads: u64) {
    for number in 0..reads {
        let row = ReadRow {
            time_ns: number,
            start_sector: number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 1,
            bytes: 3,
            ..ReadRow::default()
        };
        if let Some(listed) = recorder.issued(row) {
            recorder.ended(listed, Some(number));
        }
    }
}

#[test]
fn a_recorded_list_is_whole() {
    let mut recorder = ReadRecorder::start(Vec::new(), &header()).expect("memory");
    record(&mut recorder, 100_000);
    // One that is still out.
    recorder.issued(ReadRow {
        time_ns: 100_000,
        ..ReadRow::default()
    });
    let written = recorder.finish().expect("memory");
    assert_eq!((written.reads, written.bytes), (100_001, 300_000));
    let rows = rows_of(&open(&written.sink).expect("a list")).expect("rows");
    assert_eq!(rows.len(), 100_001);
    let (last, ended) = rows.split_last().expect("rows");
    assert_eq!(last.latency_ns, None);
    assert!(ended.iter().all(|row| row.latency_ns == Some(row.time_ns)));
}

#[test]
fn a_full_disk_is_an_error_wherever_it_fills_up() {
    for room in [0, 10_000, 100_000] {
        let recorder = ReadRecorder::start(FullDisk(room), &header());
        let Ok(mut recorder) = recorder else {
            assert_eq!(room, 0);
            continue;
        };
        record(&mut recorder, 200_000);
        let error = recorder.finish().err().expect("a full disk").to_string();
        assert!(error.contains("No space left"), "{error}");
    }
}

/// A disk that takes nothing until it is told to.
struct StuckDisk(Mutex<Receiver<()>>);

impl Write for StuckDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.0.lock().map(|go| go.recv());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_disk_is_not_waited_for_and_gives_no_list_with_a_gap() {
    let (go, stuck) = channel();
    // Through a buffer, so that the first bytes of the file need no disk.
    let sink = io::BufWriter::with_capacity(1 << 16, StuckDisk(Mutex::new(stuck)));
    let mut recorder = ReadRecorder::start(sink, &header()).expect("a thread");
    record(&mut recorder, 900_000);
    drop(go);
    let error = recorder.finish().err().expect("too slow").to_string();
    assert!(error.contains("too slow"), "{error}");
}
