//! The service's folder, which is all that it remembers.
//!
//! ```text
//! host=H/date=D/run=065507Z-4711/        a window: run.json, report.md, report.html, tracer.log, watch.json
//! host=H/date=D/recording=070102Z-4711/  a recording: the same with recording/ and setup.json
//! host=H/date=D/.run=…, .recording=…     one that is open
//! .watch/lock                            one service at a time
//! .watch/4711.sock                       where the window of an engine serves its figures
//! ```
//!
//! A window is made under a name that begins with a dot, and gets its own when its record is whole. What a killed service
//! left is looked at when the next one starts: what has a record gets its name, what has none goes.

use std::{
    fs::{self, DirBuilder, File},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use nix::sys::statvfs::statvfs;

use crate::{
    output::{FolderLock, RECORD, write_whole_file},
    process::Caller,
    schema::{RunRecord, WatchedWindowRecord},
};

use super::engine::EngineKey;

/// What is known of a window beyond its run.
const WINDOW_FILE: &str = "watch.json";
const LOCK_FILE: &str = "lock";
const OWN_FOLDER: &str = ".watch";
/// Which a recording begins with.
const SETUP_FILE: &str = "setup.json";

/// No window is begun with less than this left: its record would not find room.
pub const LEAST_FREE_BYTES: u64 = 32 << 20;

/// Longest path of a socket, bytes.
const LONGEST_SOCKET: usize = 107;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Window,
    Recording,
}

impl Kind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Window => "run=",
            Self::Recording => "recording=",
        }
    }
}

/// When an engine's last window ended, and how many it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    pub ended_at: SystemTime,
    pub windows: u64,
}

/// What was found of a service that was killed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// They have a record, and have their names now.
    pub kept: Vec<PathBuf>,
    /// They had none.
    pub lost: Vec<PathBuf>,
}

/// The folder, held by this process.
#[derive(Debug)]
pub struct WatchFolder {
    directory: PathBuf,
    host: String,
    caller: Caller,
    lock: FolderLock,
}

