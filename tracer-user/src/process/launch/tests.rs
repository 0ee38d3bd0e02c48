//! Real commands, started for real. Those that need root say so when they are skipped.

use std::sync::Mutex;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::Gid;

use crate::process::{
    caller::{EnvironmentSource, OwnIds},
    exit::ExitKind,
};

use super::*;

/// The user that tests run as.
pub(super) fn me() -> Caller {
    let own = OwnIds::current().expect("ids");
    Caller::identify(
        &std::env::vars_os().collect::<Vec<_>>(),
        &OwnIds {
            uid: own.uid,
            ..own
        },
    )
    .expect("caller")
}

/// Somebody without rights, as if through sudo.
fn nobody() -> Caller {
    let own = OwnIds {
        uid: Uid::from_raw(0),
        gid: Gid::from_raw(0),
        groups: vec![],
    };
    let environment: Vec<(OsString, OsString)> = [
        ("SUDO_UID", "65534"),
        ("SUDO_GID", "65534"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    Caller::identify(&environment, &own).expect("caller")
}

fn root_or_skipped(reason: &str) -> bool {
    let root = Uid::effective().is_root();
    if !root {
        eprintln!("skipped: {reason} needs root");
    }
    root
}

pub(super) fn words(command: &[&str]) -> Vec<OsString> {
    command.iter().map(OsString::from).collect()
}

#[derive(Clone, Default)]
pub(super) struct Received(Arc<Mutex<Vec<OutputLine>>>);

impl Received {
    pub(super) fn callback(&self) -> OnLine {
        let received = self.clone();
        Arc::new(move |line| received.0.lock().expect("lock").push(line))
    }

    pub(super) fn text(&self, stream: OutputStream) -> String {
        let lines = self.0.lock().expect("lock");
        let parts = lines.iter().filter(|line| line.stream == stream);
        parts
            .map(|line| {
                String::from_utf8_lossy(&line.bytes).into_owned()
                    + if line.ended { "\n" } else { "" }
            })
            .collect()
    }

    pub(super) fn wait_for(&self, text: &str) {
        let start = Instant::now();
        while !self.text(OutputStream::Stdout).contains(text) {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "no {text:?} in {:?}",
                self.text(OutputStream::Stdout)
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(super) fn request<'a>(
    command: &'a [OsString],
    caller: &'a Caller,
    received: &Received,
) -> LaunchRequest<'a> {
    LaunchRequest {
        stdout_copy: None,
        stderr_copy: None,
        ..LaunchRequest::new(command, caller, received.callback())
    }
}

fn run(command: &[&str], caller: &Caller) -> (EngineExit, Received) {
    let received = Received::default();
    let exit = launch(request(&words(command), caller, &received))
        .expect("launch")
        .wait()
        .expect("wait");
    (exit, received)
}

pub(super) fn output(exit: &EngineExit, stream: OutputStream) -> &OutputReport {
    exit.outputs
        .iter()
        .find(|output| output.stream == stream)
        .expect("report")
}

#[test]
fn outputs_are_copied_kept_and_cut_into_lines() {
    let directory = tempfile::tempdir().expect("directory");
    let caller = me();
    let command = words(&[
        "sh",
        "-c",
        "printf 'one\\ntwo\\377'; printf 'err\\n' >&2; exit 7",
    ]);
    let received = Received::default();
    let copy = tempfile::tempfile().expect("file");
    // What lies there from before must not be written through.
    let elsewhere = directory.path().join("elsewhere");
    std::fs::write(&elsewhere, "untouched").expect("file");
    std::os::unix::fs::symlink(&elsewhere, directory.path().join("engine.stdout")).expect("link");
    let exit = launch(LaunchRequest {
        output_directory: Some(directory.path()),
        stdout_copy: Some(copy.try_clone().expect("copy").into()),
        ..request(&command, &caller, &received)
    })
    .expect("launch")
    .wait()
    .expect("wait");
    assert_eq!(exit.kind, ExitKind::Code(7));
    assert_eq!(exit.kind.conventional_code(), 7);
    assert_eq!(
        std::fs::read(directory.path().join("engine.stdout")).expect("kept"),
        b"one\ntwo\xff"
    );
    assert_eq!(
        std::fs::read(directory.path().join("engine.stderr")).expect("kept"),
        b"err\n"
    );
    assert_eq!(
        std::fs::read_to_string(&elsewhere).expect("file"),
        "untouched"
    );
    let mut copied = Vec::new();
    std::io::Seek::rewind(&mut &copy).expect("rewind");
    (&copy).read_to_end(&mut copied).expect("copy");
    assert_eq!(copied, b"one\ntwo\xff");
    let lines = received.0.lock().expect("lock");
    let stdout: Vec<_> = lines
        .iter()
        .filter(|line| line.stream == OutputStream::Stdout)
        .collect();
    assert_eq!(
        stdout
            .iter()
            .map(|line| (line.bytes.as_slice(), line.ended))
            .collect::<Vec<_>>(),
        [(b"one".as_slice(), true), (b"two\xff", false)]
    );
    assert!(
        lines
            .iter()
            .all(|line| line.monotonic_nanos > exit.started_monotonic_nanos)
    );
    let report = output(&exit, OutputStream::Stdout);
    assert_eq!((report.bytes, report.reached_end), (8, true));
    assert_eq!(
        (
            &report.passthrough_error,
            &report.file_error,
            &report.read_error
        ),
        (&None, &None, &None)
    );
    assert!(exit.ended_monotonic_nanos > exit.started_monotonic_nanos);
}

#[test]
fn a_signal_ends_it_with_128_and_its_number() {
    let (exit, _) = run(&["sh", "-c", "kill -TERM $$"], &me());
    assert_eq!(
        exit.kind,
        ExitKind::Signal {
            number: 15,
            core_dumped: false
        }
    );
    assert_eq!(exit.kind.conventional_code(), 143);
}

#[test]
fn a_closed_terminal_and_a_full_disk_do_not_stop_the_engine() {
    let caller = me();
    let command = words(&["sh", "-c", "head -c 3000000 /dev/zero; echo done >&2"]);
    let received = Received::default();
    let full: OwnedFd = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full")
        .into();
    let (read, closed) = nix::unistd::pipe2(OFlag::O_CLOEXEC).expect("pipe");
    drop(read);
    let exit = launch(LaunchRequest {
        stdout_copy: Some(full),
        stderr_copy: Some(closed),
        ..request(&command, &caller, &received)
    })
    .expect("launch")
    .wait()
    .expect("wait");
    assert!(exit.kind.is_success());
    let (stdout, stderr) = (
        output(&exit, OutputStream::Stdout),
        output(&exit, OutputStream::Stderr),
    );
    assert_eq!((stdout.bytes, stdout.reached_end), (3_000_000, true));
    assert!(
        stdout
            .passthrough_error
            .as_deref()
            .is_some_and(|error| error.contains("space")),
        "{stdout:?}"
    );
    assert!(
        stderr
            .passthrough_error
            .as_deref()
            .is_some_and(|error| error.contains("pipe")),
        "{stderr:?}"
    );
    assert_eq!(received.text(OutputStream::Stderr), "done\n");
    let longest = received
        .0
        .lock()
        .expect("lock")
        .iter()
        .map(|line| line.bytes.len())
        .max();
    assert_eq!(longest, Some(output::LONGEST_PIECE_BYTES));
}

#[test]
fn a_process_left_behind_with_the_pipe_does_not_hang_us() {
    let start = Instant::now();
    // One that is silent, and one that never stops writing.
    for left_behind in ["sleep 20", "yes"] {
        let (exit, received) = run(
            &["sh", "-c", &format!("{left_behind} & echo $!; exit 5")],
            &me(),
        );
        assert_eq!(exit.kind, ExitKind::Code(5));
        let text = received.text(OutputStream::Stdout);
        let pid = text
            .lines()
            .find_map(|line| line.parse().ok())
            .expect("pid");
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
        assert!(!output(&exit, OutputStream::Stdout).reached_end);
    }
    let passed = start.elapsed();
    assert!(
        (Duration::from_secs(2)..Duration::from_secs(10)).contains(&passed),
        "{passed:?}"
    );
}

#[test]
fn what_cannot_be_run_is_said() {
    let directory = tempfile::tempdir().expect("directory");
    let path = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let write = |name: &str, text: &[u8], mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::write(path(name), text).expect("file");
        std::fs::set_permissions(path(name), PermissionsExt::from_mode(mode)).expect("mode");
    };
    write("plain", b"text", 0o644);
    write("lost", b"#!/no/such/interpreter\n", 0o755);
    write("tool", b"#!/bin/sh\necho ran $0\n", 0o755);
    std::fs::create_dir(path("folder")).expect("directory");
    let mut caller = me();
    let failure = |command: &[&str], caller: &Caller| {
        let error =
            launch(request(&words(command), caller, &Received::default())).expect_err("cannot run");
        match error {
            LaunchError::Program(error) => error,
            other => panic!("{other}"),
        }
    };
    assert_eq!(failure(&[], &caller), ProgramError::Empty);
    assert!(matches!(
        failure(&["no-such-program-at-all"], &caller),
        ProgramError::NotFound { path: Some(_), .. }
    ));
    assert!(matches!(
        failure(&["/no/such"], &caller),
        ProgramError::NotFound { path: None, .. }
    ));
    assert!(matches!(
        failure(&[&path("folder")], &caller),
        ProgramError::NotAFile {
            what: "a directory",
            ..
        }
    ));
    assert!(matches!(
        failure(&["/dev/null"], &caller),
        ProgramError::NotAFile {
            what: "no regular file",
            ..
        }
    ));
    assert!(matches!(
        failure(&[&path("plain")], &caller),
        ProgramError::NotExecutable { .. }
    ));
    assert!(matches!(
        failure(&[&path("lost")], &caller),
        ProgramError::InterpreterMissing { .. }
    ));
    // The caller's PATH decides, not ours.
    let received = Received::default();
    caller.environment = vec![("PATH".into(), directory.path().into())];
    assert!(matches!(
        failure(&["sh"], &caller),
        ProgramError::NotFound { .. }
    ));
    assert!(matches!(
        failure(&["plain"], &caller),
        ProgramError::NotExecutable { .. }
    ));
    assert!(matches!(
        failure(&["folder"], &caller),
        ProgramError::NotAFile { .. }
    ));
    launch(request(&words(&["tool"]), &caller, &received))
        .expect("launch")
        .wait()
        .expect("wait");
    assert_eq!(
        received.text(OutputStream::Stdout),
        format!("ran {}\n", path("tool"))
    );
    // A directory of PATH whose file may not be executed is passed over.
    let other = tempfile::tempdir().expect("directory");
    std::fs::write(other.path().join("tool"), "no program").expect("file");
    let both = [other.path().as_os_str(), directory.path().as_os_str()].join(OsStr::new(":"));
    caller.environment = vec![("PATH".into(), both)];
    launch(request(&words(&["tool"]), &caller, &received))
        .expect("launch")
        .wait()
        .expect("wait");
    assert_eq!(received.text(OutputStream::Stdout).lines().count(), 2);
    let nowhere = Path::new("/no/such/directory");
    let error = launch(LaunchRequest {
        output_directory: Some(nowhere),
        ..request(&words(&["tool"]), &caller, &received)
    });
    assert!(matches!(error, Err(LaunchError::OutputFile { .. })));
}

#[test]
fn the_command_has_the_callers_rights_and_no_more() {
    if !root_or_skipped("starting a command as another user") {
        return;
    }
    let caller = nobody();
    assert_eq!(caller.environment_source, EnvironmentSource::OwnAdjusted);
    let script = "import ctypes, os
import functools; print = functools.partial(print, flush=True)
print(os.getresuid(), os.getresgid(), sorted(os.getgroups()), os.environ.get('SUDO_UID'))
status = dict(line.split(':', 1) for line in open('/proc/self/status'))
print([int(status[k], 16) for k in ('CapInh', 'CapPrm', 'CapEff', 'CapAmb', 'SigBlk')])
death = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(death)); print('death signal', death.value)
for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: open('/etc/shadow')):
    try: call(); print('REGAINED')
    except PermissionError: print('refused')
open('/dev/stdout', 'w').write('opened again\\n')";
    let (exit, received) = run(&["/usr/bin/env", "python3", "-c", script], &caller);
    let text = received.text(OutputStream::Stdout) + &received.text(OutputStream::Stderr);
    if exit.kind == ExitKind::Code(127) || exit.kind == ExitKind::Code(126) {
        panic!("no python3 for everyone: {text}");
    }
    assert_eq!(
        text,
        "(65534, 65534, 65534) (65534, 65534, 65534) [65534] None\n[0, 0, 0, 0, 0]\ndeath signal 9\nrefused\nrefused\nrefused\nrefused\nopened again\n"
    );
}

