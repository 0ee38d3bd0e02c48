use std::{
    fs,
    os::unix::fs::FileTypeExt as _,
    process::Command,
    time::{Duration, Instant},
};

use crate::{
    process::{Caller, OutputLine, OutputStream, monotonic_nanos},
    run::{GiveMarkError, give_mark},
    stats::{
        Nanos,
        phases::{given::GivenPhase, phase::Phase},
    },
};

use super::{GivenBy, MARK_PIPE, MarkPipe, SharedMarks, given};

fn pipe(folder: &std::path::Path) -> (MarkPipe, SharedMarks) {
    let shared = SharedMarks::default();
    let caller = Caller::of_this_process().expect("a caller");
    let pipe = MarkPipe::make(folder, &caller, shared.clone()).expect("a pipe");
    (pipe, shared)
}

#[test]
fn a_script_and_the_command_say_what_begins() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = monotonic_nanos();
    let (pipe, shared) = pipe(folder.path());
    let script =
        "echo prompt > mark; echo; echo generation > mark; echo nonsense > mark; echo > mark";
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder.path())
        .status();
    assert!(status.expect("a shell").success());
    give_mark(folder.path(), GivenPhase::Step).expect("it is read");
    let said = pipe.end().expect("one line is no phase");
    assert!(
        said.contains("1 lines") && said.contains("\"nonsense\""),
        "{said}"
    );
    let (marks, count) = shared.given();
    let phases: Vec<_> = marks.iter().map(|mark| (mark.phase, mark.by)).collect();
    assert_eq!(
        phases,
        [
            (GivenPhase::Phase(Phase::Prompt), GivenBy::Pipe),
            (GivenPhase::Phase(Phase::Generation), GivenBy::Pipe),
            (GivenPhase::Step, GivenBy::Command),
        ]
    );
    assert_eq!((count, shared.take_log().len()), (3, 3));
    let after = monotonic_nanos();
    for mark in &marks {
        assert!((before..=after).contains(&mark.at.0));
        assert!(mark.uncertainty_nanos > 0, "{mark:?}");
    }
    // What a pipe's marks may be late by is less than what passed since the pipe was made.
    assert!(
        marks[..2]
            .iter()
            .all(|mark| mark.uncertainty_nanos <= after - before)
    );
    // It is gone, and the command says so.
    assert!(!folder.path().join(MARK_PIPE).exists());
    let error = give_mark(folder.path(), GivenPhase::Step).expect_err("nobody reads");
    assert!(matches!(error, GiveMarkError::NoRun { .. }), "{error}");
}

#[test]
fn what_a_killed_tracer_left_is_replaced_and_what_is_no_pipe_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(MARK_PIPE);
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    // Nobody reads it: the command does not wait.
    let began = Instant::now();
    let error = give_mark(folder.path(), GivenPhase::Step).expect_err("nobody reads");
    assert!(matches!(error, GiveMarkError::NoRun { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
    let (made, _) = pipe(folder.path());
    drop(made);
    assert!(!path.exists());
    fs::write(&path, "notes of somebody").expect("written");
    let caller = Caller::of_this_process().expect("a caller");
    MarkPipe::make(folder.path(), &caller, SharedMarks::default()).expect_err("a file is there");
    assert_eq!(
        fs::read_to_string(&path).expect("it is there"),
        "notes of somebody"
    );
    let error = give_mark(folder.path(), GivenPhase::Step).expect_err("it is no pipe");
    assert!(matches!(error, GiveMarkError::NoRun { .. }), "{error}");
}

#[test]
fn a_pipe_that_somebody_replaced_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(MARK_PIPE);
    let (made, _) = pipe(folder.path());
    fs::remove_file(&path).expect("removed");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("another");
    drop(made);
    assert!(fs::metadata(&path).expect("it stays").file_type().is_fifo());
}

#[test]
fn a_writer_never_waits_for_the_tracer() {
    let folder = tempfile::tempdir().expect("a folder");
    let (made, shared) = pipe(folder.path());
    // Far more than a pipe holds.
    let script = "i=0; while [ $i -lt 20000 ]; do echo step; i=$((i+1)); done > mark";
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder.path())
        .status();
    assert!(status.expect("a shell").success());
    assert_eq!(made.end(), None);
    let (marks, count) = shared.given();
    assert_eq!((marks.len(), count), (10_000, 20_000));
}

#[test]
fn a_time_that_cannot_be_is_not_taken() {
    let of = |text: &str| {
        given(
            &OutputLine {
                stream: OutputStream::Stdout,
                monotonic_nanos: 1000,
                empty_nanos: 900,
                bytes: text.as_bytes().to_vec(),
                ended: true,
            },
            Nanos(500),
        )
    };
    let time = |text: &str| {
        let mark = of(text).expect("a mark").expect("a phase");
        (mark.by, mark.at.0, mark.uncertainty_nanos)
    };
    assert_eq!(time("load 800 30"), (GivenBy::Command, 800, 30));
    assert_eq!(time("load"), (GivenBy::Pipe, 1000, 100));
    for text in ["load 1001 30", "load 499 30", "load 800"] {
        assert_eq!(time(text), (GivenBy::Pipe, 1000, 100), "{text}");
    }
    assert_eq!(of("  "), Ok(None));
    for text in ["load now", "loading", &"x".repeat(300)] {
        assert!(of(text).is_err(), "{text}");
    }
}
