//! Segments → events, a group of rows at a time.

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use parquet::{
    column::reader::get_typed_column_reader,
    data_type::{ByteArray, ByteArrayType, DataType, Int64Type},
    file::reader::{FileReader as _, RowGroupReader, SerializedFileReader},
};

use crate::stats::Nanos;

use super::{
    columns::{
        CELLS, EVENT, MARK, RECORDING_SCHEMA_VERSION, SAMPLE, SCHEMA_KEY, TIME, is_in, kind, names,
    },
    error::RecordingError,
    event::{EVENTS, NULL, Row, TimedEvent},
};

/// More rows of a group than any tracer writes: a damaged file.
const LARGEST_GROUP_ROWS: usize = 1 << 24;

/// What a group of rows gave: its events, and what is wrong with the one after them, where something is.
pub type DecodedGroup = (Vec<TimedEvent>, Option<RecordingError>);

/// The groups of all segments that one decoder has: with the others', each exactly once.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Number of the decoder.
    pub decoder: u64,
    /// How many there are.
    pub decoders: u64,
}

impl Share {
    const fn has(self, group: u64) -> bool {
        group % self.decoders == self.decoder
    }
}

/// Decodes a share of the groups of segments and hands each on, in their order, until `give` says that no more are wanted. What
/// is wrong with a segment is handed on by who has the group that is not there for it; nothing comes after that.
pub fn decode(
    paths: &[PathBuf],
    opened: Nanos,
    share: Share,
    mut give: impl FnMut(DecodedGroup) -> bool,
) {
    let mut group = 0;
    for path in paths {
        let decoded = unpanicked(path, || {
            decode_segment(path, opened, share, &mut group, &mut give)
        });
        match decoded {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                if share.has(group) {
                    give((Vec::new(), Some(error)));
                }
                return;
            }
        }
    }
}

/// The crate panics over some damaged files, which are no fault of this program: an error like any other.
fn unpanicked<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, RecordingError>,
) -> Result<T, RecordingError> {
    // What a panic leaves half done is dropped with the error, or only read from.
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|panic| {
        let words = panic
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| panic.downcast_ref::<String>().cloned());
        Err(RecordingError::NotParquet {
            path: path.to_owned(),
            why: words.unwrap_or_else(|| "the reader panicked".to_owned()),
        })
    })
}

/// `next` is the number of the next group of all segments. Returns whether more are wanted.
fn decode_segment(
    path: &Path,
    opened: Nanos,
    share: Share,
    next: &mut u64,
    give: &mut impl FnMut(DecodedGroup) -> bool,
) -> Result<bool, RecordingError> {
    let not_parquet = |error: &dyn std::fmt::Display| RecordingError::NotParquet {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let file = File::open(path).map_err(|source| RecordingError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let reader = SerializedFileReader::new(file).map_err(|error| not_parquet(&error))?;
    let places = places(path, &reader, version(path, &reader)?)?;
    let mut first_row = 0;
    for number in 0..reader.num_row_groups() {
        let rows = reader.metadata().row_group(number).num_rows();
        if share.has(*next) {
            let columns = reader
                .get_row_group(number)
                .map_err(|error| not_parquet(&error))?;
            let rows = usize::try_from(rows)
                .ok()
                .filter(|rows| *rows <= LARGEST_GROUP_ROWS)
                .ok_or_else(|| not_parquet(&"a group has more rows than a tracer writes"))?;
            let group = Group {
                path,
                columns: &*columns,
                places: &places,
                rows,
            };
            let decoded = group.events(opened, first_row)?;
            let is_last = decoded.1.is_some();
            if !give(decoded) || is_last {
                return Ok(false);
            }
        }
        first_row += u64::try_from(rows).unwrap_or(0);
        *next += 1;
    }
    Ok(true)
}

/// The version of a segment that this tracer knows.
fn version(path: &Path, reader: &SerializedFileReader<File>) -> Result<u32, RecordingError> {
    let metadata = reader.metadata().file_metadata().key_value_metadata();
    let version = metadata
        .into_iter()
        .flatten()
        .find(|pair| pair.key == SCHEMA_KEY)
        .and_then(|pair| pair.value.as_ref()?.parse::<u32>().ok())
        .ok_or_else(|| RecordingError::Foreign {
            path: path.to_owned(),
            why: format!("it has no {SCHEMA_KEY} in its metadata"),
        })?;
    if version > RECORDING_SCHEMA_VERSION {
        return Err(RecordingError::Newer {
            path: path.to_owned(),
            found: version,
            known: RECORDING_SCHEMA_VERSION,
        });
    }
    Ok(version)
}

/// Where each column of [`names`] is.
fn places(
    path: &Path,
    reader: &SerializedFileReader<File>,
    version: u32,
) -> Result<Vec<(&'static str, usize)>, RecordingError> {
    let schema = reader.metadata().file_metadata().schema_descr();
    names()
        .filter(|name| is_in(name, version))
        .map(|name| {
            let foreign = |why: String| RecordingError::Foreign {
                path: path.to_owned(),
                why,
            };
            let mut columns = schema.columns().iter().enumerate();
            let (place, found) = columns
                .find(|(_, found)| found.path().string() == name)
                .ok_or_else(|| foreign(format!("it has no column {name}")))?;
            let (expected, nullable) = kind(name);
            if found.physical_type() != expected
                || found.max_def_level() != i16::from(nullable)
                || found.max_rep_level() > 0
            {
                return Err(foreign(format!("its column {name} is of another type")));
            }
            Ok((name, place))
        })
        .collect()
}

/// A group of rows being read.
struct Group<'a> {
    path: &'a Path,
    columns: &'a dyn RowGroupReader,
    places: &'a [(&'static str, usize)],
    rows: usize,
}

