//! The files of one recording → one stream of records, by time.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    ffi::OsStr,
    fs::{self, File},
    io::{self, Cursor, Read},
    path::{Path, PathBuf},
};

use super::{
    binary::{BinaryTrace, ByteOrder, WallClock},
    error::{Place, TraceError, TraceErrorKind},
    order::TimeOrder,
    record::TraceRecord,
    summary::Summary,
    text::TextTrace,
};

/// What stands between the name and the CPU's number in the names of binary files.
const BINARY_INFIX: &str = ".blktrace.";

/// What a text's form is called.
pub(super) const TEXT_FORMAT: &str = "text of blkparse";

/// One file of a recording, open at its beginning.
pub struct TraceFile {
    /// What to call it.
    pub path: PathBuf,
    /// Its bytes.
    pub reader: Box<dyn Read>,
}

/// A recording that is being read.
pub struct Trace {
    files: Files,
    order: TimeOrder,
    drained: bool,
    /// Records given out.
    records: u64,
    format: &'static str,
}

enum Files {
    Text(TextTrace<Box<dyn Read>>),
    Binary(BinaryFiles),
}

/// Binary files, merged: by time, then by number, then by file.
#[derive(Default)]
struct BinaryFiles {
    files: Vec<BinaryTrace<Box<dyn Read>>>,
    /// The next record of each file.
    heads: Vec<Option<TraceRecord>>,
    earliest: BinaryHeap<Reverse<(u64, u32, usize)>>,
}

impl BinaryFiles {
    fn new(files: Vec<BinaryTrace<Box<dyn Read>>>) -> Result<Self, TraceError> {
        let mut merged = Self {
            heads: vec![None; files.len()],
            files,
            earliest: BinaryHeap::new(),
        };
        for slot in 0..merged.files.len() {
            merged.advance(slot)?;
        }
        Ok(merged)
    }

    fn advance(&mut self, slot: usize) -> Result<(), TraceError> {
        if let (Some(file), Some(head)) = (self.files.get_mut(slot), self.heads.get_mut(slot)) {
            *head = file.next_record()?;
            if let Some(record) = head {
                self.earliest
                    .push(Reverse((record.time.0, record.sequence, slot)));
            }
        }
        Ok(())
    }

    fn next_record(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        let Some(Reverse((_, _, slot))) = self.earliest.pop() else {
            return Ok(None);
        };
        let record = self.heads.get_mut(slot).and_then(Option::take);
        self.advance(slot)?;
        Ok(record)
    }
}

/// What is known when a recording has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceEnd {
    /// The form of the files.
    pub format: &'static str,
    /// Records read.
    pub records: u64,
    /// Files that are cut off, and where.
    pub cut_off: Vec<String>,
    /// Records out of the order of time.
    pub late_records: u64,
    /// Records missing by their numbers. Of a text: blkparse may have left them out on purpose.
    pub missing_by_sequence: u64,
    /// The text's summary.
    pub summary: Option<Summary>,
    /// A moment by both clocks.
    pub wall_clock: Option<WallClock>,
}

impl Trace {
    /// Opens the files of a recording; see [`recording_files`] for their names.
    ///
    /// # Errors
    /// A file that cannot be read or is empty; files that are no one recording.
    pub fn open(paths: &[PathBuf]) -> Result<Self, TraceError> {
        let open = |path: &PathBuf| {
            let error = |error| TraceError::new(path, Place::File, TraceErrorKind::Io(error));
            let is_folder = fs::metadata(path).map_err(error)?.is_dir();
            if is_folder {
                return Err(error(io::ErrorKind::IsADirectory.into()));
            }
            Ok(TraceFile {
                path: path.clone(),
                reader: Box::new(File::open(path).map_err(error)?) as Box<dyn Read>,
            })
        };
        Self::of(paths.iter().map(open).collect::<Result<_, _>>()?)
    }

