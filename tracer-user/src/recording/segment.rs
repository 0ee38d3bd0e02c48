//! Rows → one Parquet file.

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use crate::parquet_columns::{Nullable, write_column};

use super::{
    columns::{CELLS, RECORDING_SCHEMA_VERSION, SCHEMA_KEY, encodings, schema, without_statistics},
    error::RecordingError,
    event::{EVENTS, NULL, Row},
};

/// Rows of a group: what is in memory until it is written, about 80 bytes each.
pub const GROUP_ROWS: usize = 65_536;

/// A segment that is being written. One that was not finished is no Parquet file.
pub struct SegmentWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: Group,
    written: u64,
}

/// Rows that are not written yet, column by column: so each row is touched once, while it is still in the processor's cache.
#[derive(Default)]
struct Group {
    times: Vec<i64>,
    events: Vec<ByteArray>,
    cells: [Nullable<i64>; CELLS.len()],
    marks: Nullable<ByteArray>,
    samples: Nullable<ByteArray>,
}

impl Group {
    fn push(&mut self, row: Row) {
        self.times.push(row.time_ns);
        // Of static bytes a copy costs no count of references.
        let name = EVENTS.get(usize::from(row.event)).copied();
        let name = name.unwrap_or_default().as_bytes();
        self.events.push(ByteArray::from(Bytes::from_static(name)));
        for (column, value) in self.cells.iter_mut().zip(row.cells) {
            column.push((value != NULL).then_some(value));
        }
        let text = |text: Option<Box<str>>| text.map(|text| ByteArray::from(text.as_ref()));
        self.marks.push(text(row.mark));
        self.samples.push(text(row.sample));
    }

    fn clear(&mut self) {
        self.times.clear();
        self.events.clear();
        self.cells.iter_mut().for_each(Nullable::clear);
        self.marks.clear();
        self.samples.clear();
    }

    /// The columns one after another, in the order of [`super::columns::names`].
    fn write<W: Write + Send>(
        &self,
        mut group: SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let out = &mut group;
        write_column::<Int64Type, W>(out, &self.times, None)?;
        write_column::<ByteArrayType, W>(out, &self.events, None)?;
        for cell in &self.cells {
            cell.write::<Int64Type, W>(out)?;
        }
        for texts in [&self.marks, &self.samples] {
            texts.write::<ByteArrayType, W>(out)?;
        }
        group.close().map(drop)
    }
}

impl<W: Write + Send> SegmentWriter<W> {
    pub fn new(sink: W) -> Result<Self, RecordingError> {
        let version = KeyValue::new(SCHEMA_KEY.to_owned(), RECORDING_SCHEMA_VERSION.to_string());
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("tracer {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(vec![version]));
        for (column, encoding) in encodings() {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, encoding);
        }
        for column in without_statistics() {
            properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
        }
        let file = schema()
            .and_then(|schema| {
                SerializedFileWriter::new(sink, schema, Arc::new(properties.build()))
            })
            .map_err(|error| RecordingError::write(&error))?;
        Ok(Self {
            file,
            group: Group::default(),
            written: 0,
        })
    }

    /// Rows so far.
    pub const fn row_count(&self) -> u64 {
        self.written + self.group.times.len() as u64
    }

    pub fn push(&mut self, row: Row) -> Result<(), RecordingError> {
        self.group.push(row);
        if self.group.times.len() >= GROUP_ROWS {
            self.write_group()?;
        }
        Ok(())
    }

    /// Writes the rest and the file's end.
    pub fn finish(mut self) -> Result<W, RecordingError> {
        self.write_group()?;
        self.file
            .into_inner()
            .map_err(|error| RecordingError::write(&error))
    }

    fn write_group(&mut self) -> Result<(), RecordingError> {
        let rows = self.group.times.len() as u64;
        if rows == 0 {
            return Ok(());
        }
        let written = self
            .file
            .next_row_group()
            .and_then(|group| self.group.write(group));
        self.written += rows;
        self.group.clear();
        written.map_err(|error| RecordingError::write(&error))
    }
}
