//! The service is killed, its disk is full.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::disk::Mount;

use super::scene::{
    Engine, LIMIT, MODEL_BYTES, Service, check_read, disk, folders, model, windows,
};
use crate::{ground::Ground, processes::children};

/// What a window may take to come to its end.
const HANGS: Duration = Duration::from_secs(60);

/// What was counted before is kept, nothing is counted twice, and the engine goes on with its next window.
pub fn killed_and_started_again(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &[])?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    service.counting(1)?;
    engine.read(&model)?;
    service.program.signal(Signal::SIGKILL)?;
    service.program.ended(LIMIT)?;
    // At once: the window of the killed one may still be at its end.
    let service = Service::start(ground, &folder, &[])?;
    service.said("kept what the service that was killed had counted", 1)?;
    service.counting(1)?;
    engine.read(&model)?;
    engine.read(&model)?;
    service.stop()?;
    engine.end()?;
    let windows = windows(&folder)?;
    check_read(&windows, 2, 3 * MODEL_BYTES)?;
    let noted = |window: usize, member: &str| windows[window].watch[member].clone();
    ensure!(
        noted(0, "ended") == "the service was killed"
            && noted(1, "window") == 2
            && noted(1, "uncounted_before_s")
                .as_f64()
                .is_some_and(|time| time > 0.0)
            && noted(1, "ended") == "the service was stopped",
        "{} {}",
        windows[0].watch,
        windows[1].watch
    );
    Ok(())
}

/// It says once that there is no room, loses what finds none and says so, and goes on when there is.
pub fn disk_full(ground: &Ground) -> Result<()> {
    const PLACE_MIB: u64 = 64;
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let place = Mount::tmpfs_of(&ground.scratch, PLACE_MIB)?;
    let folder = place.mount_point().join("watch");
    let service = Service::start(ground, &folder, &["--every", "5s"])?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    service.counting(1)?;
    // Not a byte is left, while a window is open.
    let filler = place.mount_point().join("filler");
    let filled = std::process::Command::new("dd")
        .args(["if=/dev/zero", "bs=1M", "status=none"])
        .arg(format!("of={}", filler.display()))
        .output()?;
    ensure!(!filled.status.success(), "it is not full");
    service.said("no window is begun until there is room", 1)?;
    service.said("cannot be followed", 1)?;
    let lost = service.program.errors_so_far();
    ensure!(
        folders(&folder, "run=").is_empty(),
        "there is a window: {lost}"
    );
    ensure!(
        folders(&folder, ".run=").is_empty(),
        "half a window is left: {lost}"
    );
    std::thread::sleep(std::time::Duration::from_secs(6));
    fs::remove_file(&filler)?;
    service.counting(1)?;
    engine.read(&model)?;
    let errors = service.stop()?;
    engine.end()?;
    ensure!(
        errors
            .matches("no window is begun until there is room")
            .count()
            == 1,
        "it says so again and again: {errors}"
    );
    let windows = windows(&folder)?;
    ensure!(
        windows
            .iter()
            .map(|it| it.read_bytes())
            .sum::<Result<u64>>()?
            == MODEL_BYTES,
        "{errors}"
    );
    Ok(())
}

/// A window that does not come to its end is killed, what it had counted is lost and said, and nothing of it is left.
pub fn window_that_hangs(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &[])?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    service.counting(1)?;
    engine.read(&model)?;
    let windows_of = children(service.program.process_id());
    let [window] = windows_of[..] else {
        anyhow::bail!("{windows_of:?} are its children");
    };
    kill(Pid::from_raw(i32::try_from(window)?), Signal::SIGSTOP)?;
    let begun = Instant::now();
    service.program.signal(Signal::SIGTERM)?;
    let finished = service.program.finish(HANGS + LIMIT)?;
    finished.succeeded()?;
    let took = begun.elapsed();
    ensure!(
        took >= HANGS && finished.errors.contains("cannot be followed"),
        "after {took:?}: {}",
        finished.errors
    );
    for beginning in ["run=", ".run="] {
        let left = folders(&folder, beginning);
        ensure!(left.is_empty(), "{left:?} are left");
    }
    ensure!(!Path::new(&format!("/proc/{window}")).exists(), "it runs");
    engine.end()
}
