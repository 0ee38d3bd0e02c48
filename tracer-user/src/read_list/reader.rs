//! Parquet → rows.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use parquet::{
    column::reader::get_typed_column_reader,
    data_type::{BoolType, ByteArrayType, DataType, Int32Type, Int64Type},
    file::reader::{ChunkReader, FileReader as _, RowGroupReader, SerializedFileReader},
};

use super::{
    error::ReadListError,
    header::ReadListHeader,
    read_row::ReadRow,
    schema::{
        BYTES, COLUMNS, Column, DEVICE, FILE, FILE_OFFSET, LATENCY, MODEL, PREVIOUS_END, PROCESS,
        READAHEAD, REQUEST_BYTES, SECTORS, START_SECTOR, THREAD, TIME, describe,
    },
};

/// Largest group of rows that is taken for one: each is in memory at once.
const LARGEST_GROUP_ROWS: usize = 1 << 22;

/// A list of reads that is open for reading.
pub struct ReadList {
    file: SerializedFileReader<File>,
    header: ReadListHeader,
    /// Where each of [`COLUMNS`] is in the file.
    places: Vec<usize>,
}

impl ReadList {
    /// Opens a list and looks at what it says of itself and at its columns.
    ///
    /// # Errors
    /// It is no list of reads, or one of a newer tracer.
    pub fn open(path: &Path) -> Result<Self, ReadListError> {
        let file = File::open(path).map_err(|source| ReadListError::Unopenable {
            path: path.to_owned(),
            source,
        })?;
        unpanicked(move || Self::of(file))
    }

    fn of(file: File) -> Result<Self, ReadListError> {
        let file =
            SerializedFileReader::new(file).map_err(|error| ReadListError::not_parquet(&error))?;
        let header =
            ReadListHeader::from_metadata(file.metadata().file_metadata().key_value_metadata())?;
        let places = COLUMNS
            .iter()
            .map(|column| place(&file, column))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            file,
            header,
            places,
        })
    }

    /// What it says of itself.
    #[must_use]
    pub const fn header(&self) -> &ReadListHeader {
        &self.header
    }

    /// How many rows it has.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Its rows, in the order of their first issue; a group of rows is in memory at a time.
    pub fn rows(&self) -> impl Iterator<Item = Result<ReadRow, ReadListError>> + '_ {
        let mut first_row = 0;
        (0..self.file.num_row_groups()).flat_map(move |number| {
            let rows = unpanicked(|| self.group(number, first_row));
            first_row += rows.as_ref().map_or(0, |rows| rows.len() as u64);
            let (rows, error) = match rows {
                Ok(rows) => (rows, None),
                Err(error) => (Vec::new(), Some(error)),
            };
            rows.into_iter().map(Ok).chain(error.map(Err))
        })
    }

    fn group(&self, number: usize, first_row: u64) -> Result<Vec<ReadRow>, ReadListError> {
        let group = self
            .file
            .get_row_group(number)
            .map_err(|error| ReadListError::not_parquet(&error))?;
        let rows = usize::try_from(group.metadata().num_rows())
            .ok()
            .filter(|rows| *rows <= LARGEST_GROUP_ROWS)
            .ok_or_else(|| {
                ReadListError::NotParquet(format!(
                    "a group of {} rows",
                    group.metadata().num_rows()
                ))
            })?;
        let group = Group {
            columns: &*group,
            places: &self.places,
            rows,
            first_row,
        };
        let mut read = vec![ReadRow::default(); rows];
        group.numbers(TIME, &mut read, |row, value| row.time_ns = value)?;
        group.devices(&self.header.devices, &mut read)?;
        group.slots(MODEL, &mut read, |row, value| {
            row.model = value.unwrap_or(0)
        })?;
        group.slots(FILE, &mut read, |row, value| row.file = value)?;
        group.numbers(START_SECTOR, &mut read, |row, value| {
            row.start_sector = value
        })?;
        group.numbers(SECTORS, &mut read, |row, value| row.sectors = value)?;
        group.optional(FILE_OFFSET, &mut read, |row, value| {
            row.file_offset_bytes = value
        })?;
        group.numbers(BYTES, &mut read, |row, value| row.bytes = value)?;
        group.halves(REQUEST_BYTES, &mut read, |row, value| {
            row.request_bytes = value
        })?;
        group.optional(PREVIOUS_END, &mut read, |row, value| {
            row.previous_end_sector = value
        })?;
        for (row, value) in read.iter_mut().zip(group.values::<BoolType>(READAHEAD)?) {
            row.readahead = value.unwrap_or(false);
        }
        group.halves(PROCESS, &mut read, |row, value| row.process_id = value)?;
        group.halves(THREAD, &mut read, |row, value| row.thread_id = value)?;
        group.optional(LATENCY, &mut read, |row, value| row.latency_ns = value)?;
        Ok(read)
    }
}

/// The crate panics over some damaged files, which are no fault of this program: an error like any other.
fn unpanicked<T>(read: impl FnOnce() -> Result<T, ReadListError>) -> Result<T, ReadListError> {
    // What a panic leaves half done is dropped with the error, or only read from.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(ReadListError::NotParquet(
            words.unwrap_or_else(|| "the reader panicked".to_owned()),
        ))
    })
}

