//! Signals to a real command, and whose death is whose.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::Instant;

use nix::sys::signal::{SigmaskHow, Signal};

use crate::process::{exit::ExitKind, signals::SignalWatch};

use super::{
    tests::{Received, me, output, request, words},
    *,
};

#[test]
fn signals_reach_the_command_and_what_it_started() {
    let received = Received::default();
    let caller = me();
    let command = words(&[
        "sh",
        "-c",
        "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 0.05; done",
    ]);
    let launched = launch(request(&command, &caller, &received)).expect("launch");
    received.wait_for("ready");
    launched.signals().interrupt().expect("signal");
    let signals = launched.signals();
    let exit = launched.wait().expect("wait");
    assert_eq!(exit.kind, ExitKind::Code(3));
    signals.interrupt().expect("ended is no error");

    // A wrapper that waits for the real engine.
    let command = words(&["sh", "-c", "sleep 60 & echo child $!; wait"]);
    let received = Received::default();
    let launched = launch(request(&command, &caller, &received)).expect("launch");
    received.wait_for("child");
    let text = received.text(OutputStream::Stdout);
    let child: i32 = text
        .split_whitespace()
        .nth(1)
        .and_then(|pid| pid.parse().ok())
        .expect("pid");
    launched.signals().kill().expect("signal");
    let exit = launched.wait().expect("wait");
    assert_eq!(
        exit.kind,
        ExitKind::Signal {
            number: 9,
            core_dumped: false
        }
    );
    assert!(
        output(&exit, OutputStream::Stdout).reached_end,
        "the grandchild died too"
    );
    assert!(gone(child));
}

fn gone(pid: i32) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        match procfs::process::Process::new(pid).and_then(|process| process.stat()) {
            Ok(stat) if stat.state != 'Z' => thread::sleep(Duration::from_millis(10)),
            _ => return true,
        }
    }
    false
}

#[test]
fn it_outlives_the_calling_thread_but_not_its_handle() {
    let received = Received::default();
    let launched = thread::spawn({
        let received = received.clone();
        move || {
            launch(request(
                &words(&["sh", "-c", "trap '' TERM INT HUP; echo up; exec sleep 60"]),
                &me(),
                &received,
            ))
            .expect("launch")
        }
    })
    .join()
    .expect("thread");
    received.wait_for("up");
    thread::sleep(Duration::from_millis(50));
    let pid = launched.pid();
    assert!(
        procfs::process::Process::new(pid)
            .expect("process")
            .stat()
            .is_ok_and(|stat| stat.state != 'Z')
    );
    drop(launched);
    assert!(gone(pid));
}

/// The test binary again, running only a helper below.
fn helper(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("exe"));
    command.args([
        "--ignored",
        "--exact",
        "--nocapture",
        "--test-threads=1",
        &format!("process::launch::life_tests::{name}"),
    ]);
    command
}

#[test]
fn the_command_dies_with_the_tracer() {
    let mut tracer = helper("helper_tracer_that_dies")
        .stdout(Stdio::piped())
        .spawn()
        .expect("helper");
    let mut text = String::new();
    let mut reader = std::io::BufReader::new(tracer.stdout.take().expect("stdout"));
    let pid = loop {
        text.clear();
        assert_ne!(
            std::io::BufRead::read_line(&mut reader, &mut text).expect("line"),
            0,
            "the helper said nothing"
        );
        if let Some((_, pid)) = text.split_once("engine ") {
            break pid.trim().parse().expect("pid");
        }
    };
    tracer.kill().expect("kill");
    tracer.wait().expect("wait");
    assert!(gone(pid));
}

#[test]
#[ignore = "a helper process of the_command_dies_with_the_tracer"]
fn helper_tracer_that_dies() {
    let launched = launch(request(
        &words(&["sleep", "300"]),
        &me(),
        &Received::default(),
    ))
    .expect("launch");
    println!("engine {}", launched.pid());
    let _ = launched.wait();
}

#[test]
fn ctrl_c_reaches_both_and_is_known_to_come_from_the_terminal() {
    let terminal = nix::pty::openpty(None, None).expect("pty");
    let mut master = File::from(terminal.master);
    let stdin = terminal.slave.try_clone().expect("slave");
    let mut command = helper("helper_tracer_on_a_terminal");
    command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    let slave = terminal.slave.as_raw_fd();
    // SAFETY: system calls on integers and a local set.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            // In a real `main` the watch is made before there is a second thread; the test harness has one already.
            nix::sys::signal::sigprocmask(
                SigmaskHow::SIG_BLOCK,
                Some(&Signal::SIGINT.into()),
                None,
            )?;
            match libc::ioctl(slave, libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        })
    };
    let mut tracer = command.spawn().expect("helper");
    let mut reader = std::io::BufReader::new(tracer.stdout.take().expect("stdout"));
    let mut text = String::new();
    let mut read_until = |marker: &str| {
        while !text.contains(marker) {
            let mut line = String::new();
            assert_ne!(
                std::io::BufRead::read_line(&mut reader, &mut line).expect("line"),
                0,
                "no {marker:?} in {text:?}"
            );
            text += &line;
        }
        text.clone()
    };
    read_until("asks");
    master.write_all(b"hello\n").expect("type");
    read_until("heard hello");
    master.write_all(b"\x03").expect("Ctrl-C");
    let text = read_until("exit");
    tracer.wait().expect("wait");
    assert!(text.contains("engine got 2"), "{text}");
    assert!(
        text.contains("tracer got SIGINT from_terminal=true"),
        "{text}"
    );
    assert!(
        text.contains("tracer got SIGINT from_terminal=false"),
        "{text}"
    );
}

#[test]
#[ignore = "a helper process of ctrl_c_reaches_both_and_is_known_to_come_from_the_terminal"]
fn helper_tracer_on_a_terminal() {
    let watch = SignalWatch::new(&[Signal::SIGINT]).expect("watch");
    assert_eq!(watch.next().expect("read"), None);
    let next = || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Some(received) = watch.next().expect("read") {
                println!(
                    "tracer got {} from_terminal={}",
                    received.signal, received.from_terminal
                );
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    };
    nix::sys::signal::kill(nix::unistd::getpid(), Signal::SIGINT).expect("kill");
    next();
    let script = "import signal, sys
def got(number, frame):
    # One write, also where Python does not buffer.
    sys.stdout.write('engine got %d\\n' % number); sys.stdout.flush(); sys.exit(4)
signal.signal(signal.SIGINT, got)
print('asks', flush=True); print('heard', input(), flush=True)
signal.pause()";
    let command = words(&["python3", "-c", script]);
    let caller = me();
    let received: OnLine = Arc::new(|_| {});
    let launched = launch(LaunchRequest::new(&command, &caller, received)).expect("launch");
    next();
    let exit = launched.wait().expect("wait");
    println!("exit {}", exit.kind.conventional_code());
    assert_eq!(exit.kind, ExitKind::Code(4));
}
