//! Samples of blktrace's binary files, with the text that blkparse makes of the same recording.

use std::{path::Path, time::Duration};

use anyhow::{Result, bail};

use super::{
    guest::{job::Job, machine::Settings, programs},
    prepared::{Prepared, prepare},
    series::Series,
};
use crate::progress;

/// What is recorded.
const SCRIPT: &str = include_str!("recordings.sh");

/// Longest that all recordings on one kernel may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Records on each kernel, into a folder of its release.
///
/// # Errors
/// A kernel cannot be had or started, or a recording fails.
pub fn record(kernels: &[Series], out: &Path) -> Result<()> {
    let prepared = prepare(kernels)?;
    for series in kernels {
        record_on(&prepared, *series, out)?;
    }
    Ok(())
}

fn record_on(prepared: &Prepared, series: Series, out: &Path) -> Result<()> {
    progress::say(&format!("recording on {series}"));
    let settings = Settings {
        limit: Some(LIMIT),
        out: Some(out.to_owned()),
    };
    let programs = programs::collect(&prepared.folder, series.architecture)?;
    let job = Job::of(["sh", "-c", SCRIPT]);
    match prepared.run(series, &programs, &job, &settings)? {
        0 => Ok(()),
        status => bail!("the recordings on {series} ended with {status}"),
    }
}
