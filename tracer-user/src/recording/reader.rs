//! A recording, opened again.

use std::{
    fs::{self, File},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use parquet::{
    column::reader::get_typed_column_reader,
    data_type::{ByteArrayType, DataType, Int64Type},
    file::reader::{FileReader as _, RowGroupReader, SerializedFileReader},
};

use crate::stats::Nanos;

use super::{
    columns::{CELLS, EVENT, MARK, RECORDING_SCHEMA_VERSION, SCHEMA_KEY, TIME, kind, names},
    end::{END, RecordingEnd},
    error::RecordingError,
    event::{EVENTS, NULL, Row, TimedEvent},
};

/// More rows of a group than any tracer writes: a damaged file.
const LARGEST_GROUP_ROWS: usize = 1 << 24;

/// The file of a segment.
pub fn segment_name(number: u64) -> String {
    format!("events-{number:06}.parquet")
}

/// The events of a run.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    /// How it ended; none where the tracer was killed.
    pub end: Option<RecordingEnd>,
    segments: Vec<PathBuf>,
}

impl Recording {
    /// Opens the recording in this folder. No event is read yet.
    ///
    /// # Errors
    /// There is none, one of a newer tracer, or a segment is missing in the middle.
    pub fn open(folder: &Path) -> Result<Self, RecordingError> {
        let unreadable = |path: &Path, source| RecordingError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let listed = fs::read_dir(folder).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                RecordingError::Missing(folder.parent().unwrap_or(folder).to_owned())
            }
            _ => unreadable(folder, source),
        })?;
        let mut found: Vec<PathBuf> = listed
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "parquet")
            })
            .collect();
        found.sort();
        let end = match fs::read(folder.join(END)) {
            Ok(text) => Some(end(&folder.join(END), &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(unreadable(&folder.join(END), source)),
        };
        let last = end.as_ref().map_or(found.len() as u64, |end| end.segments);
        let segments: Vec<PathBuf> = (0..last.max(found.len() as u64))
            .map(|number| folder.join(segment_name(number)))
            .collect();
        if let Some(missing) = segments.iter().find(|path| !found.contains(path)) {
            return Err(RecordingError::Gap(missing.clone()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            end,
            segments,
        })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many segments there are.
    #[must_use]
    pub const fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Reads every event in order and hands it on; a group of rows is in memory at a time. Returns how many there were.
    ///
    /// # Errors
    /// A damaged segment, with the place; what came before it has been handed on.
    pub fn for_each(
        &self,
        opened: Nanos,
        mut take: impl FnMut(TimedEvent),
    ) -> Result<u64, RecordingError> {
        let mut count = 0;
        for path in &self.segments {
            count += unpanicked(path, || of_segment(path, opened, &mut take))?;
        }
        if let Some(end) = &self.end
            && end.events != count
        {
            return Err(RecordingError::Short {
                path: self.folder.clone(),
                found: count,
                expected: end.events,
            });
        }
        Ok(count)
    }
}

fn end(path: &Path, text: &[u8]) -> Result<RecordingEnd, RecordingError> {
    let end: RecordingEnd =
        serde_json::from_slice(text).map_err(|error| RecordingError::Foreign {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
    if end.schema_version > RECORDING_SCHEMA_VERSION {
        return Err(RecordingError::Newer {
            path: path.to_owned(),
            found: end.schema_version,
            known: RECORDING_SCHEMA_VERSION,
        });
    }
    Ok(end)
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

fn of_segment(
    path: &Path,
    opened: Nanos,
    take: &mut impl FnMut(TimedEvent),
) -> Result<u64, RecordingError> {
    let not_parquet = |error: &dyn std::fmt::Display| RecordingError::NotParquet {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let file = File::open(path).map_err(|source| RecordingError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let reader = SerializedFileReader::new(file).map_err(|error| not_parquet(&error))?;
    check_version(path, &reader)?;
    let places = places(path, &reader)?;
    let mut first_row = 0;
    for number in 0..reader.num_row_groups() {
        let group = reader
            .get_row_group(number)
            .map_err(|error| not_parquet(&error))?;
        let rows = usize::try_from(group.metadata().num_rows())
            .ok()
            .filter(|rows| *rows <= LARGEST_GROUP_ROWS)
            .ok_or_else(|| not_parquet(&"a group has more rows than a tracer writes"))?;
        let group = Group {
            path,
            columns: &*group,
            places: &places,
            rows,
        };
        for (row, own) in (first_row..).zip(group.rows()?) {
            let event = own.event(opened).map_err(|why| RecordingError::Row {
                path: path.to_owned(),
                row,
                why,
            })?;
            take(event);
        }
        first_row += rows as u64;
    }
    Ok(first_row)
}

fn check_version(path: &Path, reader: &SerializedFileReader<File>) -> Result<(), RecordingError> {
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
    Ok(())
}

/// Where each column of [`names`] is.
fn places(
    path: &Path,
    reader: &SerializedFileReader<File>,
) -> Result<Vec<(&'static str, usize)>, RecordingError> {
    let schema = reader.metadata().file_metadata().schema_descr();
    names()
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

    fn rows(&self) -> Result<Vec<Row>, RecordingError> {
        let (times, _) = self.values::<Int64Type>(TIME)?;
        let (events, _) = self.values::<ByteArrayType>(EVENT)?;
        let mut rows = Vec::with_capacity(self.rows);
        for (time_ns, event) in times.into_iter().zip(events) {
            let known = EVENTS
                .iter()
                .position(|name| name.as_bytes() == event.data());
            let known = known.ok_or_else(|| {
                self.damaged(format!(
                    "an event {:?}, which this tracer does not know",
                    String::from_utf8_lossy(event.data())
                ))
            })?;
            rows.push(Row {
                time_ns,
                event: u8::try_from(known).unwrap_or(u8::MAX),
                cells: [NULL; CELLS.len()],
                mark: None,
            });
        }
        for (cell, name) in CELLS {
            let (values, levels) = self.values::<Int64Type>(name)?;
            let mut values = values.into_iter();
            for (row, level) in rows.iter_mut().zip(levels) {
                if level == 1
                    && let Some(value) = values.next()
                {
                    row.cells[cell as usize] = value;
                }
            }
        }
        let (values, levels) = self.values::<ByteArrayType>(MARK)?;
        let mut values = values.into_iter();
        for (row, level) in rows.iter_mut().zip(levels) {
            if level == 1
                && let Some(value) = values.next()
            {
                row.mark = Some(String::from_utf8_lossy(value.data()).into());
            }
        }
        Ok(rows)
    }
}
