//! The folder of a run: made before anything is touched, filled at the end, owned by the calling user.

use std::{
    fs,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::{
    process::Caller,
    schema::{DeviceTestRecord, RunRecord},
};

use super::whole_file::write_whole_file;

/// Where runs go that are given no folder.
pub const RUNS_FOLDER: &str = "tracer-runs";

/// The record of the run.
pub const RECORD: &str = "run.json";
/// The record of an old trace.
pub const TRACE_RECORD: &str = "trace.json";
/// The record of an audit.
pub const AUDIT_RECORD: &str = "audit.json";
/// A folder that holds one of these is left as it is.
const RECORDS: [&str; 3] = [RECORD, TRACE_RECORD, AUDIT_RECORD];
const REPORT: &str = "report.md";
const PAGE: &str = "report.html";

/// The record of a device test.
pub(super) const DEVICE_RECORD: &str = "device.json";
/// The same as text.
const DEVICE_TEXT: &str = "device.txt";

/// Where the launcher keeps the engine's output.
const ENGINE_OUTPUT: [&str; 2] = ["engine.stdout", "engine.stderr"];

/// The folder of one run.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    created: Vec<PathBuf>,
    kept: bool,
}

impl RunDirectory {
    /// Makes the folder, and those above it, for the calling user. Dropped without a record written, folders
    /// that were made here and are empty are removed again.
    ///
    /// # Errors
    /// The folder holds a run already, or cannot be written.
    pub fn create(path: &Path, caller: &Caller) -> anyhow::Result<Self> {
        if let Some(record) = RECORDS.iter().find(|record| path.join(record).exists()) {
            bail!(
                "{} already holds the record of a run ({record}); choose another folder with --out",
                path.display()
            );
        }
        Self::open_or_create(path, caller)
    }

    /// The same for a folder that may hold a run: for what is written beside its record.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open_or_create(path: &Path, caller: &Caller) -> anyhow::Result<Self> {
        let mut missing: Vec<PathBuf> = Vec::new();
        let mut ancestor = Some(path);
        while let Some(folder) =
            ancestor.filter(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        {
            missing.push(folder.to_owned());
            ancestor = folder.parent();
        }
        let mut directory = Self {
            path: path.to_owned(),
            created: Vec::new(),
            // Of a run that is there already nothing is taken away.
            kept: path.join(RECORD).exists(),
        };
        for folder in missing.into_iter().rev() {
            let mut maker = fs::DirBuilder::new();
            if folder == path {
                // Nobody else enters a run: neither to read it nor to write into its pipe.
                maker.mode(0o700);
            }
            maker.create(&folder).with_context(|| {
                format!(
                    "cannot make the folder {}; choose another with --out",
                    folder.display()
                )
            })?;
            directory.created.push(folder.clone());
            caller
                .give_path(&folder)
                .with_context(|| format!("cannot hand {} to its user", folder.display()))?;
        }
        if !path.is_dir() {
            bail!(
                "{} is not a folder; choose another with --out",
                path.display()
            );
        }
        tempfile::tempfile_in(path).with_context(|| {
            format!(
                "cannot write to {}; choose another folder with --out",
                path.display()
            )
        })?;
        Ok(directory)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the record and its report in Markdown: to a temporary file, synced, renamed, so that a reader finds a whole
    /// file or none.
    ///
    /// # Errors
    /// A full disk, a folder that went away.
    pub fn write(
        &mut self,
        record: &RunRecord,
        report: &str,
        caller: &Caller,
    ) -> anyhow::Result<()> {
        self.write_as(RECORD, record, report, caller)
    }

    /// Writes the run's page, by far the largest of the three, when the record is safe.
    ///
    /// # Errors
    /// As above.
    pub fn write_page(&self, page: &str, caller: &Caller) -> anyhow::Result<()> {
        let path = self.path.join(PAGE);
        write_whole_file(&path, page.as_bytes(), caller).with_context(|| {
            format!(
                "cannot write {page}; the record and the report are there, and `tracer plot {folder} --page {page}` makes the page again",
                page = path.display(),
                folder = self.path.display()
            )
        })
    }

    /// Any record, by the name of its file, and its report in Markdown.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub fn write_as(
        &mut self,
        name: &str,
        record: &impl Serialize,
        report: &str,
        caller: &Caller,
    ) -> anyhow::Result<()> {
        let mut json =
            serde_json::to_vec_pretty(record).context("cannot write the record as JSON")?;
        json.push(b'\n');
        self.write_file(REPORT, report.as_bytes(), caller)?;
        self.write_file(name, &json, caller)?;
        self.kept = true;
        Ok(())
    }

    /// Writes the record of a device test and its text, like those of a run.
    ///
    /// # Errors
    /// A full disk, a folder that went away.
    pub fn write_device_test(
        &mut self,
        record: &DeviceTestRecord,
        text: &str,
        caller: &Caller,
    ) -> anyhow::Result<()> {
        let mut json =
            serde_json::to_vec_pretty(record).context("cannot write the record as JSON")?;
        json.push(b'\n');
        self.write_file(DEVICE_TEXT, text.as_bytes(), caller)?;
        self.write_file(DEVICE_RECORD, &json, caller)?;
        self.kept = true;
        Ok(())
    }

    fn write_file(&self, name: &str, content: &[u8], caller: &Caller) -> anyhow::Result<()> {
        let path = self.path.join(name);
        write_whole_file(&path, content, caller).with_context(|| {
            format!(
                "cannot write {}; the figures above are all there is",
                path.display()
            )
        })
    }
}

impl Drop for RunDirectory {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // What an engine that never came to run has left: files that nothing was written to.
        for name in ENGINE_OUTPUT {
            let path = self.path.join(name);
            if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == 0) {
                let _ = fs::remove_file(&path);
            }
        }
        for folder in self.created.iter().rev() {
            // Only empty folders go: whatever the engine has written stays.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{process::Caller, schema::RunRecord};

    use super::{AUDIT_RECORD, RunDirectory};

    #[test]
    fn an_unused_folder_goes_and_a_record_is_never_overwritten() {
        let caller = Caller::of_this_process().expect("the test's own user");
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("a ä/b");
        drop(RunDirectory::create(&path, &caller).expect("new folder"));
        assert!(!scratch.path().join("a ä").exists());

        let mut directory = RunDirectory::create(&path, &caller).expect("new folder");
        directory
            .write(&RunRecord::default(), "# x", &caller)
            .and_then(|()| directory.write_page("<p>x</p>", &caller))
            .expect("writable");
        drop(directory);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| {
            path.metadata().expect("it is there").permissions().mode() & 0o777
        };
        for name in ["run.json", "report.md", "report.html"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&path), 0o700);
        let error = RunDirectory::create(&path, &caller).expect_err("holds a run");
        assert!(error.to_string().contains("already holds"));

        let path = scratch.path().join("audit");
        let mut directory = RunDirectory::create(&path, &caller).expect("new folder");
        directory
            .write_as(AUDIT_RECORD, &[1, 2], "# x", &caller)
            .expect("writable");
        let text = std::fs::read_to_string(path.join(AUDIT_RECORD)).expect("written");
        assert_eq!(text.split_whitespace().collect::<String>(), "[1,2]");
        let error = RunDirectory::create(&path, &caller).expect_err("holds an audit");
        assert!(error.to_string().contains("audit.json"));
    }
}
