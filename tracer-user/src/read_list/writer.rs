//! Rows → Parquet.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use super::{
    error::ReadListError,
    header::ReadListHeader,
    read_row::ReadRow,
    schema::{encodings, schema},
};

/// Rows of a row group: what is kept in memory until it is written, about 100 bytes each.
pub const ROW_GROUP_ROWS: usize = 65_536;

/// Writes a list of reads. A list that was not [finished](ReadListWriter::finish) is no Parquet file.
pub struct ReadListWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    /// Names of the devices by slot.
    devices: Vec<ByteArray>,
    /// Rows of the group that is not full yet.
    rows: Vec<ReadRow>,
}

impl<W: Write + Send> ReadListWriter<W> {
    /// Begins a list.
    ///
    /// # Errors
    /// The first bytes cannot be written.
    pub fn new(sink: W, header: &ReadListHeader) -> Result<Self, ReadListError> {
        let mut properties = WriterProperties::builder()
            .set_created_by(format!("tracer {}", header.tracer_version))
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(header.to_metadata()?));
        for (column, encoding) in encodings() {
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, encoding);
        }
        let file = schema()
            .and_then(|schema| {
                SerializedFileWriter::new(sink, schema, Arc::new(properties.build()))
            })
            .map_err(|error| ReadListError::write(&error))?;
        Ok(Self {
            file,
            devices: header
                .devices
                .iter()
                .map(|name| ByteArray::from(name.as_str()))
                .collect(),
            rows: Vec::new(),
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// A full disk. The list cannot be finished then.
    pub fn push(&mut self, rows: &[ReadRow]) -> Result<(), ReadListError> {
        for row in rows {
            self.rows.push(*row);
            if self.rows.len() >= ROW_GROUP_ROWS {
                self.write_group()?;
            }
        }
        Ok(())
    }

    /// Writes the rest and the file's end. Returns the sink; syncing it is the caller's.
    ///
    /// # Errors
    /// A full disk.
    pub fn finish(mut self) -> Result<W, ReadListError> {
        self.write_group()?;
        self.file
            .into_inner()
            .map_err(|error| ReadListError::write(&error))
    }

    fn write_group(&mut self) -> Result<(), ReadListError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let written = self
            .file
            .next_row_group()
            .and_then(|group| write_columns(group, &self.rows, &self.devices));
        self.rows.clear();
        written.map_err(|error| ReadListError::write(&error))
    }
}

/// The columns one after another, in the order of [`super::schema::COLUMNS`].
fn write_columns<W: Write + Send>(
    mut group: SerializedRowGroupWriter<'_, W>,
    rows: &[ReadRow],
    devices: &[ByteArray],
) -> Result<(), ParquetError> {
    let out = &mut group;
    let device = |row: &ReadRow| {
        devices
            .get(usize::from(row.device))
            .cloned()
            .ok_or_else(|| ParquetError::General(format!("no device in slot {}", row.device)))
    };
    required::<Int64Type, W>(out, rows, |row| number(row.time_ns))?;
    required::<ByteArrayType, W>(out, rows, device)?;
    required::<Int32Type, W>(out, rows, |row| Ok(i32::from(row.model)))?;
    nullable::<Int32Type, W>(out, rows, |row| Ok(row.file.map(i32::from)))?;
    required::<Int64Type, W>(out, rows, |row| number(row.start_sector))?;
    required::<Int64Type, W>(out, rows, |row| number(row.sectors))?;
    nullable::<Int64Type, W>(out, rows, |row| {
        row.file_offset_bytes.map(number).transpose()
    })?;
    required::<Int64Type, W>(out, rows, |row| number(row.bytes))?;
    required::<Int64Type, W>(out, rows, |row| Ok(i64::from(row.request_bytes)))?;
    nullable::<Int64Type, W>(out, rows, |row| {
        row.previous_end_sector.map(number).transpose()
    })?;
    required::<BoolType, W>(out, rows, |row| Ok(row.readahead))?;
    required::<Int64Type, W>(out, rows, |row| Ok(i64::from(row.process_id)))?;
    required::<Int64Type, W>(out, rows, |row| Ok(i64::from(row.thread_id)))?;
    nullable::<Int64Type, W>(out, rows, |row| row.latency_ns.map(number).transpose())?;
    group.close().map(drop)
}

fn number(value: u64) -> Result<i64, ParquetError> {
    i64::try_from(value).map_err(|_| ParquetError::General(format!("{value} is too large")))
}

fn required<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[ReadRow],
    value: impl Fn(&ReadRow) -> Result<T::T, ParquetError>,
) -> Result<(), ParquetError> {
    let values = rows.iter().map(value).collect::<Result<Vec<_>, _>>()?;
    write::<T, W>(group, &values, None)
}

fn nullable<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    rows: &[ReadRow],
    value: impl Fn(&ReadRow) -> Result<Option<T::T>, ParquetError>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (
        Vec::with_capacity(rows.len()),
        Vec::with_capacity(rows.len()),
    );
    for row in rows {
        let value = value(row)?;
        levels.push(i16::from(value.is_some()));
        values.extend(value);
    }
    write::<T, W>(group, &values, Some(&levels))
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
