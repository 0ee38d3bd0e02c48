//! The columns of the list: names, types, order. One definition for writer and reader.
//!
//! Numbers are signed, although none is negative: whoever subtracts two columns in SQL gets a gap, not an overflow.

use std::sync::Arc;

use parquet::{
    basic::{Encoding, LogicalType, Repetition, Type as PhysicalType},
    errors::ParquetError,
    schema::types::{ColumnPath, Type, TypePtr},
};

/// Version of the layout. A column that changes its meaning, or goes, raises it.
pub const SCHEMA_VERSION: u32 = 1;

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    /// How it is stored.
    pub kind: PhysicalType,
    /// Whether it can be null.
    pub nullable: bool,
}

const fn column(name: &'static str, kind: PhysicalType) -> Column {
    Column {
        name,
        kind,
        nullable: false,
    }
}

impl Column {
    const fn nullable(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    pub fn description(&self) -> String {
        describe(self.kind, self.nullable)
    }
}

/// A type in words.
pub fn describe(kind: PhysicalType, nullable: bool) -> String {
    format!("{} {kind}", if nullable { "optional" } else { "required" })
}

pub const TIME: Column = column("time_ns", PhysicalType::INT64);
pub const DEVICE: Column = column("device", PhysicalType::BYTE_ARRAY);
pub const MODEL: Column = column("model", PhysicalType::INT32);
pub const FILE: Column = column("file", PhysicalType::INT32).nullable();
pub const START_SECTOR: Column = column("start_sector", PhysicalType::INT64);
pub const SECTORS: Column = column("sectors", PhysicalType::INT64);
pub const FILE_OFFSET: Column = column("file_offset_bytes", PhysicalType::INT64).nullable();
pub const BYTES: Column = column("bytes", PhysicalType::INT64);
pub const REQUEST_BYTES: Column = column("request_bytes", PhysicalType::INT64);
pub const PREVIOUS_END: Column = column("previous_end_sector", PhysicalType::INT64).nullable();
pub const READAHEAD: Column = column("readahead", PhysicalType::BOOLEAN);
pub const PROCESS: Column = column("process_id", PhysicalType::INT64);
pub const THREAD: Column = column("thread_id", PhysicalType::INT64);
pub const LATENCY: Column = column("latency_ns", PhysicalType::INT64).nullable();

/// In the order of the file.
pub const COLUMNS: [Column; 14] = [
    TIME,
    DEVICE,
    MODEL,
    FILE,
    START_SECTOR,
    SECTORS,
    FILE_OFFSET,
    BYTES,
    REQUEST_BYTES,
    PREVIOUS_END,
    READAHEAD,
    PROCESS,
    THREAD,
    LATENCY,
];

/// The schema of the file.
pub fn schema() -> Result<TypePtr, ParquetError> {
    let fields = COLUMNS
        .iter()
        .map(|column| {
            let repetition = if column.nullable {
                Repetition::OPTIONAL
            } else {
                Repetition::REQUIRED
            };
            // The only bytes are names.
            let text = (column.kind == PhysicalType::BYTE_ARRAY).then_some(LogicalType::String);
            Type::primitive_type_builder(column.name, column.kind)
                .with_repetition(repetition)
                .with_logical_type(text)
                .build()
                .map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Type::group_type_builder("reads")
        .with_fields(fields)
        .build()
        .map(Arc::new)
}

/// Columns that are stored by differences, with that encoding: all numbers. They are mostly near the one before, or always the
/// same, or all different; a dictionary would cost a look-up a row, and little of it would be left to save.
pub fn encodings() -> impl Iterator<Item = (ColumnPath, Encoding)> {
    let numbers = [PhysicalType::INT32, PhysicalType::INT64];
    COLUMNS
        .iter()
        .filter(move |column| numbers.contains(&column.kind))
        .map(|column| (ColumnPath::from(column.name), Encoding::DELTA_BINARY_PACKED))
}

/// Columns of text: nobody asks for the first and the last device by the alphabet, and each row would be compared.
pub fn without_statistics() -> impl Iterator<Item = ColumnPath> {
    COLUMNS
        .iter()
        .filter(|column| column.kind == PhysicalType::BYTE_ARRAY)
        .map(|column| ColumnPath::from(column.name))
}
