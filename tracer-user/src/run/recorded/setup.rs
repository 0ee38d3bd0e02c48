//! What was known before the first event: everything that the accumulators are made with.

use std::{fs, io, ops::Range, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    model::ModelOutline,
    place::{FileSelection, Locator, ModelPieces, Owner, Subject},
    read_list::{ReadListHeader, RecordedFile, RecordedModel},
    recording::{RECORDING_SCHEMA_VERSION, RecordingError, SETUP},
    stats::{FileData, Nanos, pages::events::TouchEvents, phases::attribution::Attribution},
};

use super::error::ReopenError;

/// What `setup.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedSetup {
    /// [`RECORDING_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    pub tracer_version: String,
    pub kernel: String,
    /// `CLOCK_MONOTONIC` of the gate's opening, nanoseconds.
    pub opened_ns: u64,
    /// Bytes of a page of the kernel.
    pub page_bytes: u64,
    /// Names of the devices by slot.
    pub devices: Vec<String>,
    /// From sectors to files.
    pub locator: Locator,
    /// By slot of a file in the events: whose it is.
    pub owners: Vec<Owner>,
    pub models: Vec<RecordedModelSetup>,
    /// Whether faults, mappings and look-ups were observed.
    pub touch_events: TouchEvents,
    /// The window holds the engine's whole life.
    pub from_start: bool,
    pub facts: Facts,
}

/// What the programs that were there could see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub waits_observed: bool,
    pub faults_observed: bool,
    /// Whether the kernel side knows the engine's processes.
    pub engine_is_known: bool,
    /// Whether waits in `read()` are told from others.
    pub reads_are_told: bool,
}

/// A model before the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedModelSetup {
    pub name: String,
    pub files: Vec<RecordedFileSetup>,
    /// What the headers say; null where they could not be read.
    pub outline: Option<ModelOutline>,
    /// Why its sectors are not known, where that is so.
    pub without_sectors: Option<String>,
}

/// A file of a model before the run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RecordedFileSetup {
    pub path: String,
    #[serde(flatten)]
    pub data: FileData,
    /// Which of its pages were in memory at the start: how many were not, how many after them were, and so on. Null where
    /// that could not be observed.
    pub resident_runs: Option<Vec<u64>>,
}

impl RecordedSetup {
    /// What is known right after the gate has opened. `resident` is [`crate::place::resident_pages`] of each model.
    pub fn of(
        subject: &Subject,
        pieces: &[ModelPieces],
        resident: &[Vec<Option<Vec<u64>>>],
        opened: Nanos,
        touch_events: TouchEvents,
        from_start: bool,
        facts: Facts,
    ) -> anyhow::Result<Self> {
        let page_bytes = procfs::page_size();
        let models = subject.models.iter().zip(pieces).zip(resident);
        Ok(Self {
            schema_version: RECORDING_SCHEMA_VERSION,
            tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
            kernel: crate::probe::kernel_release(),
            opened_ns: opened.0,
            page_bytes,
            devices: subject.disks.iter().map(|disk| disk.name.clone()).collect(),
            locator: subject.locator()?,
            owners: subject.owners()?,
            models: models
                .map(|((model, pieces), resident)| RecordedModelSetup {
                    name: model.name.clone(),
                    without_sectors: subject.without_sectors(model),
                    outline: pieces.outline.clone(),
                    files: subject
                        .files_of(model)
                        .zip(resident)
                        .map(|(file, resident)| RecordedFileSetup {
                            path: file.path.display().to_string(),
                            data: FileData {
                                size_bytes: file.extents.size_bytes,
                                hole_bytes: file.extents.holes_bytes,
                            },
                            resident_runs: resident.as_deref().map(|bitmap| {
                                runs(bitmap, file.extents.size_bytes.div_ceil(page_bytes))
                            }),
                        })
                        .collect(),
                })
                .collect(),
            touch_events,
            from_start,
            facts,
        })
    }

    /// What a list of the run's reads says of itself.
    #[must_use]
    pub fn read_list_header(&self) -> ReadListHeader {
        let models = self.models.iter().map(|model| RecordedModel {
            path: model.name.clone(),
            files: model
                .files
                .iter()
                .map(|file| RecordedFile {
                    path: file.path.clone(),
                    size_bytes: file.data.size_bytes,
                })
                .collect(),
        });
        ReadListHeader {
            tracer_version: self.tracer_version.clone(),
            kernel: self.kernel.clone(),
            devices: self.devices.clone(),
            models: models.collect(),
        }
    }

    /// The pieces of each model.
    ///
    /// # Errors
    /// Headers that make no sense: no tracer wrote them.
    pub fn pieces(&self) -> anyhow::Result<Vec<ModelPieces>> {
        self.models
            .iter()
            .map(|model| {
                let sizes: Vec<u64> = model
                    .files
                    .iter()
                    .map(|file| file.data.size_bytes)
                    .collect();
                let outline = model.outline.clone();
                ModelPieces::of_outline(&model.name, &sizes, outline, self.page_bytes, Vec::new())
            })
            .collect()
    }