impl WatchFolder {
    /// Makes the folder where it is not there, and takes it.
    ///
    /// # Errors
    /// It cannot be written, another service has it, or its path is too long for a socket.
    pub fn take(directory: &Path) -> anyhow::Result<Self> {
        let caller = Caller::of_this_process()?;
        let make = |path: &Path| -> anyhow::Result<()> {
            let mut maker = DirBuilder::new();
            // Paths and command lines are in it.
            maker.mode(0o700);
            match maker.create(path) {
                Ok(()) => Ok(caller.give_path(path)?),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error).with_context(|| {
                    format!(
                        "cannot make the folder {}; choose another with --out",
                        path.display()
                    )
                }),
            }
        };
        if let Some(above) = directory.parent()
            && !above.as_os_str().is_empty()
        {
            fs::create_dir_all(above)
                .with_context(|| format!("cannot make the folder {}", above.display()))?;
        }
        make(directory)?;
        let directory = directory
            .canonicalize()
            .with_context(|| format!("cannot enter {}", directory.display()))?;
        let own = directory.join(OWN_FOLDER);
        make(&own)?;
        let longest = own.join("4194304.sock");
        if longest.as_os_str().len() > LONGEST_SOCKET {
            bail!(
                "the path {} is too long: sockets are made in it, whose paths have at most {LONGEST_SOCKET} bytes; choose a shorter one with --out",
                directory.display()
            );
        }
        let lock = FolderLock::take(&own, LOCK_FILE, &caller)?;
        // Of runs that were killed with the service.
        for entry in fs::read_dir(&own).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|kind| kind == "sock") {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self {
            directory,
            host: host_name(),
            caller,
            lock,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.directory
    }

    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The lock as the standard input of a run: so the next service waits for it where this one is killed.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn input(&self) -> anyhow::Result<Stdio> {
        self.lock.as_input().context("no descriptor is left")
    }

    /// Where the window of an engine serves its figures.
    #[must_use]
    pub fn socket(&self, engine: EngineKey) -> PathBuf {
        let name = format!("{}.sock", engine.pid);
        self.directory.join(OWN_FOLDER).join(name)
    }

    /// Bytes that are left for us.
    ///
    /// # Errors
    /// The folder is gone.
    pub fn free_bytes(&self) -> anyhow::Result<u64> {
        let free = statvfs(&self.directory)
            .with_context(|| format!("cannot look at {}", self.directory.display()))?;
        Ok(free.blocks_available().saturating_mul(free.fragment_size()))
    }

    /// A folder for what begins now, under its hidden name.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(
        &self,
        kind: Kind,
        engine: EngineKey,
        now: SystemTime,
        record: &WatchedWindowRecord,
    ) -> anyhow::Result<PathBuf> {
        let time = humantime::format_rfc3339_seconds(now).to_string();
        let (date, time) = time.split_once('T').context("a time has a date")?;
        let day = self
            .directory
            .join(format!("host={}", self.host))
            .join(format!("date={date}"));
        fs::create_dir_all(&day).with_context(|| format!("cannot make {}", day.display()))?;
        let name = format!("{}{}-{}", kind.prefix(), time.replace(':', ""), engine.pid);
        let mut chosen = name.clone();
        for number in 2.. {
            let hidden = day.join(format!(".{chosen}"));
            if !day.join(&chosen).exists() {
                match DirBuilder::new().mode(0o700).create(&hidden) {
                    Ok(()) => {
                        self.caller.give_path(&hidden)?;
                        self.note(&hidden, record)?;
                        return Ok(hidden);
                    }
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    Err(error) => {
                        return Err(error)
                            .with_context(|| format!("cannot make {}", hidden.display()));
                    }
                }
            }
            chosen = format!("{name}-{number}");
        }
        bail!("no name is left for a window")
    }

    /// Writes what is known of it beyond its run.
    ///
    /// # Errors
    /// A full disk.
    pub fn note(&self, folder: &Path, record: &WatchedWindowRecord) -> anyhow::Result<()> {
        let path = folder.join(WINDOW_FILE);
        let mut json = serde_json::to_vec_pretty(record)?;
        json.push(b'\n');
        write_whole_file(&path, &json, &self.caller)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Gives it its name: it is whole.
    ///
    /// # Errors
    /// A full disk, a folder that went away.
    pub fn publish(&self, hidden: &Path) -> anyhow::Result<PathBuf> {
        let name = hidden.file_name().unwrap_or_default().to_string_lossy();
        let named = hidden.with_file_name(name.strip_prefix('.').unwrap_or(&name));
        fs::rename(hidden, &named)
            .with_context(|| format!("cannot give {} its name", hidden.display()))?;
        if let Some(day) = named.parent() {
            File::open(day).and_then(|day| day.sync_all())?;
        }
        Ok(named)
    }

    /// Puts away what a service that was killed left.
    ///
    /// # Errors
    /// The folder cannot be listed or changed.
    pub fn put_leftovers_away(&self) -> anyhow::Result<Leftovers> {
        let mut leftovers = Leftovers::default();
        for path in
            self.windows(|name| name.starts_with(".run=") || name.starts_with(".recording="))?
        {
            let noted = read_note(&path);
            let run = read_run(&path);
            if run.is_none() && !path.join(SETUP_FILE).exists() {
                fs::remove_dir_all(&path)
                    .with_context(|| format!("cannot remove {}", path.display()))?;
                leftovers.lost.push(path);
                continue;
            }
            if let Some(mut record) = noted {
                record.ended_at = run.as_ref().and_then(end_of).map(shown);
                record.ended = Some("the service was killed".to_owned());
                self.note(&path, &record)?;
            }
            leftovers.kept.push(self.publish(&path)?);
        }
        Ok(leftovers)
    }

    /// What earlier services know of an engine: its last window.
    #[must_use]
    pub fn before(&self, engine: EngineKey, boot_id: &str) -> Option<Before> {
        let suffix = format!("-{}", engine.pid);
        let named = |name: &str| name.starts_with("run=") && name.contains(&suffix);
        let windows = self.windows(named).unwrap_or_default();
        windows
            .iter()
            .filter_map(|path| read_note(path))
            .filter(|record| {
                record.engine.pid == engine.pid
                    && record.engine.start_time_ticks == engine.start_time_ticks
                    && record.engine.boot_id == boot_id
            })
            .filter_map(|record| {
                Some(Before {
                    ended_at: humantime::parse_rfc3339(record.ended_at.as_deref()?).ok()?,
                    windows: record.window?,
                })
            })
            .max_by_key(|before| before.windows)
    }

    /// Folders of this host by their names.
    fn windows(&self, named: impl Fn(&str) -> bool) -> anyhow::Result<Vec<PathBuf>> {
        let host = self.directory.join(format!("host={}", self.host));
        let mut found = Vec::new();
        for day in listed(&host)? {
            if day.is_dir() {
                found.extend(listed(&day)?.into_iter().filter(|path| {
                    let name = path.file_name().unwrap_or_default();
                    named(&name.to_string_lossy())
                }));
            }
        }
        Ok(found)
    }
}

