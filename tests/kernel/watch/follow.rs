//! Engines that come, go, change their model, and share one.

use anyhow::{Result, ensure};

use super::scene::{Engine, MODEL_BYTES, Service, check_read, disk, folders, model, windows};
use crate::ground::Ground;

/// An engine that is started after the service is followed; what it reads from then on is what the device read, over all of its
/// windows together.
pub fn engine_that_comes_later(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &["--every", "5s"])?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    service.counting(1)?;
    engine.read(&model)?;
    // The next window, which was begun by itself.
    service.said("window 2 of", 1)?;
    service.counting(1)?;
    engine.read(&model)?;
    engine.read(&model)?;
    engine.end()?;
    service.said("of engine-of-tests is in", 2)?;
    service.stop()?;
    let windows = windows(&folder)?;
    check_read(&windows, 2, 3 * MODEL_BYTES)?;
    for (number, window) in (1..).zip(&windows) {
        let uncounted = window.watch["uncounted_before_s"].as_f64();
        ensure!(
            window.watch["window"] == number && uncounted.is_some_and(|time| time < 20.0),
            "{}",
            window.watch
        );
    }
    ensure!(
        windows[0].watch["ended"] == "its time was over",
        "{}",
        windows[0].watch
    );
    let ended = windows[1].watch["ended"].as_str().unwrap_or_default();
    ensure!(ended.contains("the process ended"), "{ended}");
    Ok(())
}

/// The engine that is started anew is another one: its windows are counted from 1.
pub fn engine_restarts(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &[])?;
    for time in 1..=2 {
        let mut engine = Engine::start(ground)?;
        engine.open(&model)?;
        service.counting(1)?;
        engine.read(&model)?;
        engine.end()?;
        service.said("is in", time)?;
    }
    service.stop()?;
    let windows = windows(&folder)?;
    check_read(&windows, 2, 2 * MODEL_BYTES)?;
    let engine = |window: usize| &windows[window].watch["engine"];
    ensure!(
        windows.iter().all(|window| window.watch["window"] == 1)
            && engine(0)["pid"] != engine(1)["pid"]
            && engine(0)["name"] == engine(1)["name"],
        "{} {}",
        engine(0),
        engine(1)
    );
    Ok(())
}

/// A window is of the models that its engine had; another model begins another.
pub fn another_model(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let (first, second) = (model(&disk, "a.gguf")?, model(&disk, "b.gguf")?);
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &[])?;
    let mut engine = Engine::start(ground)?;
    engine.open(&first)?;
    service.counting(1)?;
    engine.read(&first)?;
    engine.open(&second)?;
    service.said("is in", 1)?;
    service.counting(1)?;
    engine.read(&second)?;
    engine.read(&second)?;
    engine.end()?;
    service.said("is in", 2)?;
    service.stop()?;
    let windows = windows(&folder)?;
    check_read(&windows, 2, 3 * MODEL_BYTES)?;
    for (window, (model, reads)) in windows.iter().zip([(&first, 1), (&second, 2)]) {
        let path = window.record.text("model.path")?;
        ensure!(
            path == model.path().to_string_lossy() && window.read_bytes()? == reads * MODEL_BYTES,
            "{path} has {} bytes",
            window.read_bytes()?
        );
    }
    ensure!(
        windows[0].watch["ended"] == "the engine opened another model",
        "{}",
        windows[0].watch
    );
    Ok(())
}

/// Each engine has its windows; one beyond the number is named and gets the place of one that goes.
pub fn two_engines(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let models = [
        model(&disk, "a.gguf")?,
        model(&disk, "b.gguf")?,
        model(&disk, "c.gguf")?,
    ];
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &["--engines-at-most", "2"])?;
    let mut engines = Vec::new();
    for model in &models {
        let mut engine = Engine::start(ground)?;
        engine.open(model)?;
        engines.push(engine);
        service.counting(engines.len().min(2))?;
    }
    service.said("is not followed: 2 are already", 1)?;
    for (engine, model) in engines.iter_mut().zip(&models) {
        engine.read(model)?;
    }
    let mut last = engines.pop();
    for engine in engines {
        engine.end()?;
    }
    service.said("is in", 2)?;
    service.counting(1)?;
    if let Some(engine) = &mut last {
        engine.read(&models[2])?;
    }
    let errors = service.stop()?;
    last.map(Engine::end).transpose()?;
    ensure!(errors.matches("is not followed").count() == 1, "{errors}");
    let windows = windows(&folder)?;
    check_read(&windows, 3, 3 * MODEL_BYTES)?;
    for window in &windows {
        ensure!(window.read_bytes()? == MODEL_BYTES, "{}", window.watch);
    }
    Ok(())
}

/// Reads are counted by their file: of two engines that have the same one, one window counts both.
pub fn one_model_of_two_engines(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let service = Service::start(ground, &folder, &[])?;
    let mut first = Engine::start(ground)?;
    first.open(&model)?;
    service.counting(1)?;
    let mut second = Engine::start(ground)?;
    second.open(&model)?;
    service.said("its reads are counted with that one's", 1)?;
    first.read(&model)?;
    second.read(&model)?;
    ensure!(folders(&folder, ".run=").len() == 1, "both have a window");
    first.end()?;
    service.said("is in", 1)?;
    service.counting(1)?;
    second.read(&model)?;
    service.stop()?;
    second.end()?;
    check_read(&windows(&folder)?, 2, 3 * MODEL_BYTES)
}
