//! One run of an experiment: what is before it, the attempt, and what is made of what it left.

use std::{fs::File, io, path::Path, time::SystemTime};

use anyhow::Context as _;

use crate::{
    finished_run::page_of,
    output::{FolderLock, write_whole_file},
    process::{EngineLogParser, EngineTimings, OutputStream, SignalWatch},
    report,
    schema::{EngineRecord, ExperimentRunRecord, RunRecord},
};

use super::{
    attempt::Attempt,
    cells::PlannedRun,
    disk::{
        folder::{ExperimentFolder, Outcome, PAGE_FILE, REPORT_FILE, RUN_FILE, run_record},
        full::DiskFull,
        identity::ModelIdentity,
        manifest::Manifest,
    },
    invocation::{engine_command, launch_arguments},
    plan::{Adapter, ColdStart, Plan},
    server::{Answer, Request, free_port},
    verdict::{failed_for_lack_of_space, read_log, verdict},
    work::{keep_answer, tokens_per_s, work},
};

/// A run that failed with less than this left on the disk may have failed for it, and is made again.
const LEAST_FREE_BYTES: u64 = 1 << 20;

/// What all runs of a session share.
pub struct OneRun<'a> {
    pub folder: &'a ExperimentFolder,
    pub lock: &'a FolderLock,
    pub plan: &'a Plan,
    pub manifest: &'a Manifest,
    /// Signals to this session.
    pub signals: &'a SignalWatch,
}

