//! What a run's record says of the reads of a file.

use std::path::{Path, PathBuf};

use crate::{
    output::load_run,
    read_list::ReadList,
    schema::{ModelRecord, RunRecord, TestedRun},
};

use super::{error::DeviceTestError, patterns::Request};

/// Most reads of a list that are kept: 16 bytes each.
const LARGEST_LIST: usize = 8 << 20;

/// Deepest queue that is made: each read in flight is a thread.
const DEEPEST_QUEUE: f64 = 128.0;

/// What is taken from a run.
#[derive(Debug)]
pub struct RunFacts {
    pub run: TestedRun,
    /// Sizes of the model's requests and their counts.
    pub sizes: Vec<(u64, u64)>,
    /// Reads in flight, at least 1.
    pub queue_depth: usize,
    /// The reads of the file in their order; empty without a list. Not aligned yet.
    pub reads: Vec<Request>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

impl RunFacts {
    /// Reads a run's record, and its list of reads where there is one. `file` is one of the run's files, or a copy.
    ///
    /// # Errors
    /// There is no such record; the run did not read this file.
    pub fn load(directory: &Path, file: &Path, size_bytes: u64) -> Result<Self, DeviceTestError> {
        let record = load_record(&directory.join("run.json"))?;
        let mut notes = Vec::new();
        let place = place_of(&record, directory, file, size_bytes, &mut notes)?;
        let Some(model) = record.all_models().nth(place.model) else {
            return Err(no_reads(directory, file, "there is no such model"));
        };
        let reads = model.reads.as_ref().filter(|reads| reads.amount.count > 0);
        let Some(reads) = reads else {
            let why = model.model.without_sectors.as_deref();
            return Err(no_reads(directory, file, why.unwrap_or("it read nothing")));
        };
        if !record.complete {
            notes.push(
                "the run is incomplete: reads may be missing from what is taken of it".to_owned(),
            );
        }
        let sizes: Vec<(u64, u64)> = reads
            .sizes
            .iter()
            .flatten()
            .map(|size| (size.bytes, size.count))
            .collect();
        let mean_queue_depth = model.gaps.as_ref().and_then(|gaps| gaps.mean_queue_depth);
        let mut facts = Self {
            run: TestedRun {
                directory: directory.display().to_string(),
                started_at: record.started_at.clone(),
                mean_queue_depth,
                busy_bytes_per_s: rate(model, |bandwidth| bandwidth.busy_bytes_per_s),
                average_bytes_per_s: rate(model, |bandwidth| bandwidth.average_bytes_per_s),
                ..TestedRun::default()
            },
            sizes,
            // At least one read is in flight; where it is not known, as if one after another.
            queue_depth: mean_queue_depth
                .unwrap_or(1.0)
                .round()
                .clamp(1.0, DEEPEST_QUEUE) as usize,
            reads: Vec::new(),
            notes,
        };
        match record
            .read_list
            .as_ref()
            .and_then(|list| list.file.as_ref())
        {
            // A name, whatever the record says: never a way out of the folder.
            Some(name) => {
                let name = Path::new(name).file_name().unwrap_or_default();
                facts.load_list(&directory.join(name), place)?;
            }
            None => facts
                .notes
                .push("the run has no list of reads, so their order cannot be replayed".to_owned()),
        }
        Ok(facts)
    }

    fn load_list(&mut self, path: &Path, place: Place) -> Result<(), DeviceTestError> {
        let broken = |source| DeviceTestError::ReadList {
            path: path.to_owned(),
            source,
        };
        let list = ReadList::open(path).map_err(broken)?;
        let (mut left_out, mut beyond) = (0u64, 0u64);
        for row in list.rows() {
            let row = row.map_err(broken)?;
            if usize::from(row.model) != place.model {
                continue;
            }
            let own = row.file.is_some_and(|file| usize::from(file) == place.file);
            match row.file_offset_bytes.filter(|_| own && row.bytes > 0) {
                Some(_) if self.reads.len() >= LARGEST_LIST => beyond += 1,
                Some(offset_bytes) => self.reads.push(Request {
                    offset_bytes,
                    length_bytes: row.bytes,
                }),
                None => left_out += 1,
            }
        }
        if beyond > 0 {
            self.notes.push(format!(
                "of the list only the first {LARGEST_LIST} reads are replayed, {beyond} are not"
            ));
        }
        if left_out > 0 {
            self.notes.push(format!(
                "{left_out} reads of the list are of another file of the model, or of no contiguous piece of one: they are left out"
            ));
        }
        self.run.listed_reads = Some(self.reads.len() as u64);
        self.run.left_out_reads = Some(left_out);
        Ok(())
    }
}

fn rate(
    model: &ModelRecord,
    pick: fn(&crate::schema::BandwidthFigures) -> Option<f64>,
) -> Option<f64> {
    model.bandwidth.as_ref().and_then(pick)
}

fn no_reads(directory: &Path, file: &Path, why: &str) -> DeviceTestError {
    DeviceTestError::NoReads {
        directory: directory.to_owned(),
        path: file.to_owned(),
        why: why.to_owned(),
    }
}

fn load_record(path: &Path) -> Result<RunRecord, DeviceTestError> {
    load_run(path).map_err(|error| DeviceTestError::Run {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

/// Slots of a file in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    model: usize,
    file: usize,
}

/// Which of the run's files this is: the one at the same path, else the only one of the same size, which it then is a
/// copy of.
fn place_of(
    record: &RunRecord,
    directory: &Path,
    file: &Path,
    size_bytes: u64,
    notes: &mut Vec<String>,
) -> Result<Place, DeviceTestError> {
    let files = || {
        record.all_models().enumerate().flat_map(|(model, own)| {
            own.model
                .files
                .iter()
                .enumerate()
                .map(move |(file, found)| (Place { model, file }, found))
        })
    };
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let wanted = canonical(file);
    let same_path = files().find(|(_, found)| canonical(Path::new(&found.path)) == wanted);
    if let Some((place, found)) = same_path {
        if found.size_bytes != size_bytes {
            return Err(no_reads(
                directory,
                file,
                &format!(
                    "it had {} bytes then and has {size_bytes} now",
                    found.size_bytes
                ),
            ));
        }
        return Ok(place);
    }
    let mut same_size = files().filter(|(_, found)| found.size_bytes == size_bytes);
    match (same_size.next(), same_size.next()) {
        (Some((place, found)), None) => {
            notes.push(format!(
                "{} is taken for a copy of {}, which the run read: it has the same size",
                file.display(),
                found.path
            ));
            Ok(place)
        }
        _ => Err(DeviceTestError::OtherFile {
            path: file.to_owned(),
            directory: directory.to_owned(),
            files: files()
                .map(|(_, found)| PathBuf::from(&found.path).display().to_string())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}
