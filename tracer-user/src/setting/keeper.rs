//! The process that changes settings and puts them back.

use std::{
    io::{self, BufRead as _, Write as _},
    path::Path,
};

use nix::sys::signal::{SigHandler, Signal, signal};

use super::leftovers::{Changed, KEEPER_SUBCOMMAND, Note, PutBack, is_alive};

/// Settings that may be changed lie here.
const KERNEL_FILES: &str = "/sys/";

/// What the hidden subcommand does: for each line `VALUE<tab>PATH` on standard input it sets a file of the kernel, and
/// answers `was VALUE` or `failed REASON`. When standard input ends, it puts all back, and says `left REASON` of what it
/// could not put back.
pub fn keeper_main() -> i32 {
    // A signal to all of the tracer's processes is none to leave the machine as it is.
    for ignored in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGPIPE,
    ] {
        // SAFETY: no handler is installed.
        let _ = unsafe { signal(ignored, SigHandler::SigIgn) };
    }
    // So that `pkill tracer` does not mean it.
    let _ = std::fs::write("/proc/self/comm", KEEPER_SUBCOMMAND);
    let mut changed = Vec::new();
    let note = Note::of_this_process();
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match &note {
            Ok(note) => change(&line, &mut changed, note),
            Err(error) => Err(format!("cannot note what is changed: {error}")),
        };
        say(&match answer {
            Ok(before) => format!("was {before}"),
            Err(reason) => format!("failed {}", reason.replace('\n', " ")),
        });
    }
    let mut status = 0;
    for setting in changed.iter().rev() {
        let reason = match setting.put_back() {
            Ok(PutBack::Done) => continue,
            Ok(PutBack::ChangedByOthers(now)) => format!(
                "{} is {now}: somebody else has changed it since it was set to {}",
                setting.path.display(),
                setting.set
            ),
            Err(error) => format!(
                "{} cannot be set to {} again: {error}",
                setting.path.display(),
                setting.before
            ),
        };
        say(&format!("left {reason}"));
        status = 1;
    }
    if let Ok(note) = note {
        note.remove();
    }
    status
}

fn change(line: &str, changed: &mut Vec<Changed>, note: &Note) -> Result<String, String> {
    let (value, path) = line.split_once('\t').ok_or("no setting")?;
    if !path.starts_with(KERNEL_FILES) {
        return Err(format!("{path} is no file of the kernel"));
    }
    note.change(Path::new(path), value, changed, is_alive)
}

fn say(line: &str) {
    // Where nobody listens any more, nobody is to be told.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
