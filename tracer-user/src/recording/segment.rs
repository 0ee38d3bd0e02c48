//! Rows → one Parquet file.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use super::{
    columns::{CELLS, RECORDING_SCHEMA_VERSION, SCHEMA_KEY, encodings, schema},
    error::RecordingError,
    event::{EVENTS, NULL, Row},
};

/// Rows of a group: what is in memory until it is written, about 150 bytes each.
pub const GROUP_ROWS: usize = 65_536;

/// A segment that is being written. One that was not finished is no Parquet file.
pub struct SegmentWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    names: Vec<ByteArray>,
    rows: Vec<Row>,
    written: u64,
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
        let file = schema()
            .and_then(|schema| {
                SerializedFileWriter::new(sink, schema, Arc::new(properties.build()))
            })
            .map_err(|error| RecordingError::write(&error))?;
        Ok(Self {
            file,
            names: EVENTS.iter().map(|name| ByteArray::from(*name)).collect(),
            rows: Vec::new(),
            written: 0,
        })
    }

    /// Rows so far.
    pub const fn row_count(&self) -> u64 {
        self.written + self.rows.len() as u64
    }

    pub fn push(&mut self, row: Row) -> Result<(), RecordingError> {
        self.rows.push(row);
        if self.rows.len() >= GROUP_ROWS {
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
        if self.rows.is_empty() {
            return Ok(());
        }
        let written = self
            .file
            .next_row_group()
            .and_then(|group| write_columns(group, &self.rows, &self.names));
        self.written += self.rows.len() as u64;
        self.rows.clear();
        written.map_err(|error| RecordingError::write(&error))
    }
}

/// The columns one after another, in the order of [`super::columns::names`].
fn write_columns<W: Write + Send>(
    mut group: SerializedRowGroupWriter<'_, W>,
    rows: &[Row],
    names: &[ByteArray],
) -> Result<(), ParquetError> {
    let out = &mut group;
    let times: Vec<i64> = rows.iter().map(|row| row.time_ns).collect();
    write::<Int64Type, W>(out, &times, None)?;
    let events: Vec<ByteArray> = rows
        .iter()
        .filter_map(|row| names.get(usize::from(row.event)).cloned())
        .collect();
    write::<ByteArrayType, W>(out, &events, None)?;
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    for (cell, _) in CELLS {
        values.clear();
        levels.clear();
        for row in rows {
            let value = row.cells[cell as usize];
            levels.push(i16::from(value != NULL));
            if value != NULL {
                values.push(value);
            }
        }
        write::<Int64Type, W>(out, &values, Some(&levels))?;
    }
    texts(out, rows, |row| row.mark.as_deref())?;
    texts(out, rows, |row| row.sample.as_deref())?;
    group.close().map(drop)
}

fn texts<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[Row],
    text: impl Fn(&Row) -> Option<&str>,
) -> Result<(), ParquetError> {
    let texts: Vec<ByteArray> = rows.iter().filter_map(&text).map(ByteArray::from).collect();
    let levels: Vec<i16> = rows
        .iter()
        .map(|row| i16::from(text(row).is_some()))
        .collect();
    write::<ByteArrayType, W>(group, &texts, Some(&levels))
}

fn write<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else {
        return Err(ParquetError::General("more columns than the schema".into()));
    };
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}
