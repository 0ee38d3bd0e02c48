//! Binding this process, what it starts, and the device's work to some CPUs.

use std::{fs, path::Path, thread};

use anyhow::{Context as _, Result};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use crate::environment::{Cleanup, on_exit};

/// The CPUs of work that the kernel does for a loop device, and of all other work that is bound to none.
const WORKERS: &str = "/sys/devices/virtual/workqueue/cpumask";

/// Holds until it is dropped: threads that are started meanwhile, processes too, and the kernel's workers run on the
/// first CPUs only.
#[derive(Debug)]
pub struct BoundProcessors {
    before: CpuSet,
    _workers: Option<Cleanup>,
}

impl BoundProcessors {
    /// Binds to the first so many CPUs of those that this process may use. Nothing is changed where that is all.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn first(count: usize) -> Result<Self> {
        let ourselves = Pid::from_raw(0);
        let before = sched_getaffinity(ourselves).context("ask on which CPUs we may run")?;
        if count >= thread::available_parallelism()?.get() {
            return Ok(Self {
                before,
                _workers: None,
            });
        }
        let chosen: Vec<usize> = (0..CpuSet::count())
            .filter(|cpu| before.is_set(*cpu).unwrap_or(false))
            .take(count)
            .collect();
        let mut set = CpuSet::new();
        for cpu in &chosen {
            set.set(*cpu).context("choose a CPU")?;
        }
        let workers = Path::new(WORKERS);
        let workers_before =
            fs::read_to_string(workers).with_context(|| format!("read {WORKERS}"))?;
        let restore = on_exit(move || {
            if let Err(error) = fs::write(workers, workers_before.trim()) {
                eprintln!("cannot put {WORKERS} back: {error}");
            }
        });
        fs::write(workers, mask(&chosen)).with_context(|| format!("write {WORKERS}"))?;
        sched_setaffinity(ourselves, &set).context("bind this process to some CPUs")?;
        Ok(Self {
            before,
            _workers: Some(restore),
        })
    }
}

impl Drop for BoundProcessors {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(Pid::from_raw(0), &self.before) {
            eprintln!("cannot let this process run on all its CPUs again: {error}");
        }
    }
}

/// As the kernel writes masks: hexadecimal words of 32 bits, the highest first.
fn mask(processors: &[usize]) -> String {
    let words = processors.iter().max().map_or(1, |last| last / 32 + 1);
    let text: Vec<String> = (0..words)
        .rev()
        .map(|word| {
            let bits = processors
                .iter()
                .filter(|cpu| *cpu / 32 == word)
                .fold(0u32, |bits, cpu| bits | 1 << (cpu % 32));
            format!("{bits:08x}")
        })
        .collect();
    text.join(",")
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn masks_are_words_with_the_highest_first() {
        assert_eq!(mask(&[0, 1]), "00000003");
        assert_eq!(mask(&[3, 33]), "00000002,00000008");
    }
}
