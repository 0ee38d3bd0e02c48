//! The run's list of reads: what of the stream goes into `reads.parquet`, and what the record says of it.

use std::{fs::File, io, path::Path};

use crate::{
    output::RunDirectory,
    place::Subject,
    probe::kernel_release,
    process::Caller,
    read_list::{
        ReadListError, ReadListHeader, ReadRecorder, ReadRow, RecordedFile, RecordedModel,
        WrittenReads,
    },
    schema::{Check, ReadListRecord, RunRecord},
    stats::{Nanos, Part, ReadIssued},
    storage::UnnamedFile,
};

/// Name of the list in the run's folder.
pub const READ_LIST: &str = "reads.parquet";

/// The list while the window is open. What goes wrong with it is noted in the record: it takes no figure away.
pub struct WindowReads {
    opened: Nanos,
    recorder: Result<ReadRecorder<UnnamedFile>, ReadListError>,
}

impl WindowReads {
    /// Begins the list of a window that opened at `opened`. The file gets its name when it is whole.
    pub fn begin(folder: &Path, header: &ReadListHeader, opened: Nanos) -> Self {
        let recorder = UnnamedFile::create_in(folder)
            .map_err(|error| ReadListError::Write(error.to_string()))
            .and_then(|file| ReadRecorder::start(file, header));
        Self { opened, recorder }
    }

    /// A read was issued for the first time, with this part of the model in it. Returns the number of its row, where it
    /// has one.
    pub fn issued(&mut self, part: &Part, read: &ReadIssued) -> Option<u64> {
        let recorder = self.recorder.as_mut().ok()?;
        let ranges = &part.ranges;
        let file = ranges
            .first()
            .map(|range| range.file)
            .filter(|file| ranges.iter().all(|range| range.file == *file));
        recorder.issued(ReadRow {
            time_ns: read.time.since(self.opened).unwrap_or(0),
            device: read.device,
            model: part.model,
            file,
            start_sector: read.start_sector,
            sectors: read.end_sector.saturating_sub(read.start_sector),
            file_offset_bytes: read.file_position.map(|position| position.offset_bytes),
            bytes: read.bytes,
            request_bytes: read.request_bytes,
            previous_end_sector: read.previous_end,
            readahead: read.readahead,
            process_id: read.process_id,
            thread_id: read.thread_id,
            latency_ns: None,
        })
    }

    /// The read of a row has ended; None where how long it took was not seen.
    pub fn ended(&mut self, row: u64, latency_ns: Option<u64>) {
        if let Ok(recorder) = &mut self.recorder {
            recorder.ended(row, latency_ns);
        }
    }

