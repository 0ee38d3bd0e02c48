//! Real helpers, below the tests' own executable.

use super::capacity::page_bytes;
use super::helper::{HELPER_COMM, helper_on};
use super::*;
use procfs::process::Process;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

/// The tests' executable has no subcommands. This script stands for the tracer's and runs the test `as_helper` in
/// its place; the test runner's own output is kept off the pipe.
fn stand_in(directory: &Path) -> PathBuf {
    let path = directory.join("tracer");
    let tests = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = {BALLOON_SUBCOMMAND} ] || exit 9\nTEST_BALLOON_BYTES=$2 exec '{}' --exact {}::as_helper --nocapture --test-threads=1 3>&1 >/dev/null\n",
        tests.display(),
        module_path!().split_once("::").unwrap().1,
    );
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Not a test of its own: the process that [`stand_in`] becomes.
#[test]
fn as_helper() {
    if let Ok(bytes) = std::env::var("TEST_BALLOON_BYTES") {
        let messages = std::fs::OpenOptions::new()
            .write(true)
            .open("/proc/self/fd/3")
            .unwrap();
        helper_on(bytes.parse().unwrap(), io::stdin(), messages)
    }
}

/// Not a test of its own: a tracer that holds a balloon and is killed.
#[test]
fn as_tracer() {
    if let Ok(exe) = std::env::var("TEST_BALLOON_TRACER") {
        let balloon = Balloon::inflate(Path::new(&exe), 16 * MIB, |_| ()).unwrap();
        eprintln!("helper {}", balloon.pid());
        std::thread::sleep(Duration::from_secs(60));
    }
}

fn is_running(pid: u32) -> bool {
    // A zombie, which waits for whoever inherited it, holds no memory.
    Process::new(i32::try_from(pid).unwrap())
        .and_then(|process| process.stat())
        .is_ok_and(|stat| stat.state != 'Z')
}

fn ends_within_seconds(pid: u32, seconds: u64) -> bool {
    let end = Instant::now() + Duration::from_secs(seconds);
    while is_running(pid) {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

fn inflate_or_skip(exe: &Path, bytes: u64, progress: impl FnMut(u64)) -> Option<Balloon> {
    match Balloon::inflate(exe, bytes, progress) {
        Err(error @ (BalloonError::LockLimit { .. } | BalloonError::TooLarge { .. })) => {
            eprintln!("skipped: {error}");
            None
        }
        result => Some(result.unwrap()),
    }
}

#[test]
fn what_is_locked_is_exactly_what_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let exe = stand_in(directory.path());
    let mut heard = Vec::new();
    // One byte over a page, to see the rounding.
    let Some(balloon) = inflate_or_skip(&exe, 129 * MIB + 1, |bytes| heard.push(bytes)) else {
        return;
    };
    let asked = 129 * MIB + page_bytes();
    assert_eq!((balloon.bytes(), balloon.verify().unwrap()), (asked, asked));
    assert_eq!(heard, [64 * MIB, 128 * MIB, asked]);
    let process = Process::new(balloon.pid() as i32).unwrap();
    assert_eq!(process.oom_score_adj().unwrap(), 1000);
    assert_eq!(process.stat().unwrap().comm, HELPER_COMM);
    assert_ne!(
        process.stat().unwrap().pgrp,
        nix::unistd::getpgrp().as_raw(),
        "Ctrl-C must not reach it"
    );
    let smaps = std::fs::read_to_string(format!("/proc/{}/smaps", balloon.pid())).unwrap();
    assert!(
        smaps.contains(&format!("Locked:         {:>8} kB", asked / 1024)),
        "one mapping, locked whole"
    );
    let pid = balloon.pid();
    balloon.deflate().unwrap();
    assert!(
        Process::new(pid as i32).is_err(),
        "waited for: not even a zombie"
    );
}

#[test]
fn dropping_it_gives_the_memory_back() {
    let directory = tempfile::tempdir().unwrap();
    let Some(balloon) = inflate_or_skip(&stand_in(directory.path()), 4096, |_| ()) else {
        return;
    };
    let pid = balloon.pid();
    drop(balloon);
    assert!(Process::new(pid as i32).is_err());
}

#[test]
fn a_helper_that_was_killed_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let Some(balloon) = inflate_or_skip(&stand_in(directory.path()), MIB, |_| ()) else {
        return;
    };
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(balloon.pid() as i32),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    assert!(ends_within_seconds(balloon.pid(), 5));
    assert!(matches!(balloon.verify(), Err(BalloonError::Gone(_))));
    assert!(matches!(balloon.deflate(), Err(BalloonError::Gone(_))));
}

