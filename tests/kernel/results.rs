//! How each test went, for another program to read.

use std::{
    fs::File,
    io::Write as _,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context as _, Result};
use libtest_mimic::{Completion, Failed};
use tests::case_result::{CaseResult, Outcome};

/// Where the lines go, if anywhere.
#[derive(Debug)]
pub struct Results(Option<Mutex<File>>);

impl Results {
    /// To the file that the environment names, behind what is in it.
    pub fn from_environment() -> Result<Self> {
        let Some(path) = std::env::var_os("TRACER_TESTS_RESULTS") else {
            return Ok(Self(None));
        };
        let file = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .with_context(|| format!("cannot write TRACER_TESTS_RESULTS, {}", path.display()))?;
        Ok(Self(Some(Mutex::new(file))))
    }

    /// Runs a test, with a line before and a line behind.
    pub fn of(
        &self,
        name: &str,
        run: impl FnOnce() -> Result<Completion, Failed>,
    ) -> Result<Completion, Failed> {
        let mut result = CaseResult {
            name: name.to_owned(),
            outcome: Outcome::Started,
            reason: None,
            seconds: None,
        };
        self.write(&result)?;
        let start = Instant::now();
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        result.seconds = Some(start.elapsed().as_secs_f64());
        (result.outcome, result.reason) = match &ended {
            Ok(Ok(Completion::Completed)) => (Outcome::Passed, None),
            Ok(Ok(Completion::Ignored { reason })) => (Outcome::Skipped, reason.clone()),
            Ok(Err(failed)) => (Outcome::Failed, failed.message().map(str::to_owned)),
            Err(_) => (Outcome::Failed, Some("it panicked".to_owned())),
        };
        self.write(&result)?;
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    fn write(&self, result: &CaseResult) -> Result<(), Failed> {
        let Some(file) = &self.0 else {
            return Ok(());
        };
        let line = serde_json::to_string(result)
            .map_err(|error| Failed::from(format!("cannot write its result: {error}")))?;
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // In one call: what reads the file sees whole lines.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|error| Failed::from(format!("cannot write its result: {error}")))
    }
}
