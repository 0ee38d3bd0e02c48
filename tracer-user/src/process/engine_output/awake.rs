//! How long a thread was awake: what tells, after it has slept, when it was woken.

use std::{fs::File, os::unix::fs::FileExt as _};

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds that are left for what lies between what a thread waits for and its being woken, and for clocks that do not
/// agree to the last tick.
const MARGIN_NANOS: u64 = 1_000_000;

/// How long a thread has run or was ready to run, for the thread that made it.
pub(super) struct AwakeTime {
    /// `/proc/thread-self/schedstat`, opened.
    schedstat: File,
}

impl AwakeTime {
    /// That of the calling thread. None where the kernel does not count it (`CONFIG_SCHED_INFO`).
    pub(super) fn of_this_thread() -> Option<Self> {
        let schedstat = File::open("/proc/thread-self/schedstat").ok()?;
        let awake = Self { schedstat };
        awake.now().map(|_| awake)
    }

    /// Until now.
    pub(super) fn now(&self) -> Option<Awake> {
        let mut text = [0; 96];
        let length = self.schedstat.read_at(&mut text, 0).ok()?;
        // What it says of the time on a processor may be a tick old; the clock is not.
        let (ready, times) = ready_nanos(text.get(..length)?)?;
        let ran = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).ok()?;
        let ran = ran.tv_sec().unsigned_abs() * 1_000_000_000 + ran.tv_nsec().unsigned_abs();
        Some(Awake {
            nanos: ready + ran,
            times,
        })
    }
}

/// For how long, and how many times, a thread was awake until some moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awake {
    nanos: u64,
    times: u64,
}

impl Awake {
    /// The earliest moment at which what woke the thread can have happened, where it was `before` when it looked for the last
    /// time, and this at `now_nanos`. None where it was woken more than once: by a signal that stopped it, for one, and what it
    /// waited for came while it stood still.
    pub(super) fn woken_at_earliest(self, before: Self, now_nanos: u64) -> Option<u64> {
        if self.times.saturating_sub(before.times) > 1 {
            return None;
        }
        let awake = self.nanos.saturating_sub(before.nanos);
        Some(now_nanos.saturating_sub(awake).saturating_sub(MARGIN_NANOS))
    }
}

/// From "ran, waited for a processor, times run" (Documentation/scheduler/sched-stats.rst): the second and third. None where the
/// kernel counts none of it: a thread that reads this has run.
fn ready_nanos(text: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut numbers = text
        .split_whitespace()
        .map_while(|word| word.parse::<u64>().ok());
    let (_, ready, times) = (numbers.next()?, numbers.next()?, numbers.next()?);
    (times > 0).then_some((ready, times))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::monotonic_nanos;

    #[test]
    fn a_thread_is_awake_while_it_works_and_not_while_it_sleeps() {
        let awake = AwakeTime::of_this_thread().expect("this kernel counts it");
        let before = awake.now().expect("awake").nanos;
        std::thread::sleep(Duration::from_millis(300));
        let slept = awake.now().expect("awake").nanos - before;
        // It may have had to wait for a processor when it was woken.
        assert!(slept < 250_000_000, "{slept}");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(50) {}
        let worked = awake.now().expect("awake").nanos - before - slept;
        assert!(worked >= 49_000_000, "{worked}");
    }

    #[test]
    fn what_woke_a_thread_came_after_the_earliest_moment() {
        // Preempted on its way, a thread cannot tell: of some tries one is enough.
        let told = (0..20).any(|_| {
            let (reader, writer) = std::os::unix::net::UnixStream::pair().expect("a pair");
            let waiting = std::thread::spawn(move || {
                let awake = AwakeTime::of_this_thread().expect("this kernel counts it");
                let before = awake.now().expect("awake");
                let began = monotonic_nanos();
                let mut byte = [0];
                std::io::Read::read_exact(&mut &reader, &mut byte).expect("a byte");
                let now = monotonic_nanos();
                let after = awake.now().expect("awake");
                (began, after.woken_at_earliest(before, now), now)
            });
            std::thread::sleep(Duration::from_millis(100));
            let written = monotonic_nanos();
            std::io::Write::write_all(&mut &writer, b"x").expect("written");
            let (began, earliest, now) = waiting.join().expect("the thread");
            let Some(earliest) = earliest else {
                return false;
            };
            assert!(earliest <= written, "{earliest} {written}");
            began < earliest && now - earliest < 50_000_000
        });
        assert!(told);
    }

    #[test]
    fn a_thread_that_was_stopped_cannot_tell() {
        let awake = |nanos, times| Awake { nanos, times };
        let before = awake(100, 7);
        assert_eq!(
            awake(300, 8).woken_at_earliest(before, 5_000_000),
            Some(3_999_800)
        );
        assert_eq!(awake(300, 9).woken_at_earliest(before, 5_000_000), None);
    }

    #[test]
    fn a_kernel_that_does_not_count_is_told() {
        assert_eq!(ready_nanos(b"12 345 6\n"), Some((345, 6)));
        assert_eq!(ready_nanos(b"0 0 0\n"), None);
        for other in [&b""[..], b"1 2", b"a b c", b"\xff"] {
            assert_eq!(ready_nanos(other), None);
        }
    }
}
