//! The folder of a finished run, opened again: what its page and its charts are made of.

use std::path::{Path, PathBuf};

use crate::{
    chart::Chart,
    output::{KeptRecordError, load_device_test, load_run},
    read_list::ReadList,
    report::{ChartSources, TimeWindow, run_charts, run_page},
    schema::{DeviceTestRecord, RunRecord},
};

/// What lies beside a run's record.
struct Beside {
    reads: Option<ReadList>,
    device: Option<DeviceTestRecord>,
}

impl Beside {
    /// What cannot be opened is not there: the page says which charts are missing.
    fn of(folder: &Path, record: &RunRecord) -> Self {
        let list = record
            .read_list
            .as_ref()
            .and_then(|list| list.file.as_ref());
        Self {
            reads: list.and_then(|name| ReadList::open(&folder.join(name)).ok()),
            device: load_device_test(folder).ok(),
        }
    }

    fn sources(&self, window: Option<TimeWindow>) -> ChartSources<'_> {
        ChartSources {
            reads: self.reads.as_ref(),
            device: self.device.as_ref(),
            window,
        }
    }
}

/// The page of a record whose list of reads is in this folder.
#[must_use]
pub fn page_of(record: &RunRecord, folder: &Path) -> String {
    run_page(record, Beside::of(folder, record).sources(None))
}

/// A finished run.
pub struct FinishedRunFolder {
    folder: PathBuf,
    record: RunRecord,
}

impl FinishedRunFolder {
    /// Opens a run by its folder, or by the record in it.
    ///
    /// # Errors
    /// There is no record, one of a newer tracer, or one that is not whole.
    pub fn open(path: &Path) -> Result<Self, KeptRecordError> {
        let folder = if path.is_dir() {
            path.to_owned()
        } else {
            path.parent().unwrap_or(Path::new(".")).to_owned()
        };
        let record = load_run(path)?;
        Ok(Self { folder, record })
    }

    /// Its charts, of a part of its time where one is named; and why others are missing.
    #[must_use]
    pub fn charts(&self, window: Option<TimeWindow>) -> (Vec<Chart>, Vec<String>) {
        run_charts(
            &self.record,
            Beside::of(&self.folder, &self.record).sources(window),
        )
    }

    /// Its page.
    #[must_use]
    pub fn page(&self) -> String {
        page_of(&self.record, &self.folder)
    }

    /// How long it took, seconds.
    #[must_use]
    pub const fn length_s(&self) -> f64 {
        self.record.time.wall_s
    }
}

#[cfg(test)]
mod tests;