    /// A recording from open files.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub fn of(files: Vec<TraceFile>) -> Result<Self, TraceError> {
        let count = files.len();
        let (mut texts, mut binaries) = (Vec::new(), Vec::new());
        let mut first_path = None;
        let mut format = "binary files of blktrace, little-endian";
        for mut file in files {
            let error = |kind| TraceError::new(&file.path, Place::File, kind);
            let mut start = Vec::with_capacity(4);
            (&mut file.reader)
                .take(4)
                .read_to_end(&mut start)
                .map_err(|source| error(TraceErrorKind::Io(source)))?;
            first_path.get_or_insert_with(|| file.path.clone());
            let order = start.first_chunk().copied().and_then(ByteOrder::of);
            let is_empty = start.is_empty();
            let reader: Box<dyn Read> = Box::new(Cursor::new(start).chain(file.reader));
            match order {
                // A CPU on which nothing happened leaves an empty file.
                None if is_empty && count > 1 => {}
                None if has_binary_name(&file.path) && !is_empty => {
                    binaries.push(BinaryTrace::new(&file.path, ByteOrder::Little, reader));
                }
                None => texts.push((file.path, reader)),
                Some(order) => {
                    if order == ByteOrder::Big {
                        format = "binary files of blktrace, big-endian";
                    }
                    binaries.push(BinaryTrace::new(&file.path, order, reader));
                }
            }
        }
        let text_count = texts.len();
        let files = match texts.pop() {
            Some((path, _)) if text_count > 1 || !binaries.is_empty() => {
                return Err(TraceError::new(
                    &path,
                    Place::File,
                    TraceErrorKind::NotOneRecording,
                ));
            }
            Some((path, reader)) => {
                format = TEXT_FORMAT;
                Files::Text(TextTrace::new(&path, reader))
            }
            None if binaries.is_empty() => {
                return Err(empty(&first_path.unwrap_or_default()));
            }
            None => {
                let binaries = BinaryFiles::new(binaries)?;
                if binaries.earliest.is_empty() {
                    return Err(empty(&first_path.unwrap_or_default()));
                }
                Files::Binary(binaries)
            }
        };
        Ok(Self {
            files,
            order: TimeOrder::default(),
            drained: false,
            records: 0,
            format,
        })
    }

    /// The next record by time; None at the end.
    ///
    /// # Errors
    /// What is no record, and where. All records before it have not necessarily been given out.
    pub fn next_record(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        while !self.drained {
            match self.next_in_files()? {
                Some(record) => {
                    if let Some(earliest) = self.order.push(record) {
                        self.records += 1;
                        return Ok(Some(earliest));
                    }
                }
                None => self.drained = true,
            }
        }
        let record = self.order.pop();
        self.records += u64::from(record.is_some());
        Ok(record)
    }

    fn next_in_files(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        match &mut self.files {
            Files::Text(text) => text.next_record(),
            Files::Binary(files) => files.next_record(),
        }
    }

    /// What is known after the last record.
    ///
    /// # Errors
    /// A text without any record.
    pub fn end(self) -> Result<TraceEnd, TraceError> {
        let mut end = TraceEnd {
            format: self.format,
            records: self.records,
            late_records: self.order.late(),
            ..TraceEnd::default()
        };
        match self.files {
            Files::Text(text) => {
                let text = text.end()?;
                end.summary = text.summary;
                end.missing_by_sequence = text.missing_by_sequence;
                end.cut_off.extend(text.cut_off);
            }
            Files::Binary(binaries) => {
                for file in binaries.files {
                    let file = file.end();
                    end.missing_by_sequence += file.missing;
                    end.wall_clock = end.wall_clock.or(file.wall_clock);
                    end.cut_off.extend(file.cut_off);
                }
            }
        }
        Ok(end)
    }
}

fn empty(path: &Path) -> TraceError {
    TraceError::new(path, Place::File, TraceErrorKind::Empty)
}

/// `NAME` and the CPU's number of `NAME.blktrace.N`.
fn binary_name(path: &Path) -> Option<(&str, u32)> {
    let name = path.file_name()?.to_str()?;
    let (name, cpu) = name.rsplit_once(BINARY_INFIX)?;
    Some((name, cpu.parse().ok()?))
}

fn has_binary_name(path: &Path) -> bool {
    binary_name(path).is_some()
}

/// The files of the recordings that are meant: a name `t` that is no file stands for `t.blktrace.0`, `t.blktrace.1`, …
/// beside it, as for blkparse. The second list says which files of a binary recording exist and were not named.
///
/// # Errors
/// Neither a file nor the beginning of such names; a folder that cannot be listed.
pub fn recording_files(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), TraceError> {
    let mut files = Vec::new();
    for path in paths {
        if path.exists() {
            files.push(path.clone());
            continue;
        }
        let found = match path.file_name() {
            Some(name) => parts(path, name)?,
            None => Vec::new(),
        };
        if found.is_empty() {
            let error = io::Error::from(io::ErrorKind::NotFound);
            return Err(TraceError::new(
                path,
                Place::File,
                TraceErrorKind::Io(error),
            ));
        }
        files.extend(found);
    }
    let mut left_out = Vec::new();
    for file in &files {
        let Some((name, _)) = binary_name(file) else {
            continue;
        };
        for part in parts(file, OsStr::new(name))? {
            let has_data = fs::metadata(&part).is_ok_and(|metadata| metadata.len() > 0);
            if has_data && !files.contains(&part) && !left_out.contains(&part) {
                left_out.push(part);
            }
        }
    }
    Ok((files, left_out))
}

/// The files of one binary recording in the folder of `beside`, by CPU.
fn parts(beside: &Path, name: &OsStr) -> Result<Vec<PathBuf>, TraceError> {
    let parent = beside.parent().unwrap_or(Path::new(""));
    let folder = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let error = |error| TraceError::new(folder, Place::File, TraceErrorKind::Io(error));
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // The folder of a file that is not there need not be there either.
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(other) => return Err(error(other)),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let path = parent.join(entry.map_err(error)?.file_name());
        if let Some((own, cpu)) = binary_name(&path)
            && OsStr::new(own) == name
        {
            parts.push((cpu, path));
        }
    }
    parts.sort();
    Ok(parts.into_iter().map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests;