/// Where a column is, if it is what it should be.
fn place<R: ChunkReader + 'static>(
    file: &SerializedFileReader<R>,
    column: &Column,
) -> Result<usize, ReadListError> {
    let schema = file.metadata().file_metadata().schema_descr();
    let (place, found) = schema
        .columns()
        .iter()
        .enumerate()
        .find(|(_, found)| found.path().string() == column.name)
        .ok_or(ReadListError::MissingColumn(column.name))?;
    let nullable = found.max_def_level() == 1;
    if found.physical_type() != column.kind
        || nullable != column.nullable
        || found.max_def_level() > 1
        || found.max_rep_level() > 0
    {
        return Err(ReadListError::WrongType {
            column: column.name,
            found: if found.max_rep_level() > 0 {
                format!("repeated {}", found.physical_type())
            } else {
                describe(found.physical_type(), nullable)
            },
            expected: column.description(),
        });
    }
    Ok(place)
}

/// A group of rows being read.
struct Group<'a> {
    columns: &'a dyn RowGroupReader,
    places: &'a [usize],
    rows: usize,
    first_row: u64,
}

impl Group<'_> {
    /// All values of a column; None is null.
    fn values<T: DataType>(&self, column: Column) -> Result<Vec<Option<T::T>>, ReadListError> {
        let damaged = |error| ReadListError::not_parquet(&error);
        let place = COLUMNS
            .iter()
            .position(|known| known.name == column.name)
            .and_then(|known| self.places.get(known))
            .ok_or(ReadListError::MissingColumn(column.name))?;
        let mut reader =
            get_typed_column_reader::<T>(self.columns.get_column_reader(*place).map_err(damaged)?);
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        while levels.len().max(values.len()) < self.rows {
            let left = self.rows - levels.len().max(values.len());
            let (read, _, _) = reader
                .read_records(left, Some(&mut levels), None, &mut values)
                .map_err(damaged)?;
            if read == 0 {
                break;
            }
        }
        let mut values = values.into_iter();
        let all: Vec<Option<T::T>> = if column.nullable {
            levels
                .iter()
                .map(|level| (*level == 1).then(|| values.next()).flatten())
                .collect()
        } else {
            values.map(Some).collect()
        };
        if all.len() != self.rows {
            return Err(ReadListError::NotParquet(format!(
                "the column {} has {} of {} values",
                column.name,
                all.len(),
                self.rows
            )));
        }
        Ok(all)
    }

    fn nonsense(&self, index: usize, column: Column, value: impl ToString) -> ReadListError {
        ReadListError::Value {
            row: self.first_row + index as u64,
            column: column.name,
            value: value.to_string(),
        }
    }

    /// A column of 64-bit numbers, none of which is negative.
    fn optional(
        &self,
        column: Column,
        rows: &mut [ReadRow],
        set: impl Fn(&mut ReadRow, Option<u64>),
    ) -> Result<(), ReadListError> {
        for (index, value) in self.values::<Int64Type>(column)?.into_iter().enumerate() {
            let value = value
                .map(|value| u64::try_from(value).map_err(|_| self.nonsense(index, column, value)))
                .transpose()?;
            if let Some(row) = rows.get_mut(index) {
                set(row, value);
            }
        }
        Ok(())
    }

    fn numbers(
        &self,
        column: Column,
        rows: &mut [ReadRow],
        set: impl Fn(&mut ReadRow, u64),
    ) -> Result<(), ReadListError> {
        self.optional(column, rows, |row, value| set(row, value.unwrap_or(0)))
    }

    /// A column of numbers that fit 32 bits.
    fn halves(
        &self,
        column: Column,
        rows: &mut [ReadRow],
        set: impl Fn(&mut ReadRow, u32),
    ) -> Result<(), ReadListError> {
        for (index, value) in self.values::<Int64Type>(column)?.into_iter().enumerate() {
            let value = value.unwrap_or(0);
            let value = u32::try_from(value).map_err(|_| self.nonsense(index, column, value))?;
            if let Some(row) = rows.get_mut(index) {
                set(row, value);
            }
        }
        Ok(())
    }

    fn slots(
        &self,
        column: Column,
        rows: &mut [ReadRow],
        set: impl Fn(&mut ReadRow, Option<u16>),
    ) -> Result<(), ReadListError> {
        for (index, value) in self.values::<Int32Type>(column)?.into_iter().enumerate() {
            let value = value
                .map(|value| u16::try_from(value).map_err(|_| self.nonsense(index, column, value)))
                .transpose()?;
            if let Some(row) = rows.get_mut(index) {
                set(row, value);
            }
        }
        Ok(())
    }

    fn devices(&self, names: &[String], rows: &mut [ReadRow]) -> Result<(), ReadListError> {
        for (index, value) in self
            .values::<ByteArrayType>(DEVICE)?
            .into_iter()
            .enumerate()
        {
            let value = value.unwrap_or_default();
            let slot = names
                .iter()
                .position(|name| name.as_bytes() == value.data())
                .and_then(|slot| u8::try_from(slot).ok())
                .ok_or_else(|| {
                    self.nonsense(index, DEVICE, String::from_utf8_lossy(value.data()))
                })?;
            if let Some(row) = rows.get_mut(index) {
                row.device = slot;
            }
        }
        Ok(())
    }
}
