//! A window of an engine, or a recording: a `tracer attach` at work, and what becomes of what it leaves.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::{
    outward::HttpUrl,
    process::{OwnChild, describe_status},
    schema::{WATCH_SCHEMA_VERSION, WatchedEngineRecord, WatchedWindowRecord},
};

use super::{
    engine::{EngineKey, FileKey, OpenedModel, SeenEngine},
    folder::{Before, Kind, WatchFolder, end_of, read_run, shown, start_of},
};

/// What a run may take to begin, and to write its record.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the run says.
const LOG_FILE: &str = "tracer.log";
/// What its messages begin with.
const OWN_MESSAGE: &str = "tracer: ";
/// Room for records of a window that counts: marks and what is rare.
const WINDOW_RING: &str = "2M";

/// How to follow.
#[derive(Clone, Debug)]
pub struct Following<'a> {
    pub engine: &'a SeenEngine,
    /// Name in the metrics.
    pub label: &'a str,
    /// What is counted.
    pub models: Vec<&'a OpenedModel>,
    pub boot_id: &'a str,
    /// Longest time.
    pub length: Duration,
}

/// A run at work.
#[derive(Debug)]
pub struct Followed {
    pub engine: EngineKey,
    pub label: String,
    pub files: BTreeSet<FileKey>,
    pub socket: Option<PathBuf>,
    child: OwnChild,
    folder: PathBuf,
    record: WatchedWindowRecord,
    /// When it should have ended by itself, with its record written.
    over_at: Instant,
    /// Why it was told to end.
    ending: Option<(&'static str, Instant)>,
}

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    /// It lies here, and counted up to then.
    Kept {
        path: PathBuf,
        before: Option<Before>,
        /// Why `watch.json` says less than it should.
        trouble: Option<anyhow::Error>,
    },
    /// It left no record, for this reason.
    Lost(String),
}

impl Followed {
    /// Begins a window.
    ///
    /// # Errors
    /// Its folder cannot be made; no process can be made.
    pub fn window(
        folder: &WatchFolder,
        following: &Following<'_>,
        number: u64,
        serves: bool,
        engine_metrics: Option<&HttpUrl>,
    ) -> anyhow::Result<Self> {
        let mut arguments: Vec<OsString> =
            ["--detail", "counts", "--no-read-list", "--ring-buffer"]
                .map(OsString::from)
                .to_vec();
        arguments.push(WINDOW_RING.into());
        let socket = serves.then(|| folder.socket(following.engine.key));
        if let Some(socket) = &socket {
            let mut address = OsString::from("unix:");
            address.push(socket);
            arguments.extend(["--serve".into(), address]);
        }
        if let Some(url) = engine_metrics {
            arguments.extend(["--engine-metrics".into(), url.to_string().into()]);
        }
        let mut begun = Self::start(folder, Kind::Window, following, &arguments, |record| {
            record.window = Some(number);
        })?;
        begun.socket = socket;
        Ok(begun)
    }

    /// Begins a recording.
    ///
    /// # Errors
    /// As above.
    pub fn recording(
        folder: &WatchFolder,
        following: &Following<'_>,
        why: &str,
    ) -> anyhow::Result<Self> {
        let arguments = ["--detail", "events", "--record"].map(OsString::from);
        Self::start(folder, Kind::Recording, following, &arguments, |record| {
            record.recorded_since = Some(why.to_owned());
        })
    }

    fn start(
        folder: &WatchFolder,
        kind: Kind,
        following: &Following<'_>,
        more: &[OsString],
        complete: impl FnOnce(&mut WatchedWindowRecord),
    ) -> anyhow::Result<Self> {
        let engine = following.engine;
        let now = SystemTime::now();
        let mut record = WatchedWindowRecord {
            schema_version: WATCH_SCHEMA_VERSION,
            host: folder.host().to_owned(),
            engine: WatchedEngineRecord {
                name: following.label.to_owned(),
                pid: engine.key.pid,
                start_time_ticks: engine.key.start_time_ticks,
                boot_id: following.boot_id.to_owned(),
                command_line: engine.command_line.clone(),
            },
            models: following
                .models
                .iter()
                .map(|model| model.name.clone())
                .collect(),
            begun_at: shown(now),
            ..WatchedWindowRecord::default()
        };
        complete(&mut record);
        let made = folder.begin(kind, engine.key, now, &record)?;
        let started = (|| {
            let log = made.join(LOG_FILE);
            let log =
                File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
            let mut arguments: Vec<OsString> = vec![
                "attach".into(),
                "--pid".into(),
                engine.key.pid.to_string().into(),
                "--duration".into(),
                format!("{}ms", following.length.as_millis()).into(),
                "--out".into(),
                (&made).into(),
            ];
            arguments.extend_from_slice(more);
            // What it would find by itself is not named: so a file that has lost its name is counted too.
            let all = following.models.len() == engine.models.len();
            if !(all && engine.found_by_attach) {
                for path in following
                    .models
                    .iter()
                    .filter_map(|model| model.path.as_ref())
                {
                    arguments.extend(["--model".into(), path.into()]);
                }
            }
            OwnChild::start(&arguments, folder.path(), folder.input()?, log)
        })();
        let child = match started {
            Ok(child) => child,
            Err(error) => {
                let _ = fs::remove_dir_all(&made);
                return Err(error);
            }
        };
        Ok(Self {
            engine: engine.key,
            label: following.label.to_owned(),
            files: following
                .models
                .iter()
                .flat_map(|model| model.files.iter().copied())
                .collect(),
            socket: None,
            over_at: Instant::now() + following.length + PATIENCE,
            child,
            folder: made,
            record,
            ending: None,
        })
    }

