//! Whether a run ended as planned, and why not.

use std::{io, path::Path, time::Duration};

use crate::{
    process::describe_status,
    schema::{RunOutcome, RunRecord},
};

use super::{
    attempt::{Ended, LOG_FILE},
    plan::Adapter,
};

/// Words of the tracer and of the kernel for a disk without room.
const NO_SPACE: [&str; 2] = ["(os error 28)", "(os error 122)"];
/// What the tracer's messages begin with.
const OWN_MESSAGE: &str = "tracer: ";
/// So much of the engine's last words is put into a reason, characters.
const LONGEST_WORDS: usize = 400;

/// What became of a run, and why it failed where it did.
#[must_use]
pub fn verdict(
    adapter: Adapter,
    ended: &Ended,
    record: Option<&RunRecord>,
    log: &str,
    time_limit: Duration,
) -> (RunOutcome, Option<String>) {
    let failure = failure(adapter, ended, record, log, time_limit);
    let outcome = if failure.is_some() {
        RunOutcome::Failed
    } else {
        RunOutcome::Finished
    };
    (outcome, failure)
}

fn failure(
    adapter: Adapter,
    ended: &Ended,
    record: Option<&RunRecord>,
    log: &str,
    time_limit: Duration,
) -> Option<String> {
    let Some(record) = record else {
        let mut reason = if ended.time_is_over {
            over(time_limit)
        } else {
            describe_status(ended.status)
        };
        if let Some(words) = own_words(log) {
            reason.push_str(": ");
            reason.push_str(&words);
        }
        return Some(reason);
    };
    let killed = record
        .pressure
        .cgroup
        .as_ref()
        .and_then(|cgroup| cgroup.oom_kills)
        .filter(|kills| *kills > 0);
    if let Some(kills) = killed {
        return Some(format!(
            "out of memory: the kernel killed {kills} of the engine's processes in its cgroup"
        ));
    }
    if ended.time_is_over {
        return Some(over(time_limit));
    }
    if let Some(Err(reason)) = &ended.answer {
        return Some(reason.clone());
    }
    // A server is ended by us, and may let the signal do it.
    let ended_by_us = adapter == Adapter::LlamaServer
        && (record.exit.signal == Some(libc::SIGTERM)
            || record.exit.code == Some(128 + libc::SIGTERM));
    if record.exit.code != Some(0) && !ended_by_us {
        return Some(decapitalised(&record.exit.description));
    }
    if record.partial {
        return Some(
            record
                .partial_reason
                .clone()
                .unwrap_or_else(|| "the record calls itself partial".to_owned()),
        );
    }
    // The engine did well, and the tracer did not: its record could not be written whole.
    if ended.status.code() != Some(0) && !ended_by_us {
        return Some(describe_status(ended.status));
    }
    None
}

fn over(time_limit: Duration) -> String {
    format!(
        "stopped: the time limit of {} was over",
        humantime::format_duration(time_limit)
    )
}

fn decapitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(characters).collect()
    })
}

/// The tracer's last message and what belongs to it.
fn own_words(log: &str) -> Option<String> {
    let start = log
        .match_indices(OWN_MESSAGE)
        .filter(|(position, _)| *position == 0 || log.as_bytes().get(position - 1) == Some(&b'\n'))
        .last()?
        .0;
    let words: Vec<&str> = log
        .get(start + OWN_MESSAGE.len()..)?
        .split_whitespace()
        .collect();
    Some(words.join(" ").chars().take(LONGEST_WORDS).collect())
}

/// Whether the run failed since the disk is full: then it says nothing of the engine, and is made again.
#[must_use]
pub fn failed_for_lack_of_space(record: Option<&RunRecord>, log: &str) -> bool {
    let says_so = |text: &str| NO_SPACE.iter().any(|words| text.contains(words));
    match record {
        // The launcher's notes on the copies of the engine's output.
        Some(record) => record.notes.iter().any(|note| says_so(note)),
        None => log
            .lines()
            .any(|line| line.starts_with(OWN_MESSAGE) && says_so(line)),
    }
}