#[test]
fn ignored_signals_are_not_inherited() {
    // SAFETY: ignoring a signal that nothing in the tests uses.
    unsafe { nix::sys::signal::signal(Signal::SIGUSR2, nix::sys::signal::SigHandler::SigIgn) }
        .expect("signal");
    // Beside this one, Rust ignores SIGPIPE: `yes` would complain instead of dying of it.
    let (_, received) = run(
        &["sh", "-c", "grep -E 'SigIgn|SigBlk' /proc/self/status"],
        &me(),
    );
    let text = received.text(OutputStream::Stdout);
    let sets: Vec<u64> = text
        .lines()
        .filter_map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok())
        .collect();
    // SIGHUP stays as it was; 32 and 33 are the C library's own and cannot be set through it.
    let ours: Vec<u64> = sets
        .iter()
        .map(|set| set & !(1 | 1 << 31 | 1 << 32))
        .collect();
    assert_eq!(ours, [0, 0], "{text}");
}

#[test]
fn it_joins_a_cgroup_before_it_loses_the_right_to() {
    let read_only: OwnedFd = File::open("/dev/null").expect("/dev/null").into();
    let caller = me();
    let command = words(&["true"]);
    let error = launch(LaunchRequest {
        cgroup_procs: vec![read_only],
        ..request(&command, &caller, &Received::default())
    });
    match error {
        Err(LaunchError::Setup {
            step: SetupStep::JoinCgroup,
            source,
            ..
        }) => {
            assert_eq!(source.raw_os_error(), Some(libc::EBADF));
        }
        other => panic!("{other:?}"),
    }
    if !root_or_skipped("making a cgroup") {
        return;
    }
    let name = format!("tracer-launch-test-{}", std::process::id());
    let roots = [
        ("/sys/fs/cgroup", "cgroup.procs"),
        ("/sys/fs/cgroup/unified", "cgroup.procs"),
        ("/sys/fs/cgroup/memory", "tasks"),
    ];
    let mut tried = 0;
    for (root, file) in roots {
        let directory = Path::new(root).join(&name);
        if !Path::new(root).join(file).exists() || std::fs::create_dir(&directory).is_err() {
            continue;
        }
        tried += 1;
        let opened = OpenOptions::new()
            .write(true)
            .open(directory.join(file))
            .map(OwnedFd::from);
        let received = Received::default();
        let command = words(&["cat", "/proc/self/cgroup"]);
        let caller = nobody();
        let result = opened.map(|opened| {
            launch(LaunchRequest {
                cgroup_procs: vec![opened],
                ..request(&command, &caller, &received)
            })
            .map(|launched| launched.wait())
        });
        let removed = std::fs::remove_dir(&directory);
        result.expect("open").expect("launch").expect("wait");
        removed.expect("nothing is left in the cgroup");
        assert!(
            received.text(OutputStream::Stdout).contains(&name),
            "{root}: {}",
            received.text(OutputStream::Stdout)
        );
    }
    if tried == 0 {
        eprintln!("skipped: no cgroup hierarchy here can be written");
    }
}

#[test]
fn usage_is_the_commands_own() {
    let script = "b = b'x' * (400 << 20)\nfor i in range(3000000): pass";
    let (exit, _) = run(&["python3", "-c", script], &me());
    assert!(exit.kind.is_success());
    assert!(
        exit.user_seconds > 0.01 && exit.user_seconds < 100.0,
        "{exit:?}"
    );
    assert!(exit.minor_faults > 200, "{exit:?}");
    assert!(
        exit.max_rss_bytes
            .is_some_and(|peak| (400 << 20..2 << 30).contains(&peak)),
        "{exit:?}"
    );
    // Of a command smaller than ourselves the kernel's figure is our own size.
    let ballast = vec![1_u8; 64 << 20];
    let (exit, _) = run(&["true"], &me());
    assert_eq!(exit.max_rss_bytes, None);
    assert_eq!(ballast.last(), Some(&1));
}
