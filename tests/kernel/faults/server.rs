//! A server that is attached to, left, and whose tracers are killed: it answers as before.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use tests::{reader::RunningProgram, run_record::RunRecord};

use super::{LIMIT, Scene, tracing};
use crate::{ground::check_no_violation, lifecycle::check_said, processes::holds_open};

/// Tracers that end by themselves, and tracers that are killed.
const TRACERS: usize = 4;
const PHASE: Duration = Duration::from_secs(2);

/// A request that takes longer has not been served.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

pub(super) fn server_and_tracers(scene: &Scene<'_>) -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/reading_server.py");
    let mut command = Command::new("python3");
    command.arg(script).arg(scene.file.path());
    let server = RunningProgram::start(&scene.ground.scratch, command)?;
    server.wait_until("it listens", LIMIT, |server| {
        server.output_so_far().contains('\n') && holds_open(server.process_id(), scene.file.path())
    })?;
    let port: u16 = server
        .output_so_far()
        .trim()
        .parse()
        .context("the server says no port")?;

    let mut times = vec![("before", asked_meanwhile(port, || sleep(PHASE))?)];
    for number in 0..TRACERS {
        let killed = number % 2 == 1;
        let mut directory = None;
        let of_run = asked_meanwhile(port, || {
            let (tracer, run) = tracing(scene.attach(server.process_id())?)?;
            sleep(PHASE)?;
            tracer.signal(if killed {
                Signal::SIGKILL
            } else {
                Signal::SIGINT
            })?;
            let finished = tracer.ended(LIMIT)?;
            if !killed {
                check_said(&finished, 0, &[])?;
                directory = Some(run);
            }
            Ok(())
        })?;
        times.push((
            if killed {
                "a tracer that is killed"
            } else {
                "a tracer"
            },
            of_run,
        ));
        if let Some(run) = directory {
            let record = RunRecord::load(&run)?;
            ensure!(
                record.count("reads.count")? > 0,
                "{}",
                record.value("reads")?
            );
            check_no_violation(&record)?;
        }
        times.push(("after", asked_meanwhile(port, || sleep(PHASE))?));
    }
    for (when, mut times) in times {
        times.sort_unstable();
        let at =
            |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        eprintln!(
            "{when}: {} answers, half within {:.2} ms, 99 % within {:.2} ms, all within {:.2} ms",
            times.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
    ensure!(server.is_running()?, "the server has ended");
    Ok(())
}

fn sleep(time: Duration) -> Result<()> {
    thread::sleep(time);
    Ok(())
}

/// How long each answer took while something is done. Every request is answered.
fn asked_meanwhile(port: u16, what: impl FnOnce() -> Result<()>) -> Result<Vec<Duration>> {
    let over = Arc::new(AtomicBool::new(false));
    let client = thread::spawn({
        let over = Arc::clone(&over);
        move || -> Result<Vec<Duration>> {
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                ask(port)?;
                times.push(begun.elapsed());
            }
            Ok(times)
        }
    });
    let done = what();
    over.store(true, Ordering::Relaxed);
    let times = client
        .join()
        .map_err(|_| anyhow::anyhow!("the client panicked"))??;
    done?;
    ensure!(!times.is_empty(), "nothing was asked");
    Ok(times)
}

fn ask(port: u16) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connect to the server")?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .context("wait for the answer")?;
    if !answer.starts_with("HTTP/1.0 200") {
        bail!("the server answered {answer:?}");
    }
    Ok(())
}