fn listed(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot list {}", folder.display()))?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

fn read_note(folder: &Path) -> Option<WatchedWindowRecord> {
    serde_json::from_slice(&fs::read(folder.join(WINDOW_FILE)).ok()?).ok()
}

/// The record of a run that is whole.
#[must_use]
pub fn read_run(folder: &Path) -> Option<RunRecord> {
    serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()
}

/// When counting began.
#[must_use]
pub fn start_of(run: &RunRecord) -> Option<SystemTime> {
    humantime::parse_rfc3339(&run.started_at).ok()
}

/// When counting ended.
#[must_use]
pub fn end_of(run: &RunRecord) -> Option<SystemTime> {
    let length = Duration::try_from_secs_f64(run.time.wall_s).ok()?;
    start_of(run)?.checked_add(length)
}

/// RFC 3339 in UTC.
#[must_use]
pub fn shown(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// The machine's name, as a part of a path.
fn host_name() -> String {
    let name = nix::unistd::gethostname().unwrap_or_default();
    let name: String = name
        .to_string_lossy()
        .chars()
        .map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => letter,
            _ => '_',
        })
        .collect();
    if name.is_empty() {
        "unnamed".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::SystemTime};

    use crate::schema::{WatchedEngineRecord, WatchedWindowRecord};

    use super::{EngineKey, Kind, WatchFolder};

    const ENGINE: EngineKey = EngineKey {
        start_time_ticks: 77,
        pid: 4711,
    };

    fn record(window: u64, ended_at: Option<&str>) -> WatchedWindowRecord {
        WatchedWindowRecord {
            engine: WatchedEngineRecord {
                pid: ENGINE.pid,
                start_time_ticks: ENGINE.start_time_ticks,
                boot_id: "boot".to_owned(),
                ..WatchedEngineRecord::default()
            },
            window: Some(window),
            ended_at: ended_at.map(str::to_owned),
            ..WatchedWindowRecord::default()
        }
    }

    #[test]
    fn what_was_left_without_a_record_goes_and_what_has_one_stays() {
        let scratch = tempfile::tempdir().expect("scratch");
        let folder = WatchFolder::take(scratch.path()).expect("free");
        let now = SystemTime::UNIX_EPOCH;
        let begin = |window| {
            folder
                .begin(Kind::Window, ENGINE, now, &record(window, None))
                .expect("made")
        };
        let (whole, half) = (begin(1), begin(2));
        assert_ne!(whole, half, "two windows of one second");
        let run = include_str!("../schema/testdata/run-one-model.json");
        fs::write(whole.join("run.json"), run).expect("written");
        fs::write(half.join("run.json"), &run[..run.len() / 2]).expect("written");
        let left = folder.put_leftovers_away().expect("put away");
        assert_eq!((left.kept.len(), left.lost), (1, vec![half.clone()]));
        assert!(!half.exists() && !whole.exists() && left.kept[0].join("run.json").exists());
        let noted = super::read_note(&left.kept[0]).expect("a note");
        assert_eq!(noted.ended.as_deref(), Some("the service was killed"));
        assert!(noted.ended_at.is_some(), "{noted:?}");
        assert_eq!(
            folder.put_leftovers_away().expect("again"),
            super::Leftovers::default()
        );
    }

    #[test]
    fn the_last_window_of_just_this_engine_is_found() {
        let scratch = tempfile::tempdir().expect("scratch");
        let folder = WatchFolder::take(scratch.path()).expect("free");
        let times = ["2026-01-01T00:00:10Z", "2026-01-01T00:00:20Z"];
        for (window, time) in (1..).zip(times) {
            let note = record(window, Some(time));
            let made = folder.begin(Kind::Window, ENGINE, SystemTime::now(), &note);
            folder.publish(&made.expect("made")).expect("published");
        }
        let before = folder.before(ENGINE, "boot").expect("it was there");
        assert_eq!(before.windows, 2);
        let last = humantime::parse_rfc3339(times[1]).expect("a time");
        assert_eq!(before.ended_at, last);
        assert_eq!(folder.before(ENGINE, "another boot"), None);
        let later = EngineKey {
            start_time_ticks: 78,
            ..ENGINE
        };
        assert_eq!(folder.before(later, "boot"), None);
    }

    #[test]
    fn one_service_has_a_folder() {
        let scratch = tempfile::tempdir().expect("scratch");
        let _first = WatchFolder::take(scratch.path()).expect("free");
        let error = WatchFolder::take(scratch.path()).expect_err("taken");
        assert!(error.to_string().contains("is at work"), "{error:#}");
    }
}