    /// By file of a model, the pages that were in memory before the first event, ascending. What could not be observed is not
    /// among them.
    #[must_use]
    pub fn resident_pages(&self, model: usize) -> Vec<Vec<Range<u64>>> {
        let files = self.models.get(model).into_iter();
        files
            .flat_map(|model| &model.files)
            .map(|file| {
                let runs = file.resident_runs.as_deref().unwrap_or_default();
                resident(runs, file.data.size_bytes.div_ceil(self.page_bytes)).collect()
            })
            .collect()
    }

    /// An accumulator for each model, for a window from `start` on; for a part of the files where one is named.
    ///
    /// # Errors
    /// Files of more pages than can be followed.
    pub fn attributions(
        &self,
        pieces: &[ModelPieces],
        start: Nanos,
        part: Option<&FileSelection>,
    ) -> anyhow::Result<Vec<Attribution>> {
        // Later than at the beginning nobody knows what is in memory.
        let begins = start.0 == self.opened_ns;
        let models = (0u16..).zip(self.models.iter().zip(pieces));
        models
            .map(|(model_slot, (model, pieces))| {
                let files = (0u16..).zip(&model.files);
                let resident: Vec<Option<Vec<u64>>> = files
                    .map(|(file_slot, file)| {
                        let runs = file.resident_runs.as_deref().filter(|_| begins)?;
                        let all = bitmap(runs, file.data.size_bytes.div_ceil(self.page_bytes));
                        let owner = Owner {
                            model: model_slot,
                            file: file_slot,
                        };
                        Some(match part {
                            Some(part) => part.of_bitmap(owner, &all, self.page_bytes),
                            None => all,
                        })
                    })
                    .collect();
                pieces.attribution(
                    &resident,
                    self.touch_events,
                    start,
                    self.from_start && begins,
                )
            })
            .collect()
    }
}

/// What a recording's folder says that was known before the first event.
///
/// # Errors
/// There is no such file, it is one of a newer tracer, or makes no sense.
pub fn load_setup(folder: &Path) -> Result<RecordedSetup, ReopenError> {
    /// What every version begins with.
    #[derive(serde::Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let path = folder.join(SETUP);
    let text = fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            RecordingError::Missing(folder.parent().unwrap_or(folder).to_owned())
        }
        _ => RecordingError::Unreadable {
            path: path.clone(),
            source,
        },
    })?;
    let refused = |error: serde_json::Error| ReopenError::Setup {
        path: path.clone(),
        why: error.to_string(),
    };
    let version: Version = serde_json::from_slice(&text).map_err(refused)?;
    if version.schema_version > RECORDING_SCHEMA_VERSION {
        return Err(RecordingError::Newer {
            path,
            found: version.schema_version,
            known: RECORDING_SCHEMA_VERSION,
        }
        .into());
    }
    serde_json::from_slice(&text).map_err(refused)
}

/// How many pages are not set, how many after them are, and so on.
fn runs(bitmap: &[u64], pages: u64) -> Vec<u64> {
    let (mut runs, mut length, mut set) = (Vec::new(), 0u64, false);
    for page in 0..pages {
        let word = bitmap.get((page / 64) as usize).copied().unwrap_or(0);
        let own = word >> (page % 64) & 1 == 1;
        if own != set {
            runs.push(length);
            length = 0;
            set = own;
        }
        length += 1;
    }
    runs.push(length);
    runs
}

fn bitmap(runs: &[u64], pages: u64) -> Vec<u64> {
    let mut bitmap = vec![0u64; pages.div_ceil(64) as usize];
    for page in resident(runs, pages).flatten() {
        if let Some(word) = bitmap.get_mut((page / 64) as usize) {
            *word |= 1 << (page % 64);
        }
    }
    bitmap
}

/// The pages of a file that were in memory, ascending.
fn resident(runs: &[u64], pages: u64) -> impl Iterator<Item = Range<u64>> {
    let mut page = 0u64;
    let ranges = runs.iter().map(move |length| {
        let range = page..page.saturating_add(*length).min(pages);
        page = range.end;
        range
    });
    ranges.skip(1).step_by(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{bitmap, runs};

    proptest! {
        #[test]
        fn runs_of_pages_give_their_bitmap_again(
            words in proptest::collection::vec(any::<u64>(), 1..6), cut in 0u64..64,
        ) {
            let pages = words.len() as u64 * 64 - cut;
            let mut expected = words.clone();
            if let Some(last) = expected.last_mut() {
                *last &= u64::MAX >> cut;
            }
            let runs = runs(&words, pages);
            prop_assert_eq!(runs.iter().sum::<u64>(), pages);
            prop_assert_eq!(bitmap(&runs, pages), expected);
        }
    }

    #[test]
    fn a_cold_file_is_one_run_and_nonsense_stays_within_the_file() {
        assert_eq!(runs(&[0, 0], 100), [100]);
        assert_eq!(runs(&[1, 0], 100), [0, 1, 99]);
        assert_eq!(bitmap(&[0, u64::MAX, u64::MAX], 3), [7]);
        assert_eq!(bitmap(&[], 0), Vec::<u64>::new());
    }
}