    #[must_use]
    pub const fn child(&self) -> &OwnChild {
        &self.child
    }

    /// Number of the window; 0 of a recording.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.record.window.unwrap_or(0)
    }

    #[must_use]
    pub const fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    /// Tells it to end; what it has counted is kept. From a terminal's Ctrl-C it knows already.
    ///
    /// # Errors
    /// As of `kill(2)`.
    pub fn end(&mut self, why: &'static str, knows_already: bool) -> anyhow::Result<()> {
        if self.ending.is_none() {
            self.ending = Some((why, Instant::now()));
            if !knows_already {
                self.child.signal(Signal::SIGTERM)?;
            }
        }
        Ok(())
    }

    /// Ends one that is past its time, and kills one that does not come to its end.
    ///
    /// # Errors
    /// As of `kill(2)`.
    pub fn see_to_its_end(&mut self) -> anyhow::Result<()> {
        match self.ending {
            Some((_, since)) if since.elapsed() > PATIENCE => self.child.signal(Signal::SIGKILL),
            None if Instant::now() > self.over_at => {
                self.end("its time was over, and it did not end by itself", false)
            }
            _ => Ok(()),
        }
    }

    /// How it ended; None while it is at work.
    ///
    /// # Errors
    /// As of `waitpid(2)`.
    pub fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Puts away what it left. `counted_until` is when counting of its engine ended before: the end of its last window, or its
    /// start.
    ///
    /// # Errors
    /// The folder cannot be changed.
    pub fn put_away(
        mut self,
        folder: &WatchFolder,
        status: ExitStatus,
        counted_until: Option<SystemTime>,
    ) -> anyhow::Result<Outcome> {
        if let Some(socket) = &self.socket {
            // It removes its socket itself, unless it was killed.
            let _ = fs::remove_file(socket);
        }
        let Some(run) = read_run(&self.folder) else {
            // What one that was killed said last is no reason.
            let words = match status.signal() {
                Some(_) => None,
                None => last_words(&self.folder.join(LOG_FILE)),
            };
            let why = words.unwrap_or_else(|| describe_status(status));
            fs::remove_dir_all(&self.folder)
                .with_context(|| format!("cannot remove {}", self.folder.display()))?;
            return Ok(Outcome::Lost(why));
        };
        let record = &mut self.record;
        let (start, end) = (start_of(&run), end_of(&run));
        if record.window.is_some() {
            record.uncounted_before_s = counted_until
                .zip(start)
                // Clocks are set: a time before the time before is not known.
                .and_then(|(until, start)| start.duration_since(until).ok())
                .map(|time| time.as_secs_f64());
        }
        record.ended_at = end.map(shown);
        record.ended = Some(match self.ending {
            Some((why, _)) => why.to_owned(),
            None => match run.partial_reason {
                Some(why) => why,
                None => "its time was over".to_owned(),
            },
        });
        // The run is whole without it.
        let noted = folder.note(&self.folder, record);
        let path = folder.publish(&self.folder)?;
        let before = end.zip(record.window);
        Ok(Outcome::Kept {
            path,
            trouble: noted.err(),
            before: before.map(|(ended_at, windows)| Before { ended_at, windows }),
        })
    }
}

/// The last thing that a run said.
fn last_words(log: &Path) -> Option<String> {
    let text = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&text);
    text.lines()
        .rev()
        .find_map(|line| line.strip_prefix(OWN_MESSAGE))
        .map(str::to_owned)
}
