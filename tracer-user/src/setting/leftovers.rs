//! What is changed at the moment, noted on disk: for the case that the keeper itself is killed.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

/// Name of the hidden subcommand that runs [`super::keeper_main`], and of its process (at most 15 bytes).
pub const KEEPER_SUBCOMMAND: &str = "settings-keeper";

/// Gone after a reboot, as the settings are.
const NOTES: &str = "/run/tracer-settings";

/// A setting that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changed {
    /// The file of the kernel that holds it.
    pub path: PathBuf,
    /// What it was.
    pub before: String,
    /// What it was set to.
    pub set: String,
    /// It is not ours, but another setting that is moves it: it gets its value back whatever it is then.
    #[serde(default)]
    pub moved_along: bool,
}

/// What became of a setting at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PutBack {
    Done,
    /// Somebody else has changed it meanwhile, and it was left so.
    ChangedByOthers(String),
}

impl Changed {
    /// Sets `path`.
    pub fn set(path: &Path, value: &str) -> io::Result<Self> {
        let before = read(path)?;
        fs::write(path, value)?;
        let changed = Self {
            path: path.to_owned(),
            before,
            // The kernel rounds: what it says is what is ours.
            set: read(path)?,
            moved_along: false,
        };
        Ok(changed)
    }

    /// What goes with `path`, before that is set: a new scheduler gives a queue another number of requests.
    fn moved_along_with(path: &Path) -> io::Result<Option<Self>> {
        if !is_scheduler(path) {
            return Ok(None);
        }
        let path = path.with_file_name("nr_requests");
        let before = read(&path)?;
        Ok(Some(Self {
            set: before.clone(),
            path,
            before,
            moved_along: true,
        }))
    }

    pub fn put_back(&self) -> io::Result<PutBack> {
        let now = read(&self.path)?;
        if self.moved_along && now == self.before {
            return Ok(PutBack::Done);
        }
        if now != self.set && !self.moved_along {
            return Ok(PutBack::ChangedByOthers(now));
        }
        fs::write(&self.path, &self.before)?;
        Ok(PutBack::Done)
    }
}

fn is_scheduler(path: &Path) -> bool {
    path.ends_with("queue/scheduler")
}

/// The value that a file of the kernel has. A scheduler's names all that there are, and the one in use in brackets.
fn read(path: &Path) -> io::Result<String> {
    let text = fs::read_to_string(path)?;
    let in_use = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    Ok(match in_use {
        Some(name) if is_scheduler(path) => name.to_owned(),
        _ => text.trim().to_owned(),
    })
}

/// The note of a keeper.
#[derive(Debug)]
pub(super) struct Note {
    path: PathBuf,
}

impl Note {
    /// Of this process.
    pub fn of_this_process() -> io::Result<Self> {
        Self::below(Path::new(NOTES))
    }

    fn below(folder: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Self {
            path: folder.join(format!("{}.json", std::process::id())),
        })
    }

    fn write(&self, changed: &[Changed]) -> io::Result<()> {
        let partial = self.path.with_extension("partial");
        fs::write(&partial, serde_json::to_vec(changed)?)?;
        fs::rename(partial, &self.path)
    }

    /// Changes a setting and notes it, unless another keeper that lives has changed it: then neither would know what to put
    /// back. Keepers take turns.
    pub fn change(
        &self,
        path: &Path,
        value: &str,
        changed: &mut Vec<Changed>,
        is_alive: impl Fn(&str) -> bool,
    ) -> Result<String, String> {
        let in_words = |error: io::Error| error.to_string();
        let turn = File::create(self.path.with_file_name("turn")).map_err(in_words)?;
        let _turn = Flock::lock(turn, FlockArg::LockExclusive)
            .map_err(|(_, error)| format!("cannot wait for others: {error}"))?;
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        for (pid, note) in notes(folder) {
            if note != self.path
                && is_alive(&pid)
                && read_note(&note).iter().any(|of| of.path == path)
            {
                return Err(format!(
                    "another run of the tracer holds it (its process {pid}); wait for its end"
                ));
            }
        }
        // Noted first: where this process is killed in between, what it changed is known.
        let before = read(path).map_err(in_words)?;
        changed.extend(Changed::moved_along_with(path).map_err(in_words)?);
        changed.push(Changed {
            path: path.to_owned(),
            before: before.clone(),
            set: value.to_owned(),
            moved_along: false,
        });
        let made = self
            .write(changed)
            .map_err(|error| format!("cannot note what is changed: {error}"))
            .and_then(|()| Changed::set(path, value).map_err(in_words));
        changed.pop();
        changed.push(made?);
        Ok(before)
    }

    pub fn remove(&self) {
        // Where it stays, the next keeper finds nothing of it to put back.
        let _ = fs::remove_file(&self.path);
    }
}

/// Puts back what keepers that are dead have left changed; says what it did.
#[must_use]
pub fn put_back_leftovers() -> Vec<String> {
    below(Path::new(NOTES), is_alive)
}

/// Whether the process of this number is a keeper: numbers are used again, and one that has ended and that nobody has waited
/// for still has a name, but no program.
pub(super) fn is_alive(pid: &str) -> bool {
    let process = Path::new("/proc").join(pid);
    process.join("exe").exists()
        && read(&process.join("comm")).is_ok_and(|name| name == KEEPER_SUBCOMMAND)
}

