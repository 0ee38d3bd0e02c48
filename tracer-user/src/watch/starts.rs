//! When a process was started, by the clock on the wall.

use std::time::{Duration, SystemTime};

use anyhow::Context as _;

use crate::process::ObservedProcess;

use super::engine::EngineKey;

/// The kernel's id of this boot.
///
/// # Errors
/// `/proc` cannot be read.
pub fn boot_id() -> anyhow::Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim().to_owned())
}

/// When an engine was started, to a hundredth of a second. None where it runs no more, or the kernel does not say.
#[must_use]
pub fn started_at(engine: EngineKey) -> Option<SystemTime> {
    let process = ObservedProcess::open(engine.pid).ok()?;
    if process.identity().start_time_ticks != engine.start_time_ticks || !process.is_running() {
        return None;
    }
    let ticks = procfs::ticks_per_second();
    let since_boot = engine.start_time_ticks as f64 / ticks as f64;
    let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
    let ago = Duration::from(up).as_secs_f64() - since_boot;
    SystemTime::now().checked_sub(Duration::try_from_secs_f64(ago).ok()?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::{EngineKey, started_at};
    use crate::process::ObservedProcess;

    #[test]
    fn a_child_was_started_just_now() {
        let before = SystemTime::now();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep");
        let process = ObservedProcess::open(child.id() as i32).expect("it runs");
        let key = EngineKey {
            start_time_ticks: process.identity().start_time_ticks,
            pid: process.pid(),
        };
        let started = started_at(key);
        let earlier = EngineKey {
            start_time_ticks: key.start_time_ticks - 100,
            ..key
        };
        let of_another = started_at(earlier);
        child.kill().expect("killed");
        child.wait().expect("ended");
        let started = started.expect("it ran");
        let off = started
            .duration_since(before)
            .unwrap_or_else(|sooner| sooner.duration());
        assert!(off < Duration::from_millis(500), "{off:?}");
        assert_eq!((of_another, started_at(key)), (None, None));
    }
}