/// The log of a run, as text.
///
/// # Errors
/// It cannot be read.
pub fn read_log(directory: &Path) -> io::Result<String> {
    match std::fs::read(directory.join(LOG_FILE)) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus, time::Duration};

    use crate::{
        experiment::{attempt::Ended, plan::Adapter},
        schema::{CgroupRecord, RunOutcome, RunRecord},
    };

    use super::{failed_for_lack_of_space, verdict};

    const LIMIT: Duration = Duration::from_secs(90);

    fn ended(raw: i32) -> Ended {
        Ended {
            status: ExitStatus::from_raw(raw),
            time_is_over: false,
            interrupted: false,
            answer: None,
            wall: Duration::ZERO,
        }
    }

    fn exited(code: Option<i32>, signal: Option<i32>) -> RunRecord {
        let mut record = RunRecord::default();
        record.exit.code = code;
        record.exit.signal = signal;
        record.exit.description = "The engine was ended by something".into();
        record
    }

    fn failure(ended: &Ended, record: Option<&RunRecord>, log: &str) -> Option<String> {
        verdict(Adapter::Command, ended, record, log, LIMIT).1
    }

    #[test]
    fn a_good_run_has_finished() {
        let record = exited(Some(0), None);
        let (outcome, reason) = verdict(Adapter::Command, &ended(0), Some(&record), "", LIMIT);
        assert_eq!((outcome, reason), (RunOutcome::Finished, None));
    }

    #[test]
    fn each_failure_has_its_reason() {
        let say = |ended: &Ended, record: Option<&RunRecord>, log: &str| {
            failure(ended, record, log).expect("a failure")
        };
        assert_eq!(
            say(&ended(7 << 8), Some(&exited(Some(7), None)), ""),
            "the engine was ended by something"
        );
        assert_eq!(
            say(
                &ended(125 << 8),
                None,
                "engine says tracer: no\ntracer: cannot lock 3 GiB\n  away; choose less\n"
            ),
            "the tracer exited with status 125: cannot lock 3 GiB away; choose less"
        );
        assert_eq!(
            say(&ended(9), None, ""),
            "the tracer was ended by signal 9 (SIGKILL)"
        );
        let late = Ended {
            time_is_over: true,
            ..ended(143 << 8)
        };
        let mut stopped = exited(None, Some(15));
        stopped.partial = true;
        let over = "stopped: the time limit of 1m 30s was over";
        assert_eq!(say(&late, Some(&stopped), ""), over);
        assert_eq!(say(&late, None, ""), over);
        let mut no_memory = exited(None, Some(9));
        no_memory.pressure.cgroup = Some(CgroupRecord {
            oom_kills: Some(2),
            ..CgroupRecord::default()
        });
        assert!(say(&ended(137 << 8), Some(&no_memory), "").contains("out of memory"));
        let mut partial = exited(Some(0), None);
        partial.partial = true;
        assert!(say(&ended(0), Some(&partial), "").contains("partial"));
        assert!(say(&ended(125 << 8), Some(&exited(Some(0), None)), "").contains("125"));
    }

    #[test]
    fn a_server_may_end_by_our_signal() {
        let of = |adapter, record: &RunRecord| {
            verdict(adapter, &ended(143 << 8), Some(record), "", LIMIT).0
        };
        for record in [exited(None, Some(15)), exited(Some(143), None)] {
            assert_eq!(of(Adapter::LlamaServer, &record), RunOutcome::Finished);
            assert_eq!(of(Adapter::LlamaCli, &record), RunOutcome::Failed);
        }
        assert_eq!(
            of(Adapter::LlamaServer, &exited(None, Some(11))),
            RunOutcome::Failed
        );
        let silent = Ended {
            answer: Some(Err("the server gave no answer".into())),
            ..ended(0)
        };
        let record = exited(Some(0), None);
        let (outcome, reason) = verdict(Adapter::LlamaServer, &silent, Some(&record), "", LIMIT);
        assert_eq!(
            (outcome, reason.as_deref()),
            (RunOutcome::Failed, Some("the server gave no answer"))
        );
    }

    #[test]
    fn a_full_disk_is_no_failure_of_the_engine() {
        let own = "tracer: cannot write run.json: No space left on device (os error 28)";
        assert!(failed_for_lack_of_space(None, &format!("x\n{own}\n")));
        assert!(!failed_for_lack_of_space(
            None,
            "engine: No space left on device (os error 28)"
        ));
        let mut record = exited(Some(1), None);
        assert!(!failed_for_lack_of_space(Some(&record), own));
        record.notes.push(
            "the engine's Stdout is not kept whole: No space left on device (os error 28)".into(),
        );
        assert!(failed_for_lack_of_space(Some(&record), ""));
    }
}