#[test]
fn it_outlives_the_thread_that_asked_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let exe = stand_in(directory.path());
    let asked = std::thread::spawn(move || inflate_or_skip(&exe, MIB, |_| ()));
    let Some(balloon) = asked.join().unwrap() else {
        return;
    };
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(balloon.verify().unwrap(), MIB);
}

#[test]
fn it_dies_with_a_tracer_that_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    if inflate_or_skip(&stand_in(directory.path()), 4096, |_| ()).is_none() {
        return;
    }
    let mut tracer = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{}::as_tracer", module_path!().split_once("::").unwrap().1),
            "--nocapture",
        ])
        .env("TEST_BALLOON_TRACER", stand_in(directory.path()))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tracer.stderr.take().unwrap()).lines();
    let pid = lines.find_map(|line| {
        line.unwrap()
            .strip_prefix("helper ")
            .map(|pid| pid.parse::<u32>().unwrap())
    });
    let pid = pid.expect("the tracer names its helper");
    assert!(is_running(pid));
    tracer.kill().unwrap();
    tracer.wait().unwrap();
    assert!(ends_within_seconds(pid, 5));
}

/// Starts a helper below a shell, so that lifeline and parent can go one at a time.
fn helper_below_a_shell(exe: &Path) -> (Child, u32) {
    let mut shell = Command::new("/bin/sh")
        .args([
            "-c",
            &format!(
                "exec 4<&0; '{}' {BALLOON_SUBCOMMAND} 4096 <&4 & echo helper $!; wait",
                exe.display()
            ),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let (mut pid, mut locked) = (None, false);
    while pid.is_none() || !locked {
        let line = lines.next().expect("the helper locks");
        locked |= line == "locked 4096";
        pid = pid.or_else(|| line.strip_prefix("helper ").map(|pid| pid.parse().unwrap()));
    }
    (shell, pid.unwrap())
}

#[test]
fn it_leaves_when_its_lifeline_closes() {
    let directory = tempfile::tempdir().unwrap();
    let (mut shell, pid) = helper_below_a_shell(&stand_in(directory.path()));
    assert!(is_running(pid));
    drop(shell.stdin.take());
    assert!(
        ends_within_seconds(pid, 5),
        "although its parent still runs"
    );
    shell.wait().unwrap();
}

#[test]
fn it_is_killed_with_its_parent_although_the_lifeline_is_open() {
    let directory = tempfile::tempdir().unwrap();
    let (mut shell, pid) = helper_below_a_shell(&stand_in(directory.path()));
    let lifeline = shell.stdin.take();
    shell.kill().unwrap();
    shell.wait().unwrap();
    assert!(ends_within_seconds(pid, 5));
    drop(lifeline);
}

#[test]
fn too_much_is_refused_before_anything_is_started() {
    let capacity = largest_balloon().unwrap();
    let nowhere = Path::new("/nowhere");
    for asked in [capacity.available_bytes, u64::MAX] {
        match Balloon::inflate(nowhere, asked, |_| ()).unwrap_err() {
            error @ BalloonError::TooLarge { .. } => {
                assert!(error.to_string().contains("would fit"), "{error}")
            }
            other => panic!("{other}"),
        }
    }
    assert!(matches!(
        Balloon::inflate(nowhere, 0, |_| ()),
        Err(BalloonError::Empty)
    ));
    assert!(matches!(
        Balloon::inflate(nowhere, 4096, |_| ()),
        Err(BalloonError::Start { .. } | BalloonError::LockLimit { .. })
    ));
}

#[test]
fn an_executable_that_is_not_the_tracer_is_refused() {
    let error = Balloon::inflate(Path::new("/bin/echo"), 4096, |_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            BalloonError::HelperFailed { .. } | BalloonError::LockLimit { .. }
        ),
        "{error}"
    );
    let error = Balloon::inflate(Path::new("/bin/true"), 4096, |_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            BalloonError::HelperFailed { .. } | BalloonError::LockLimit { .. }
        ),
        "{error}"
    );
}

#[test]
fn capacity_keeps_a_reserve_and_heeds_the_cgroup() {
    const GIB: u64 = 1 << 30;
    let machine = BalloonCapacity::of(24 * GIB, 10 * GIB, None);
    assert_eq!(
        (machine.reserve_bytes, machine.limited_by),
        (384 * MIB, "MemAvailable")
    );
    assert!(
        machine.fits_bytes + machine.fits_bytes / 512 + machine.reserve_bytes
            <= machine.available_bytes
    );
    assert!(machine.fits_bytes.is_multiple_of(page_bytes()));
    let limited = BalloonCapacity::of(24 * GIB, 10 * GIB, Some(GIB));
    assert_eq!(
        (limited.available_bytes, limited.limited_by),
        (GIB, "this process's memory cgroup")
    );
    assert_eq!(BalloonCapacity::of(GIB, 10 * MIB, None).fits_bytes, 0);
}
