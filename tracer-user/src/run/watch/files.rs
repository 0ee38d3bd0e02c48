//! Which files the engine's processes have open or mapped: whether the model is among them, and what else is.

use std::collections::{BTreeMap, BTreeSet};

use tracer_common::page::FileKey;

use super::cached_files::CachedFiles;
use crate::{
    place::{FileIdentity, Subject},
    process::{LargeFiles, ObservedProcess, files_in_use, monotonic_nanos, storage_read_bytes},
    schema::{ModelRecord, RunRecord},
    units::bytes,
};

/// While the model has not been seen with anybody, so many looks come one after the other; then one a second.
const CLOSE_LOOKS: u64 = 50;
/// A timer that is a little early is in time.
const LOOK_INTERVAL_NANOS: u64 = 900_000_000;

/// Bytes that a process had read from storage.
#[derive(Clone, Copy, Debug, Default)]
struct StorageReads {
    first: u64,
    last: u64,
}

/// What the engine's processes had open or mapped, over all looks.
#[derive(Clone, Debug, Default)]
pub struct FilesWatch {
    samples: u64,
    /// When to look again, nanoseconds.
    next_look_nanos: u64,
    looks: u64,
    /// Models that a process had open or mapped, by slot.
    models: BTreeSet<usize>,
    /// Processes that had a model open or mapped at the last look.
    holders: BTreeSet<u32>,
    /// Other files of theirs.
    others: LargeFiles,
    /// Bytes that they read of other files, through the page cache.
    cached: CachedFiles,
    storage_reads: BTreeMap<u32, StorageReads>,
}

impl FilesWatch {
    /// Notes what the processes have read so far: that is not the window's.
    pub fn begin(&mut self, process_ids: &BTreeSet<u32>) {
        for process_id in process_ids {
            if let Some(read) = process_of(*process_id).and_then(|it| storage_read_bytes(&it).ok())
            {
                let reads = StorageReads {
                    first: read,
                    last: read,
                };
                self.storage_reads.insert(*process_id, reads);
            }
        }
    }

    /// Looks at the processes, now and then: what is open changes seldom.
    pub fn sample(&mut self, process_ids: &BTreeSet<u32>, subject: &Subject) {
        let often = self.models.len() < subject.models.len() && self.samples < CLOSE_LOOKS;
        let now = monotonic_nanos();
        if often || now >= self.next_look_nanos {
            self.next_look_nanos = now + LOOK_INTERVAL_NANOS;
            self.look(process_ids, subject);
        }
        self.samples += 1;
    }

    /// Looks at the processes.
    pub fn look(&mut self, process_ids: &BTreeSet<u32>, subject: &Subject) {
        self.looks += 1;
        self.holders.clear();
        for process_id in process_ids {
            // One that has ended has nothing open.
            let Some(process) = process_of(*process_id) else {
                continue;
            };
            if let Ok(read) = storage_read_bytes(&process) {
                self.storage_reads.entry(*process_id).or_default().last = read;
            }
            for file in files_in_use(&process).unwrap_or_default() {
                let Some(metadata) = file.link.metadata().ok().filter(|it| it.is_file()) else {
                    continue;
                };
                let identity = FileIdentity::from(&metadata);
                if let Some(model) = model_of(subject, identity) {
                    self.models.insert(model);
                    self.holders.insert(*process_id);
                } else {
                    self.others.add(&file, &metadata);
                }
            }
        }
    }

    /// Processes that had a model open or mapped at the last look.
    #[must_use]
    pub const fn holders(&self) -> &BTreeSet<u32> {
        &self.holders
    }

    /// Whether a process has had this model open or mapped.
    #[must_use]
    pub fn has_seen(&self, model: usize) -> bool {
        self.models.contains(&model)
    }

    /// Whether a process has had any of the models open or mapped.
    #[must_use]
    pub fn has_seen_any(&self) -> bool {
        !self.models.is_empty()
    }

    /// What the processes read from storage since [`FilesWatch::begin`], as the kernel accounts it to them.
    #[must_use]
    pub fn storage_read_bytes(&self) -> Option<u64> {
        let mut sum = 0u64;
        for (process_id, reads) in &self.storage_reads {
            if process_of(*process_id).is_some() {
                sum = sum.saturating_add(reads.last.saturating_sub(reads.first));
            } else {
                // Who waits for a child takes over all that it had read, before the window too.
                sum = sum.saturating_sub(reads.first);
            }
        }
        (!self.storage_reads.is_empty()).then_some(sum)
    }

    /// What these processes had read from storage when they were last looked at.
    #[must_use]
    pub fn last_read_by(&self, process_ids: &BTreeSet<u32>) -> u64 {
        process_ids
            .iter()
            .filter_map(|process_id| self.storage_reads.get(process_id))
            .fold(0, |sum, reads| sum.saturating_add(reads.last))
    }

    /// The large files that are no model's, in words.
    #[must_use]
    pub fn others(&self) -> Option<String> {
        self.others.in_words()
    }

    /// Takes in what the kernel side counted of other files.
    pub fn take_cached(&mut self, counted: &[(FileKey, u64)], page_bytes: u64, subject: &Subject) {
        self.cached = CachedFiles::new(counted, page_bytes, &subject.files, &self.others);
    }

