//! Rows → Parquet.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{BoolType, ByteArray, ByteArrayType, Int32Type, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use crate::parquet_columns::{Nullable, write_column};

use super::{
    error::ReadListError,
    header::ReadListHeader,
    read_row::ReadRow,
    schema::{encodings, schema, without_statistics},
};

/// Rows of a row group: what is kept in memory until it is written, about 100 bytes each.
pub const ROW_GROUP_ROWS: usize = 65_536;

/// Writes a list of reads. A list that was not [finished](ReadListWriter::finish) is no Parquet file.
pub struct ReadListWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: Group,
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
        for column in without_statistics() {
            properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
        }
        let file = schema()
            .and_then(|schema| {
                SerializedFileWriter::new(sink, schema, Arc::new(properties.build()))
            })
            .map_err(|error| ReadListError::write(&error))?;
        Ok(Self {
            file,
            group: Group::of_devices(&header.devices),
        })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// A full disk, or a row that no list can hold. The list cannot be finished then.
    pub fn push(&mut self, rows: &[ReadRow]) -> Result<(), ReadListError> {
        for row in rows {
            self.group
                .push(row)
                .map_err(|error| ReadListError::write(&error))?;
            if self.group.rows() >= ROW_GROUP_ROWS {
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
        if self.group.rows() == 0 {
            return Ok(());
        }
        let written = self
            .file
            .next_row_group()
            .and_then(|group| self.group.write(group));
        self.group.clear();
        written.map_err(|error| ReadListError::write(&error))
    }
}

/// Rows that are not written yet, column by column: so each row is touched once, while it is still in the processor's cache.
#[derive(Default)]
struct Group {
    time: Vec<i64>,
    device: DeviceColumn,
    model: Vec<i32>,
    file: Nullable<i32>,
    start_sector: Vec<i64>,
    sectors: Vec<i64>,
    file_offset: Nullable<i64>,
    bytes: Vec<i64>,
    request_bytes: Vec<i64>,
    previous_end: Nullable<i64>,
    readahead: Vec<bool>,
    process: Vec<i64>,
    thread: Vec<i64>,
    latency: Nullable<i64>,
}

impl Group {
    fn of_devices(names: &[String]) -> Self {
        let names = names.iter().map(|name| ByteArray::from(name.as_str()));
        Self {
            device: DeviceColumn {
                names: names.collect(),
                ..DeviceColumn::default()
            },
            ..Self::default()
        }
    }

    const fn rows(&self) -> usize {
        self.time.len()
    }

    fn push(&mut self, row: &ReadRow) -> Result<(), ParquetError> {
        let optional = |value: Option<u64>| value.map(number).transpose();
        self.time.push(number(row.time_ns)?);
        self.device.slots.push(row.device);
        self.model.push(i32::from(row.model));
        self.file.push(row.file.map(i32::from));
        self.start_sector.push(number(row.start_sector)?);
        self.sectors.push(number(row.sectors)?);
        self.file_offset.push(optional(row.file_offset_bytes)?);
        self.bytes.push(number(row.bytes)?);
        self.request_bytes.push(i64::from(row.request_bytes));
        self.previous_end.push(optional(row.previous_end_sector)?);
        self.readahead.push(row.readahead);
        self.process.push(i64::from(row.process_id));
        self.thread.push(i64::from(row.thread_id));
        self.latency.push(optional(row.latency_ns)?);
        Ok(())
    }

    /// The columns one after another, in the order of [`super::schema::COLUMNS`].
    fn write<W: Write + Send>(
        &mut self,
        mut group: SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let out = &mut group;
        write_column::<Int64Type, W>(out, &self.time, None)?;
        write_column::<ByteArrayType, W>(out, self.device.names_of_rows()?, None)?;
        write_column::<Int32Type, W>(out, &self.model, None)?;
        self.file.write::<Int32Type, W>(out)?;
        write_column::<Int64Type, W>(out, &self.start_sector, None)?;
        write_column::<Int64Type, W>(out, &self.sectors, None)?;
        self.file_offset.write::<Int64Type, W>(out)?;
        write_column::<Int64Type, W>(out, &self.bytes, None)?;
        write_column::<Int64Type, W>(out, &self.request_bytes, None)?;
        self.previous_end.write::<Int64Type, W>(out)?;
        write_column::<BoolType, W>(out, &self.readahead, None)?;
        write_column::<Int64Type, W>(out, &self.process, None)?;
        write_column::<Int64Type, W>(out, &self.thread, None)?;
        self.latency.write::<Int64Type, W>(out)?;
        group.close().map(drop)
    }

    fn clear(&mut self) {
        self.time.clear();
        self.device.slots.clear();
        self.model.clear();
        self.file.clear();
        self.start_sector.clear();
        self.sectors.clear();
        self.file_offset.clear();
        self.bytes.clear();
        self.request_bytes.clear();
        self.previous_end.clear();
        self.readahead.clear();
        self.process.clear();
        self.thread.clear();
        self.latency.clear();
    }
}

/// The names of the rows' devices.
#[derive(Default)]
struct DeviceColumn {
    /// By slot.
    names: Vec<ByteArray>,
    slots: Vec<u8>,
    /// Slots and names as they were for the group before. Most rows have the same device as the row at this place of that
    /// group, and a copy of a name counts its references.
    before: (Vec<u8>, Vec<ByteArray>),
}

impl DeviceColumn {
    fn names_of_rows(&mut self) -> Result<&[ByteArray], ParquetError> {
        let (slots, names) = &mut self.before;
        for (place, slot) in self.slots.iter().enumerate() {
            let own = || {
                let name = self.names.get(usize::from(*slot)).cloned();
                name.ok_or_else(|| ParquetError::General(format!("no device in slot {slot}")))
            };
            match (slots.get_mut(place), names.get_mut(place)) {
                (Some(before), Some(_)) if before == slot => {}
                (Some(before), Some(name)) => (*before, *name) = (*slot, own()?),
                _ => {
                    slots.push(*slot);
                    names.push(own()?);
                }
            }
        }
        Ok(names.get(..self.slots.len()).unwrap_or_default())
    }
}

fn number(value: u64) -> Result<i64, ParquetError> {
    i64::try_from(value).map_err(|_| ParquetError::General(format!("{value} is too large")))
}
