//! What the whole machine's CPUs have done.

use std::fs;

use anyhow::{Context as _, Result};

/// CPU time that all CPUs together have worked since the start of the machine, seconds: in user space, in the kernel,
/// for interrupts. In steps of a hundredth of a second.
///
/// # Errors
/// Where `/proc/stat` has another form.
pub fn busy_seconds() -> Result<f64> {
    let text = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
    let ticks = busy_ticks(&text).context("/proc/stat has no line for all CPUs")?;
    Ok(ticks as f64 / ticks_per_second())
}

/// The unit in which the kernel tells CPU time.
pub(super) fn ticks_per_second() -> f64 {
    // SAFETY: asks for a constant.
    (unsafe { libc::sysconf(libc::_SC_CLK_TCK) }) as f64
}

/// user, nice, system, irq and softirq of the line of all CPUs; guests are in user, and idle, iowait and stolen time
/// are no work.
fn busy_ticks(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    [0, 1, 2, 5, 6]
        .into_iter()
        .map(|place: usize| fields.get(place))
        .sum::<Option<u64>>()
}

#[cfg(test)]
mod tests {
    use super::busy_ticks;

    #[test]
    fn idle_and_stolen_time_is_no_work() {
        let text = "cpu  1 20 300 4000 50000 600000 7000000 80000000 900000000 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy_ticks(text), Some(7_600_321));
        assert_eq!(busy_ticks("intr 5\n"), None);
    }
}
