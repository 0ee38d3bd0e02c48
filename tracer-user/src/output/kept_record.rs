//! Reading what an earlier command left.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;

use crate::schema::{DEVICE_TEST_SCHEMA_VERSION, DeviceTestRecord, RunRecord, SCHEMA_VERSION};

use super::folder::{DEVICE_RECORD, RECORD};

/// Why a record cannot be read.
#[derive(Debug, Error)]
pub enum KeptRecordError {
    #[error(
        "there is no {path}: give the folder that `{command}` made (its --out, else a new one in tracer-runs/)"
    )]
    Missing {
        path: PathBuf,
        command: &'static str,
    },
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    /// It ends in the middle.
    #[error(
        "{path} is cut off at line {line}: it was copied in part, or the disk was full. Copy it again, or make the run again"
    )]
    CutOff { path: PathBuf, line: usize },
    /// No record of this kind.
    #[error("{path} is no record of `{command}`: {why}. Give the folder of one")]
    Foreign {
        path: PathBuf,
        command: &'static str,
        why: String,
    },
    #[error(
        "the layout of {path} is version {found}, and this tracer knows up to {known}: it was written by a newer tracer. Use that one"
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
}

/// The record of a run; the path is its folder, or the file itself.
///
/// # Errors
/// There is none that this tracer can read.
pub fn load_run(path: &Path) -> Result<RunRecord, KeptRecordError> {
    load(path, RECORD, "tracer launch", SCHEMA_VERSION)
}

/// The record of a device test; the path is its folder, or the file itself.
///
/// # Errors
/// There is none that this tracer can read.
pub fn load_device_test(path: &Path) -> Result<DeviceTestRecord, KeptRecordError> {
    load(
        path,
        DEVICE_RECORD,
        "tracer device",
        DEVICE_TEST_SCHEMA_VERSION,
    )
}

/// What every record begins with.
#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

fn load<R: DeserializeOwned>(
    path: &Path,
    name: &str,
    command: &'static str,
    known: u32,
) -> Result<R, KeptRecordError> {
    let path = if path.is_dir() {
        path.join(name)
    } else {
        path.to_owned()
    };
    let text = fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeptRecordError::Missing {
            path: path.clone(),
            command,
        },
        _ => KeptRecordError::Unreadable {
            path: path.clone(),
            source,
        },
    })?;
    let refused = |error: serde_json::Error| {
        if error.is_eof() {
            KeptRecordError::CutOff {
                path: path.clone(),
                line: error.line(),
            }
        } else {
            KeptRecordError::Foreign {
                path: path.clone(),
                command,
                why: error.to_string(),
            }
        }
    };
    let version: Version = serde_json::from_slice(&text).map_err(refused)?;
    if version.schema_version > known {
        return Err(KeptRecordError::Newer {
            path,
            found: version.schema_version,
            known,
        });
    }
    serde_json::from_slice(&text).map_err(refused)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{KeptRecordError, load_run};

    fn error_of(content: &str) -> KeptRecordError {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.json"), content).unwrap();
        load_run(folder.path()).expect_err("it is no record")
    }

    #[test]
    fn a_record_that_is_missing_foreign_newer_or_cut_off_is_called_so() {
        let run = include_str!("../schema/testdata/run-one-model.json");
        let folder = tempfile::tempdir().unwrap();
        let missing = load_run(folder.path()).expect_err("nothing is there");
        assert!(matches!(missing, KeptRecordError::Missing { .. }));
        assert!(missing.to_string().contains("run.json"), "{missing}");
        for end in [0, 100, run.len() / 2, run.trim_end().len() - 1] {
            let cut = error_of(&run[..end]);
            assert!(
                matches!(cut, KeptRecordError::CutOff { .. }),
                "{end}: {cut}"
            );
        }
        for foreign in [
            "[1, 2]",
            "{}",
            "text",
            r#"{"schema_version": 1, "files": []}"#,
        ] {
            let error = error_of(foreign);
            assert!(
                matches!(error, KeptRecordError::Foreign { .. }),
                "{foreign}: {error}"
            );
        }
        let newer = error_of(r#"{"schema_version": 9000}"#);
        assert!(matches!(newer, KeptRecordError::Newer { found: 9000, .. }));
        fs::write(folder.path().join("run.json"), run).unwrap();
        assert!(load_run(folder.path()).is_ok());
        assert!(load_run(&folder.path().join("run.json")).is_ok());
    }
}