/// All notes, each with the number of its process.
fn notes(folder: &Path) -> Vec<(String, PathBuf)> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let pid = path
                .file_name()?
                .to_str()?
                .strip_suffix(".json")?
                .to_owned();
            Some((pid, path))
        })
        .collect()
}

/// What a note says; one that cannot be read says nothing.
fn read_note(path: &Path) -> Vec<Changed> {
    fs::read(path)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

fn below(folder: &Path, is_alive: impl Fn(&str) -> bool) -> Vec<String> {
    let mut said = Vec::new();
    for (pid, path) in notes(folder) {
        if is_alive(&pid) {
            continue;
        }
        for changed in read_note(&path).iter().rev() {
            match changed.put_back() {
                Ok(PutBack::Done) => said.push(format!(
                    "{} was still {}, set by a tracer that was killed; it is {} again",
                    changed.path.display(),
                    changed.set,
                    changed.before
                )),
                // It is no longer ours, or its device is gone.
                Ok(PutBack::ChangedByOthers(_)) | Err(_) => {}
            }
        }
        let _ = fs::remove_file(&path);
    }
    said
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Changed, Note, PutBack, below};

    #[test]
    fn what_a_dead_keeper_has_changed_is_put_back_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let (setting, other) = (folder.path().join("setting"), folder.path().join("other"));
        fs::write(&setting, "128\n").expect("written");
        fs::write(&other, "1\n").expect("written");
        let notes = folder.path().join("notes");
        let note = Note::below(&notes).expect("a note");
        let changed = [
            Changed::set(&setting, "32").expect("set"),
            Changed::set(&other, "2").expect("set"),
        ];
        note.write(&changed).expect("noted");
        fs::write(&other, "3").expect("changed by somebody else");
        assert!(below(&notes, |_| true).is_empty(), "its keeper lives");
        let said = below(&notes, |_| false);
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(fs::read_to_string(&setting).expect("read"), "128");
        assert_eq!(fs::read_to_string(&other).expect("read"), "3");
        assert!(below(&notes, |_| false).is_empty());
    }

    #[test]
    fn what_another_keeper_holds_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let setting = folder.path().join("setting");
        fs::write(&setting, "128\n").expect("written");
        let notes = folder.path().join("notes");
        let mut own = Vec::new();
        let note = Note::below(&notes).expect("a note");
        assert_eq!(
            note.change(&setting, "32", &mut own, |_| true),
            Ok("128".into())
        );
        // The same keeper may change it again.
        assert_eq!(
            note.change(&setting, "16", &mut own, |_| true),
            Ok("32".into())
        );
        let other = Note {
            path: notes.join("1.json"),
        };
        let refused = other.change(&setting, "64", &mut Vec::new(), |_| true);
        assert!(refused.is_err_and(|reason| reason.contains("another run")));
        assert_eq!(fs::read_to_string(&setting).expect("read"), "16");
        // One that is dead holds nothing.
        let taken = other.change(&setting, "64", &mut Vec::new(), |_| false);
        assert_eq!(taken, Ok("16".into()));
    }

    #[test]
    fn a_scheduler_is_put_back_with_the_number_of_requests_that_it_moves() {
        let folder = tempfile::tempdir().expect("a folder");
        let queue = folder.path().join("queue");
        fs::create_dir(&queue).expect("made");
        let (scheduler, requests) = (queue.join("scheduler"), queue.join("nr_requests"));
        fs::write(&scheduler, "none [mq-deadline] bfq\n").expect("written");
        fs::write(&requests, "64\n").expect("written");
        let note = Note::below(&folder.path().join("notes")).expect("a note");
        let mut own = Vec::new();
        assert_eq!(
            note.change(&scheduler, "bfq", &mut own, |_| true),
            Ok("mq-deadline".into())
        );
        // As the kernel does it.
        fs::write(&scheduler, "none mq-deadline [bfq]\n").expect("written");
        own.last_mut().expect("changed").set = "bfq".into();
        fs::write(&requests, "256\n").expect("written");
        for changed in own.iter().rev() {
            assert_eq!(changed.put_back().expect("looked at"), PutBack::Done);
        }
        assert_eq!(fs::read_to_string(&scheduler).expect("read"), "mq-deadline");
        assert_eq!(fs::read_to_string(&requests).expect("read"), "64");
    }

    #[test]
    fn what_others_changed_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let setting = folder.path().join("setting");
        fs::write(&setting, "128\n").expect("written");
        let changed = Changed::set(&setting, "32").expect("set");
        assert_eq!(
            (changed.before.as_str(), changed.set.as_str()),
            ("128", "32")
        );
        fs::write(&setting, "64").expect("written");
        assert_eq!(
            changed.put_back().expect("looked at"),
            PutBack::ChangedByOthers("64".into())
        );
        fs::write(&setting, "32").expect("written");
        assert_eq!(changed.put_back().expect("looked at"), PutBack::Done);
        assert_eq!(fs::read_to_string(&setting).expect("read"), "128");
    }
}