impl Group<'_> {
    fn damaged(&self, why: impl ToString) -> RecordingError {
        RecordingError::NotParquet {
            path: self.path.to_owned(),
            why: why.to_string(),
        }
    }

    /// The values of a column that are there, and for each row whether it has one; empty: all have.
    fn values<T: DataType>(&self, name: &str) -> Result<(Vec<T::T>, Vec<i16>), RecordingError> {
        let place = self.places.iter().find(|(own, _)| *own == name);
        let place = place.map_or(usize::MAX, |(_, place)| *place);
        let column = self
            .columns
            .get_column_reader(place)
            .map_err(|error| self.damaged(error))?;
        let mut reader = get_typed_column_reader::<T>(column);
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let mut read = 0;
        while read < self.rows {
            let (records, _, _) = reader
                .read_records(self.rows - read, Some(&mut levels), None, &mut values)
                .map_err(|error| self.damaged(error))?;
            if records == 0 {
                break;
            }
            read += records;
        }
        let there = if kind(name).1 {
            levels.iter().filter(|level| **level == 1).count()
        } else {
            self.rows
        };
        if read != self.rows || values.len() != there {
            return Err(self.damaged(format!(
                "the column {name} has {read} of {} values",
                self.rows
            )));
        }
        Ok((values, levels))
    }

    /// The events of the rows; where one makes no sense, those before it, and what is wrong.
    fn events(&self, opened: Nanos, first_row: u64) -> Result<DecodedGroup, RecordingError> {
        let (times, _) = self.values::<Int64Type>(TIME)?;
        let (kinds, _) = self.values::<ByteArrayType>(EVENT)?;
        let mut cells = CELLS
            .iter()
            .map(|(_, name)| Ok(Cells::of(self.values::<Int64Type>(name)?)))
            .collect::<Result<Vec<_>, RecordingError>>()?;
        let mut marks = Cells::of(self.values::<ByteArrayType>(MARK)?);
        let mut samples = if self.places.iter().any(|(own, _)| *own == SAMPLE) {
            Some(Cells::of(self.values::<ByteArrayType>(SAMPLE)?))
        } else {
            None
        };
        let mut events = Vec::with_capacity(self.rows);
        // One row after the other in the same place.
        let mut row = Row {
            time_ns: 0,
            event: 0,
            cells: [NULL; CELLS.len()],
            mark: None,
            sample: None,
        };
        for (number, (time_ns, kind)) in (first_row..).zip(times.into_iter().zip(&kinds)) {
            row.time_ns = time_ns;
            row.event = known(kind.data()).ok_or_else(|| {
                self.damaged(format!(
                    "an event {:?}, which this tracer does not know",
                    String::from_utf8_lossy(kind.data())
                ))
            })?;
            for (cell, values) in row.cells.iter_mut().zip(&mut cells) {
                *cell = values.next().unwrap_or(NULL);
            }
            let text = |bytes: Option<ByteArray>| {
                bytes.map(|bytes| String::from_utf8_lossy(bytes.data()).into())
            };
            row.mark = text(marks.next());
            row.sample = text(samples.as_mut().and_then(Cells::next));
            match row.event(opened) {
                Ok(event) => events.push(event),
                Err(why) => {
                    let path = self.path.to_owned();
                    let row = number;
                    return Ok((events, Some(RecordingError::Row { path, row, why })));
                }
            }
        }
        Ok((events, None))
    }
}

/// The values of a column, row by row.
struct Cells<T> {
    values: std::vec::IntoIter<T>,
    there: std::vec::IntoIter<i16>,
}

impl<T> Cells<T> {
    fn of((values, there): (Vec<T>, Vec<i16>)) -> Self {
        Self {
            values: values.into_iter(),
            there: there.into_iter(),
        }
    }

    /// The next row's.
    fn next(&mut self) -> Option<T> {
        if self.there.next() == Some(1) {
            self.values.next()
        } else {
            None
        }
    }
}

/// The number of an event by its name.
fn known(name: &[u8]) -> Option<u8> {
    let known = EVENTS.iter().position(|own| own.as_bytes() == name)?;
    u8::try_from(known).ok()
}
