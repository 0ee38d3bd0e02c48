//! A report of a run that goes on, for whoever looks on.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::{
    output::RunDirectory,
    run::{
        assemble::{ResidencyCourse, add_dead_pages},
        redaction::redacted,
        tracing::{FinishedRun, Opened, conclude},
        watch::{engine::EngineWatch, residency_moments::residency_now},
    },
    stats::formulas::seconds,
};

impl Opened {
    /// Writes the report of the run so far into a folder of its own below the run's, and says to whoever looks on where it is.
    pub async fn report_so_far(&self, watch: &EngineWatch, mode: &str, command: &[String]) {
        let written = self.write_so_far(watch, mode, command).await;
        if let Some(onlooker) = &self.onlooker {
            onlooker
                .0
                .reported(written.map_err(|error| format!("{error:#}")));
        }
    }

    async fn write_so_far(
        &self,
        watch: &EngineWatch,
        mode: &str,
        command: &[String],
    ) -> anyhow::Result<PathBuf> {
        let window = self.window.so_far(&self.requests).await?;
        let wall_s = seconds(window.closed_nanos.saturating_sub(window.opened_nanos));
        let course = ResidencyCourse {
            load_end: watch.load_end.clone(),
            last_token: watch.last_token.clone(),
            others: watch.residency.clone(),
            after: residency_now(&self.subject),
            ..self.course.clone()
        };
        let mut record = self.record(window, watch, &course, mode, command.to_vec());
        let (said, notes) = self.log.engine(self.opened_nanos());
        record.engine = said;
        record.notes.extend(notes);
        add_dead_pages(&mut record);
        // Counted and recorded at moments that are some milliseconds apart.
        record.checks.clear();
        record.complete = false;
        record.partial = true;
        record.partial_reason = Some(format!(
            "written after {wall_s:.1} s, while the run went on: its two roads were read some milliseconds apart and are not compared"
        ));
        if self.redact {
            record = redacted(&record)?;
        }
        let folder = self.directory.path().join(format!("so-far-{wall_s:.1}s"));
        let directory = RunDirectory::create(&folder, &self.caller)?;
        let FinishedRun { write_error, .. } = conclude(record, directory, &self.caller, 0);
        match write_error {
            Some(error) => Err(error).context("cannot write the report"),
            None => Ok(folder),
        }
    }
}
