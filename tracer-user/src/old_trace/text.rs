//! A text of blkparse → records, as a stream.

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{
    error::{Place, TraceError, TraceErrorKind},
    record::TraceRecord,
    sequence::SequenceGaps,
    summary::Summary,
    text_line::{begins_like_a_record, parse_line},
};

/// Longest line: messages have at most 1,024 bytes (`BLK_TN_MAX_MSG`).
const LONGEST_LINE: usize = 4096;
const BUFFER_BYTES: usize = 1 << 18;

/// A text that is being read.
pub struct TextTrace<R> {
    path: PathBuf,
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
    records: u64,
    summary: Option<Summary>,
    sequences: SequenceGaps,
    cut_off: Option<String>,
}

/// What is known when a text has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextEnd {
    /// blkparse's summary, where there is one.
    pub summary: Option<Summary>,
    /// Records that are missing by the sequence numbers.
    pub missing_by_sequence: u64,
    /// The last line is no whole one: what it looks like.
    pub cut_off: Option<String>,
}

impl<R: Read> TextTrace<R> {
    /// A text from its beginning.
    pub fn new(path: &Path, reader: R) -> Self {
        Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            line: Vec::new(),
            number: 0,
            records: 0,
            summary: None,
            sequences: SequenceGaps::default(),
            cut_off: None,
        }
    }

    /// The next record; None at the end.
    ///
    /// # Errors
    /// A line that is none of blkparse's. The last line without its end is none, but the trace's end.
    pub fn next_record(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        loop {
            if self.cut_off.is_some() || !self.read_line()? {
                return Ok(None);
            }
            let has_end = self.line.last() == Some(&b'\n');
            let line = self.line.trim_ascii_end();
            if !begins_like_a_record(line) {
                if !has_end && self.records > 0 && self.summary.is_none() {
                    self.cut_off = Some(self.cut());
                    return Ok(None);
                }
                self.take_other()?;
                continue;
            }
            let result = parse_line(line);
            // A remap ends with a number, of which a cut would leave another one.
            let is_whole = has_end || line.last() == Some(&b']');
            let record = match result {
                Ok(record) if is_whole => record,
                Err(error) if has_end => {
                    return Err(self.error(
                        error.column,
                        TraceErrorKind::Line {
                            expected: error.expected,
                        },
                    ));
                }
                _ => {
                    self.cut_off = Some(self.cut());
                    return Ok(None);
                }
            };
            if self.summary.is_some() {
                return Err(self.error(0, TraceErrorKind::AfterSummary));
            }
            self.records += 1;
            let from = record.remapped_from.map(|(device, _)| device);
            self.sequences
                .take([Some(record.device), from], record.cpu, record.sequence);
            return Ok(Some(record));
        }
    }

    /// Reads one line into `self.line`, with its end. False at the end of the file.
    fn read_line(&mut self) -> Result<bool, TraceError> {
        self.line.clear();
        self.number += 1;
        let read = (&mut self.reader)
            .take(LONGEST_LINE as u64)
            .read_until(b'\n', &mut self.line);
        let length = match read {
            Ok(length) => length,
            Err(error) => return Err(self.error(0, TraceErrorKind::Io(error))),
        };
        if length == LONGEST_LINE && self.line.last() != Some(&b'\n') {
            return Err(self.error(0, TraceErrorKind::LongLine(LONGEST_LINE)));
        }
        Ok(length > 0)
    }

    /// A line that is no record: of the summary, or nothing that is known.
    fn take_other(&mut self) -> Result<(), TraceError> {
        let line = self.line.trim_ascii_end();
        if line.is_empty() || line.starts_with(b"Input file ") {
            return Ok(());
        }
        match &mut self.summary {
            Some(summary) => summary.take(line),
            None if Summary::knows(line) => {
                let mut summary = Summary::default();
                summary.take(line);
                self.summary = Some(summary);
            }
            None => {
                let error = parse_line(line);
                let (column, expected) = error
                    .err()
                    .map_or((0, "a record"), |error| (error.column, error.expected));
                return Err(self.error(column, TraceErrorKind::Line { expected }));
            }
        }
        Ok(())
    }

    fn cut(&self) -> String {
        format!(
            "{}, line {}: the last line is cut off; the trace goes on where this file ends",
            self.path.display(),
            self.number
        )
    }

    fn error(&self, column: usize, kind: TraceErrorKind) -> TraceError {
        let place = Place::Line {
            line: self.number,
            column: column + 1,
        };
        TraceError::new(&self.path, place, kind)
    }

    /// What is known after the last record.
    ///
    /// # Errors
    /// There was none.
    pub fn end(self) -> Result<TextEnd, TraceError> {
        if self.records == 0 {
            return Err(TraceError::new(
                &self.path,
                Place::File,
                TraceErrorKind::Empty,
            ));
        }
        Ok(TextEnd {
            summary: self.summary,
            missing_by_sequence: self.sequences.missing(),
            cut_off: self.cut_off,
        })
    }
}

#[cfg(test)]
mod tests;
