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

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// How it is stored.
    pub kind: PhysicalType,
    /// Whether it can be null.
    pub nullable: bool,
    /// Whether its values are mostly near the one before or all different, so that differences are stored and no
    /// dictionary is tried.
    pub by_difference: bool,
}

const fn column(name: &'static str, kind: PhysicalType) -> Column {
    Column {
        name,
        kind,
        nullable: false,
        by_difference: false,
    }
}

impl Column {
    const fn nullable(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }

    const fn by_difference(self) -> Self {
        Self {
            by_difference: true,
            ..self
        }
    }

    /// In words.
    pub fn description(&self) -> String {
        describe(self.kind, self.nullable)
    }
}

/// A type in words.
pub fn describe(kind: PhysicalType, nullable: bool) -> String {
    format!("{} {kind}", if nullable { "optional" } else { "required" })
}

pub const TIME: Column = column("time_ns", PhysicalType::INT64).by_difference();
pub const DEVICE: Column = column("device", PhysicalType::BYTE_ARRAY);
pub const MODEL: Column = column("model", PhysicalType::INT32);
pub const FILE: Column = column("file", PhysicalType::INT32).nullable();
pub const START_SECTOR: Column = column("start_sector", PhysicalType::INT64).by_difference();
pub const SECTORS: Column = column("sectors", PhysicalType::INT64);
pub const FILE_OFFSET: Column = column("file_offset_bytes", PhysicalType::INT64)
    .nullable()
    .by_difference();
pub const BYTES: Column = column("bytes", PhysicalType::INT64);
pub const REQUEST_BYTES: Column = column("request_bytes", PhysicalType::INT64);
pub const PREVIOUS_END: Column = column("previous_end_sector", PhysicalType::INT64)
    .nullable()
    .by_difference();
pub const READAHEAD: Column = column("readahead", PhysicalType::BOOLEAN);
pub const PROCESS: Column = column("process_id", PhysicalType::INT64);
pub const THREAD: Column = column("thread_id", PhysicalType::INT64);
pub const LATENCY: Column = column("latency_ns", PhysicalType::INT64)
    .nullable()
    .by_difference();

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

/// Columns that are stored by differences, with that encoding.
pub fn encodings() -> impl Iterator<Item = (ColumnPath, Encoding)> {
    COLUMNS
        .iter()
        .filter(|column| column.by_difference)
        .map(|column| (ColumnPath::from(column.name), Encoding::DELTA_BINARY_PACKED))
}