    /// Says so where a model's path names another file by now, or none, and what the engine read of that one.
    #[must_use]
    pub fn replaced(&self, subject: &Subject) -> Vec<String> {
        let replaced = subject.files.iter().filter_map(|file| {
            let note = file.replaced()?;
            let now = file.opened_as.metadata().ok();
            let read = now.and_then(|now| self.cached.bytes_of(FileIdentity::from(&now)));
            Some(match read {
                Some(read) => format!(
                    "{note}; through the page cache the engine read {} of it",
                    bytes(read)
                ),
                None => note,
            })
        });
        replaced.collect()
    }

    /// What a reader of a record should know where nothing of a model was read: whether the engine had it at all, and
    /// what the engine read instead. `storage_read_bytes` is what its processes read of any file.
    #[must_use]
    pub fn notes(&self, record: &RunRecord, storage_read_bytes: Option<u64>) -> Vec<String> {
        record
            .all_models()
            .enumerate()
            .filter(|(_, model)| nothing_read(model))
            .map(|(slot, model)| self.note(model, self.has_seen(slot), storage_read_bytes))
            .collect()
    }

    fn note(&self, model: &ModelRecord, has_seen: bool, storage_read_bytes: Option<u64>) -> String {
        let name = &model.model.path;
        let others = self.others();
        let read = storage_read_bytes.map_or_else(
            || "What the engine read from storage is not known".to_owned(),
            |read| match read {
                0 => "The engine read nothing from storage".to_owned(),
                read => format!("The engine read {} from storage", bytes(read)),
            },
        );
        let cached = self.cached.in_words().map_or_else(String::new, |files| {
            format!("; through the page cache, of other files: {files}")
        });
        let with = others.as_ref().map_or(cached.clone(), |others| {
            format!("{cached}; large files that it had open: {others}")
        });
        if has_seen || was_touched(model) {
            return format!(
                "the engine had {name} open, and nothing of it came from the disk in this run. {read}{with}"
            );
        }
        let advice = if others.is_some() {
            ". Is one of them the model? Then name it with --model"
        } else {
            ". Is it the model that the engine uses?"
        };
        format!(
            "nothing of {name} was read, and no process of the engine was seen with it open ({} looks). {read}{with}{advice}",
            self.looks
        )
    }
}

fn process_of(process_id: u32) -> Option<ObservedProcess> {
    ObservedProcess::open(i32::try_from(process_id).ok()?).ok()
}

/// The model that a file is of, by slot.
fn model_of(subject: &Subject, identity: FileIdentity) -> Option<usize> {
    subject
        .models
        .iter()
        .position(|model| subject.files_of(model).any(|file| file.is(identity)))
}

fn nothing_read(model: &ModelRecord) -> bool {
    match &model.reads {
        Some(reads) => reads.amount.count == 0,
        None => model.cache.inserts == Some(0),
    }
}

/// Whether anybody looked for a page of it.
fn was_touched(model: &ModelRecord) -> bool {
    [
        model.cache.faults,
        model.cache.lookups,
        model.cache.first_touch_hits,
    ]
    .into_iter()
    .flatten()
    .any(|events| events > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{CacheRecord, ReadsRecord};

    fn record(reads: u64, lookups: u64) -> RunRecord {
        let mut figures = ReadsRecord::default();
        figures.amount.count = reads;
        let mut model = ModelRecord {
            reads: Some(figures),
            cache: CacheRecord {
                lookups: Some(lookups),
                ..CacheRecord::default()
            },
            ..ModelRecord::default()
        };
        model.model.path = "/m/asked.gguf".into();
        RunRecord {
            single: Some(model),
            ..RunRecord::default()
        }
    }

    fn with_others(files: &[(&str, u64, bool)]) -> FilesWatch {
        FilesWatch {
            looks: 7,
            others: LargeFiles::of(files),
            cached: CachedFiles::of(&[("/m/read.gguf", 290)]),
            ..FilesWatch::default()
        }
    }

    #[test]
    fn nothing_read_of_a_model_that_nobody_had_names_what_was_read() {
        let watch = with_others(&[("/m/small", 2, false), ("/m/read.gguf", 300, true)]);
        assert_eq!(
            watch.notes(&record(0, 0), Some(300 << 20)),
            [
                "nothing of /m/asked.gguf was read, and no process of the engine was seen with it open (7 looks). The engine read 300.00 MiB from storage; through the page cache, of other files: /m/read.gguf (290.00 MiB); large files that it had open: /m/read.gguf (300.00 MiB, mapped), /m/small (2.00 MiB, open). Is one of them the model? Then name it with --model"
            ]
        );
        let nobody = FilesWatch::default().notes(&record(0, 0), None);
        assert!(
            nobody[0].ends_with("is not known. Is it the model that the engine uses?"),
            "{nobody:?}"
        );
        assert!(watch.notes(&record(1, 0), Some(1)).is_empty());
    }

    #[test]
    fn a_model_that_was_in_memory_is_not_called_the_wrong_one() {
        let mut watch = FilesWatch::default();
        for (seen, lookups) in [(true, 0), (false, 3)] {
            watch.models = seen.then_some(0).into_iter().collect();
            assert_eq!(
                watch.notes(&record(0, lookups), Some(0)),
                [
                    "the engine had /m/asked.gguf open, and nothing of it came from the disk in this run. The engine read nothing from storage"
                ]
            );
        }
    }
}
