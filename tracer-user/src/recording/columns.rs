//! The columns of a segment: names, types, order. One definition for writer and reader.

use std::sync::Arc;

use parquet::{
    basic::{Encoding, LogicalType, Repetition, Type as PhysicalType},
    errors::ParquetError,
    schema::types::{ColumnPath, Type, TypePtr},
};

/// Version of the layout of a recording. What changed from one to the next is in `docs/SCHEMA.md`. A column that changes its
/// meaning, or goes, raises it; so does an event that older tracers do not know.
pub const RECORDING_SCHEMA_VERSION: u32 = 2;

pub const SCHEMA_KEY: &str = "tracer.recording_schema_version";

/// A column of numbers that an event may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Cell {
    Device,
    Model,
    File,
    Request,
    Sector,
    Bytes,
    PreviousEnd,
    Flags,
    Status,
    FirstPage,
    Pages,
    Start,
    Process,
    Thread,
}

pub const CELLS: [(Cell, &str); 14] = [
    (Cell::Device, "device"),
    (Cell::Model, "model"),
    (Cell::File, "file"),
    (Cell::Request, "request"),
    (Cell::Sector, "sector"),
    (Cell::Bytes, "bytes"),
    (Cell::PreviousEnd, "previous_end_sector"),
    (Cell::Flags, "flags"),
    (Cell::Status, "status"),
    (Cell::FirstPage, "first_page"),
    (Cell::Pages, "pages"),
    (Cell::Start, "start_ns"),
    (Cell::Process, "process_id"),
    (Cell::Thread, "thread_id"),
];

/// Nanoseconds since the gate opened; never null.
pub const TIME: &str = "time_ns";
/// The name of what happened; never null.
pub const EVENT: &str = "event";
/// Of a mark: what it says, as JSON.
pub const MARK: &str = "mark";
/// Of a sample: what was seen, as JSON. Since version 2.
pub const SAMPLE: &str = "sample";

/// The only column of numbers with a dictionary: requests are few addresses far apart. All others are mostly near the one
/// before, or few and small.
const WITH_DICTIONARY: &str = "request";

/// All columns, in the order of the file.
pub fn names() -> impl Iterator<Item = &'static str> {
    [TIME, EVENT]
        .into_iter()
        .chain(CELLS.iter().map(|(_, name)| *name))
        .chain([MARK, SAMPLE])
}

/// How a column is stored, and whether it may be null.
pub fn kind(name: &str) -> (PhysicalType, bool) {
    match name {
        TIME => (PhysicalType::INT64, false),
        EVENT => (PhysicalType::BYTE_ARRAY, false),
        MARK | SAMPLE => (PhysicalType::BYTE_ARRAY, true),
        _ => (PhysicalType::INT64, true),
    }
}

/// Whether segments of this version have a column.
pub fn is_in(name: &str, version: u32) -> bool {
    name != SAMPLE || version >= 2
}

/// The schema of a segment.
pub fn schema() -> Result<TypePtr, ParquetError> {
    let fields = names()
        .map(|name| {
            let (kind, nullable) = kind(name);
            let text = (kind == PhysicalType::BYTE_ARRAY).then_some(LogicalType::String);
            Type::primitive_type_builder(name, kind)
                .with_repetition(if nullable {
                    Repetition::OPTIONAL
                } else {
                    Repetition::REQUIRED
                })
                .with_logical_type(text)
                .build()
                .map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("events")
        .with_fields(fields)
        .build()
        .map(Arc::new)
}

/// Columns that are stored by differences, with that encoding.
pub fn encodings() -> impl Iterator<Item = (ColumnPath, Encoding)> {
    names()
        .filter(|name| kind(name).0 == PhysicalType::INT64 && *name != WITH_DICTIONARY)
        .map(|name| (ColumnPath::from(name), Encoding::DELTA_BINARY_PACKED))
}

/// Columns of text: nobody asks for the first and the last by the alphabet, and each row would be compared.
pub fn without_statistics() -> impl Iterator<Item = ColumnPath> {
    [EVENT, MARK, SAMPLE].into_iter().map(ColumnPath::from)
}