    /// Writes the rest, gives the file to whom it belongs, and then its name. Returns how many reads there are, and their bytes.
    ///
    /// # Errors
    /// What went wrong with the list since it began.
    pub fn write(
        self,
        path: &Path,
        give: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(u64, u64), ReadListError> {
        let WrittenReads { sink, reads, bytes } = self.recorder?.finish()?;
        give(sink.file())
            .and_then(|()| sink.name_replacing(path))
            .map_err(|error| ReadListError::Write(error.to_string()))?;
        Ok((reads, bytes))
    }

    /// The same in the run's folder, for its record.
    pub fn finish(self, directory: &RunDirectory, caller: &Caller) -> ReadListRecord {
        let path = directory.path().join(READ_LIST);
        let written = self.write(&path, |file| caller.give_file(file));
        match written {
            Ok((reads, bytes)) => ReadListRecord {
                file: Some(READ_LIST.to_owned()),
                reads: Some(reads),
                bytes: Some(bytes),
                error: None,
            },
            Err(error) => ReadListRecord {
                error: Some(error.to_string()),
                ..ReadListRecord::default()
            },
        }
    }
}

/// What the list says of the run.
pub fn header(subject: &Subject) -> ReadListHeader {
    ReadListHeader {
        tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: kernel_release(),
        devices: subject.disks.iter().map(|disk| disk.name.clone()).collect(),
        models: subject
            .models
            .iter()
            .map(|model| RecordedModel {
                path: model.name.clone(),
                files: subject
                    .files_of(model)
                    .map(|file| RecordedFile {
                        path: file.path.display().to_string(),
                        size_bytes: file.extents.size_bytes,
                    })
                    .collect(),
            })
            .collect(),
    }
}

/// Puts what became of the list into a record that is filled otherwise, and compares it with the kernel's counts.
pub fn add_to(record: &mut RunRecord, list: Option<ReadListRecord>) {
    let Some(list) = list else {
        return;
    };
    match (&list.error, list.reads, list.bytes) {
        (None, Some(reads), Some(bytes)) => {
            let checks = compare(record, reads, bytes);
            record.complete &= checks.iter().all(|check| check.holds != Some(false));
            record.checks.extend(checks);
        }
        (error, ..) => record.notes.push(format!(
            "there is no {READ_LIST}: {}",
            error.as_deref().unwrap_or("it was not written")
        )),
    }
    record.read_list = Some(list);
}

fn compare(record: &RunRecord, reads: u64, bytes: u64) -> Vec<Check> {
    const READS: &str = "the list of reads: rows = kernel aggregates";
    const BYTES: &str = "the list of reads: bytes = kernel aggregates";
    let of_models = || record.all_models().filter_map(|model| model.reads.as_ref());
    let left = format!("{READ_LIST}: {reads} reads, {bytes} bytes");
    let lost = record.loss.ring_buffer_issues;
    if lost > 0 {
        let why = format!("{lost} records of issues were lost");
        return vec![
            Check::unobserved(READS, left.clone(), why.clone()),
            Check::unobserved(BYTES, left, why),
        ];
    }
    let counted = of_models().map(|model| model.amount.count).sum();
    let mut checks = vec![Check::equal(
        READS,
        (READ_LIST, reads),
        ("kernel aggregates", counted),
    )];
    // A requeued read that was not issued again is in the list, and its bytes are taken off in the kernel's sum.
    checks.push(
        if of_models().all(|model| model.requeues == model.reissues) {
            let counted = of_models().map(|model| model.amount.total_bytes).sum();
            Check::equal(BYTES, (READ_LIST, bytes), ("kernel aggregates", counted))
        } else {
            Check::unobserved(BYTES, left, "requeued reads were not issued again")
        },
    );
    checks
}

#[cfg(test)]
mod tests {
    use crate::schema::{ModelRecord, ReadFigures, ReadListRecord, ReadsRecord, RunRecord};

    use super::{READ_LIST, add_to};

    fn record(count: u64, total_bytes: u64, requeues: u64) -> RunRecord {
        RunRecord {
            complete: true,
            single: Some(ModelRecord {
                reads: Some(ReadsRecord {
                    amount: ReadFigures {
                        count,
                        total_bytes,
                        ..ReadFigures::default()
                    },
                    requeues,
                    ..ReadsRecord::default()
                }),
                ..ModelRecord::default()
            }),
            ..RunRecord::default()
        }
    }

    fn list(reads: u64, bytes: u64) -> Option<ReadListRecord> {
        Some(ReadListRecord {
            file: Some(READ_LIST.to_owned()),
            reads: Some(reads),
            bytes: Some(bytes),
            error: None,
        })
    }

    fn verdicts(record: &RunRecord) -> Vec<Option<bool>> {
        record.checks.iter().map(|check| check.holds).collect()
    }

    #[test]
    fn a_list_that_differs_from_the_kernels_counts_is_a_violation() {
        let mut whole = record(3, 300, 0);
        add_to(&mut whole, list(3, 300));
        assert_eq!(verdicts(&whole), [Some(true), Some(true)]);
        assert!(whole.complete && whole.read_list.is_some());
        for (reads, bytes) in [(2, 300), (3, 299)] {
            let mut short = record(3, 300, 0);
            add_to(&mut short, list(reads, bytes));
            assert!(!short.complete);
        }
    }

    #[test]
    fn what_cannot_be_compared_is_not() {
        let mut requeued = record(3, 200, 1);
        add_to(&mut requeued, list(3, 300));
        assert_eq!(verdicts(&requeued), [Some(true), None]);
        let mut lossy = record(3, 300, 0);
        lossy.loss.ring_buffer_issues = 1;
        add_to(&mut lossy, list(2, 200));
        assert_eq!(verdicts(&lossy), [None, None]);
    }

    #[test]
    fn a_list_that_failed_is_noted_and_takes_nothing_away() {
        let mut record = record(3, 300, 0);
        add_to(
            &mut record,
            Some(ReadListRecord {
                error: Some("No space left on device".to_owned()),
                ..ReadListRecord::default()
            }),
        );
        assert!(record.complete && record.checks.is_empty());
        assert!(record.notes[0].contains("No space left"));
        let mut without = RunRecord::default();
        add_to(&mut without, None);
        assert!(without.notes.is_empty() && without.read_list.is_none());
    }
}