impl OneRun<'_> {
    /// Makes it, as far as the rename of its folder. `None`: a signal came.
    ///
    /// # Errors
    /// [`DiskFull`]; whatever keeps the experiment from going on. What is left in the partial folder is to be removed.
    pub fn make(&self, run: &PlannedRun) -> anyhow::Result<Option<(Outcome, Option<RunRecord>)>> {
        let model = self.manifest.model(&run.cell)?;
        model.verify(false)?;
        let directory = self.folder.begin_run(run)?;
        if self.plan.cold_start == ColdStart::Warm {
            warm_up(model)?;
        }
        let port = match self.plan.engine.adapter {
            Adapter::LlamaServer => Some(free_port()?),
            _ => None,
        };
        let tracer = std::env::current_exe().context("cannot find the tracer's own program")?;
        let engine = engine_command(
            self.plan,
            run,
            &model.path,
            port,
            &tracer,
            &self.manifest.plan_directory,
        )?;
        let arguments = launch_arguments(self.plan, run, model, &directory, &engine);
        let began_at = now();
        let ended = Attempt {
            arguments: &arguments,
            working_directory: &self.manifest.plan_directory,
            directory: &directory,
            time_limit: self.plan.time_limit,
            request: port.map(|port| self.request(run, port)).transpose()?,
        }
        .make(self.lock, self.signals)?;
        if ended.interrupted {
            return Ok(None);
        }
        let mut record = run_record(&directory)?;
        let log = read_log(&directory).context("cannot read the run's log")?;
        let (outcome, failure) = verdict(
            self.plan.engine.adapter,
            &ended,
            record.as_ref(),
            &log,
            self.plan.time_limit,
        );
        // The log itself may have found no room to say so.
        let is_full = || -> io::Result<bool> {
            Ok(failure.is_some() && self.folder.free_bytes()? < LEAST_FREE_BYTES)
        };
        if failed_for_lack_of_space(record.as_ref(), &log)
            || is_full().context("cannot look at the disk")?
        {
            return Err(DiskFull {
                directory: self.folder.path().to_owned(),
            }
            .into());
        }
        let answer = ended
            .answer
            .as_ref()
            .and_then(|answer| answer.as_ref().ok());
        if let Some(answer) = answer {
            keep_answer(answer, &directory).context("cannot keep the server's answer")?;
        }
        if let Some(record) = &mut record {
            self.add_rates(record, &directory, answer)?;
        }
        let work = work(&self.plan.engine, &directory, record.as_ref(), answer)
            .context("cannot read the engine's output")?;
        let outcome = Outcome {
            plan_digest: self.manifest.plan_digest.clone(),
            kernel: self.manifest.software.kernel.clone(),
            tracer_version: self.manifest.software.tracer_version.clone(),
            began_at,
            wall_s: ended.wall.as_secs_f64(),
            run: ExperimentRunRecord {
                outcome,
                failure,
                work: Some(work),
                ..run.record()
            },
        };
        self.folder.complete_run(run, &outcome)?;
        Ok(Some((outcome, record)))
    }

    fn request(&self, run: &PlannedRun, port: u16) -> anyhow::Result<Request> {
        let value = |name: &str| {
            run.cell
                .get(name)
                .with_context(|| format!("the run has no {name}: the manifest was changed"))
        };
        let own = |name: &str| run.cell.get(name).and_then(|value| value.parse().ok());
        Ok(Request {
            port,
            prompt: value("prompt")?.clone(),
            tokens: value("tokens")?.parse().context("no number of tokens")?,
            temperature: own("temperature")
                .or(self.plan.engine.temperature)
                .unwrap_or_default(),
            seed: run
                .cell
                .get("seed")
                .and_then(|seed| seed.parse().ok())
                .or(self.plan.engine.seed)
                .unwrap_or_default(),
        })
    }

    /// Tokens per second that only the plan or the server's answer tells go into the run's record and report.
    fn add_rates(
        &self,
        record: &mut RunRecord,
        directory: &Path,
        answer: Option<&Answer>,
    ) -> anyhow::Result<()> {
        if let Some(pattern) = &self.plan.engine.tokens_per_s {
            match tokens_per_s(pattern, directory).context("cannot read the engine's output")? {
                Some(rate) => {
                    record.engine = EngineRecord {
                        source: Some("plan".to_owned()),
                        tokens_per_s: Some(rate),
                        // Its other figures belong to a rate that the plan does not want.
                        load_end_s: record.engine.load_end_s,
                        load_end_mark: record.engine.load_end_mark.take(),
                        buffers: std::mem::take(&mut record.engine.buffers),
                        ..EngineRecord::default()
                    };
                }
                None => record.notes.push(format!(
                    "the plan's expression for tokens per second, {pattern:?}, matches nothing in the engine's output"
                )),
            }
        } else if let Some(timings) = answer
            .filter(|_| record.engine.tokens_per_s.is_none())
            .and_then(timings_of)
        {
            record.engine.source = Some("json".to_owned());
            record.engine.tokens_per_s = timings.tokens_per_second;
            record.engine.prompt_s = timings.prompt_seconds;
            record.engine.prompt_tokens = timings.prompt_tokens;
            record.engine.prompt_tokens_per_s = timings.prompt_tokens_per_second;
            record.engine.eval_s = timings.eval_seconds;
            record.engine.eval_tokens = timings.eval_tokens;
        } else {
            return Ok(());
        }
        let mut json =
            serde_json::to_vec_pretty(record).context("cannot write the record as JSON")?;
        json.push(b'\n');
        for (name, content) in [
            (REPORT_FILE, report::markdown(record).as_bytes()),
            (RUN_FILE, json.as_slice()),
            (PAGE_FILE, page_of(record, directory).as_bytes()),
        ] {
            let path = directory.join(name);
            write_whole_file(&path, content, self.folder.caller())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// This moment, RFC 3339 in UTC.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// What the server's answer says of its time, read like its log.
fn timings_of(answer: &Answer) -> Option<EngineTimings> {
    let line = serde_json::to_vec(answer.whole.get("timings")?).ok()?;
    let mut parser = EngineLogParser::new();
    parser.line(OutputStream::Stdout, &line);
    parser.line(OutputStream::Stdout, b"");
    parser.timings()
}

/// Reads a model into the page cache, as far as it fits.
fn warm_up(model: &ModelIdentity) -> anyhow::Result<()> {
    for file in &model.files {
        File::open(&file.path)
            .and_then(|mut open| io::copy(&mut open, &mut io::sink()))
            .with_context(|| format!("cannot read {}", file.path.display()))?;
    }
    Ok(())
}
