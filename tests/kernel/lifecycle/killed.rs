//! SIGKILL at any moment: the tracer can clean up nothing, and all the same nothing is left behind.

use std::{
    env, thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::LoopDisk,
    model_file::ModelFile,
    reader::{ReaderReport, RunningProgram},
    surroundings::Surroundings,
    tracer::TracerCall,
};

use super::{LIMIT, direct_reader};
use crate::{
    ground::{Ground, is_emulated},
    processes::holds_open,
};

/// So often, at moments spread at random over the time that a whole run takes and a little longer.
const KILLS: u32 = 25;
const KILLS_EMULATED: u32 = 3;
const SEED: u64 = 16;
/// Says with which seed instead, for other moments.
const SEED_VARIABLE: &str = "TRACER_TESTS_SEED";

/// Says how often instead: in a night there is time for hundreds.
const KILLS_VARIABLE: &str = "TRACER_TESTS_KILLS";

fn kills(by_default: u32) -> Result<u32> {
    match env::var(KILLS_VARIABLE) {
        Ok(kills) => kills
            .parse()
            .with_context(|| format!("{KILLS_VARIABLE} is {kills}: not a number")),
        Err(_) if is_emulated() => Ok(KILLS_EMULATED),
        Err(_) => Ok(by_default),
    }
}

/// With everything in force that a run can change: a cgroup, locked memory, the disk's read-ahead.
pub(super) fn killed_launches(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let call = || -> Result<TracerCall<'_>> {
        let reader = direct_reader(ground, file)?;
        Ok(TracerCall::launch(&ground.scratch, file.path())?
            .option("--memory-max", "64M")
            .option("--lock", "8M")
            .option("--read-ahead", "64K")
            .reader(&reader))
    };
    let read_ahead = || {
        std::fs::read_to_string(format!("/sys/block/{}/queue/read_ahead_kb", disk.name()))
            .context("read the read-ahead")
    };
    let read_ahead_before = read_ahead()?;
    let begun = Instant::now();
    call()?.run()?.finished.succeeded().context("a whole run")?;
    let before = Surroundings::observe()?;
    kill_at_random(begun.elapsed(), &before, || call()?.start())?;
    let deadline = Instant::now() + LIMIT;
    while read_ahead()? != read_ahead_before {
        ensure!(
            Instant::now() < deadline,
            "the read-ahead is {}, and was {read_ahead_before}",
            read_ahead()?
        );
        thread::sleep(Duration::from_millis(50));
    }
    // Control groups have no owner whose end takes them away: the next run does.
    call()?
        .run()?
        .finished
        .succeeded()
        .context("a run after all")?;
    Ok(())
}

/// The process that was attached to goes on, and reads what it would have read.
pub(super) fn killed_attaches(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mark = ground.scratch.fresh_path("first-round");
    let reader = direct_reader(ground, file)?
        .option("--until-input-closes")
        .option_with("--mark-round", mark.display());
    let server = ground.start_reader(&reader)?;
    server.wait_until("it has read", LIMIT, |server| {
        mark.exists() && holds_open(server.process_id(), file.path())
    })?;
    let call = || -> Result<TracerCall<'_>> {
        let call = TracerCall::attach(&ground.scratch, server.process_id())?
            .option("--model", file.path());
        Ok(call)
    };
    let begun = Instant::now();
    call()?
        .option("--duration", "300ms")
        .run()?
        .finished
        .succeeded()
        .context("a whole run")?;
    let before = Surroundings::observe()?;
    kill_at_random(begun.elapsed(), &before, || call()?.start())?;
    ensure!(server.is_running()?, "the process has ended");
    let output = server.finish(LIMIT)?;
    let report = ReaderReport::find_in(output.succeeded()?)?;
    ensure!(report.bytes > 0, "the process read nothing");
    Ok(())
}

fn kill_at_random(
    whole_run: Duration,
    before: &Surroundings,
    start: impl Fn() -> Result<RunningProgram>,
) -> Result<()> {
    kill_often(KILLS, whole_run, before, start)
}

/// Starts it again and again, and kills it at moments spread at random over this time and a little longer: so often, where
/// nobody says otherwise. After each kill nothing may be left.
pub fn kill_often(
    by_default: u32,
    whole_run: Duration,
    before: &Surroundings,
    start: impl Fn() -> Result<RunningProgram>,
) -> Result<()> {
    let seed = match env::var(SEED_VARIABLE) {
        Ok(seed) => seed
            .parse()
            .with_context(|| format!("{SEED_VARIABLE} is {seed}: not a number"))?,
        Err(_) => SEED,
    };
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut killed, mut too_late) = (0, 0);
    let kills = kills(by_default)?;
    let mut within = whole_run;
    while killed < kills {
        let moment = within.mul_f64(random.f64() * 1.1);
        let tracer = start()?;
        thread::sleep(moment);
        if tracer.is_running()? {
            tracer.signal(Signal::SIGKILL)?;
            killed += 1;
        } else {
            too_late += 1;
            // The run that was measured was held up by something: most kills would come after the end.
            within = within.min(moment);
        }
        tracer.ended(LIMIT)?;
        nothing_but_groups_left(before)
            .with_context(|| format!("after kill {killed}, {moment:?} after the start"))?;
        ensure!(too_late < 10 * kills, "the run is always over before");
    }
    eprintln!(
        "killed {killed} times within {within:?}, seed {seed}; {too_late} runs were over before"
    );
    Ok(())
}

/// Nothing is left but control groups, which the next run removes.
fn nothing_but_groups_left(before: &Surroundings) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let mut left = Surroundings::observe()?.left_since(before)?;
        left.retain(|one| !one.starts_with("control group"));
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("left behind: {}", left.join("; "));
        }
        thread::sleep(Duration::from_millis(50));
    }
}
