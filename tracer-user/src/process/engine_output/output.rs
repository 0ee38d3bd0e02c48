//! A child's output: copied to our own, kept in a file, and cut into lines with the time of their arrival.
//!
//! Whatever happens to the copies, the pipe is read on: a closed terminal or a full disk must neither kill nor block
//! the engine. (A reader of our own output that is only slow does slow the engine down, as it would without us.)

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use super::awake::AwakeTime;

/// Which of the child's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// Longest piece of a line that is handed on at once, bytes; a longer line comes in several pieces.
pub const LONGEST_PIECE_BYTES: usize = 64 << 10;

/// How often an empty pipe is looked at where nothing else tells how late a line was read at most.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);
/// And where it does: for one that was woken twice, which does not know by what.
const LONG_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// `/proc/sys/fs/pipe-max-size` as it is by default.
const LARGEST_PIPE_BYTES: usize = 1 << 20;

/// A line of the child's output, or a piece of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputLine {
    /// Where the child wrote it.
    pub stream: OutputStream,
    /// `CLOCK_MONOTONIC`, nanoseconds, when its end was read from the pipe (the child wrote it earlier).
    pub monotonic_nanos: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds, when the pipe was last seen empty before that: the child wrote it later, unless it
    /// buffered it itself.
    pub empty_nanos: u64,
    /// Without the `\n`.
    pub bytes: Vec<u8>,
    /// False for a piece of a line that goes on, and for a last line without `\n`.
    pub ended: bool,
}

/// What became of one of the child's outputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    pub stream: OutputStream,
    /// Bytes that the child wrote and we read.
    pub bytes: u64,
    /// False if someone still held the pipe open when we stopped reading (a process that the child left behind).
    pub reached_end: bool,
    /// Why the copy to our own output stopped, if it did.
    pub passthrough_error: Option<String>,
    /// Why the kept file is incomplete, if it is.
    pub file_error: Option<String>,
    /// Why reading stopped early, if it did.
    pub read_error: Option<String>,
}

/// Nanoseconds of `CLOCK_MONOTONIC`, the clock of the tracer's kernel records (`bpf_ktime_get_ns`).
#[must_use]
pub fn monotonic_nanos() -> u64 {
    // CLOCK_MONOTONIC exists on every Linux; it cannot fail and is not negative.
    clock_gettime(ClockId::CLOCK_MONOTONIC)
        .map(|time| time.tv_sec().unsigned_abs() * 1_000_000_000 + time.tv_nsec().unsigned_abs())
        .unwrap_or(0)
}

/// One pipe from the child and where its bytes go.
pub(crate) struct Drain {
    pub stream: OutputStream,
    /// Read end of the child's pipe.
    pub pipe: OwnedFd,
    /// Readable or hung up when the child has exited and nobody waits for more: from then on `linger` is left.
    pub last_call: OwnedFd,
    /// How long to wait for the end of the pipe after that.
    pub linger: Duration,
    pub passthrough: Option<OwnedFd>,
    pub file: Option<File>,
}

impl Drain {
    /// Reads until the end of the pipe. `on_line` runs on this thread and must not block for long.
    pub(crate) fn run(mut self, on_line: &(dyn Fn(OutputLine) + Send + Sync)) -> OutputReport {
        let mut report = OutputReport {
            stream: self.stream,
            bytes: 0,
            reached_end: false,
            passthrough_error: None,
            file_error: None,
            read_error: None,
        };
        let mut empty_nanos = monotonic_nanos();
        let mut lines = Lines::new(self.stream, empty_nanos, on_line);
        let mut buffer = vec![0; LONGEST_PIECE_BYTES];
        let awake = AwakeTime::of_this_thread();
        let mut deadline = None;
        let mut late_bytes = 0;
        loop {
            match self.wait_readable(&mut deadline, late_bytes, awake.as_ref(), &mut empty_nanos) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    report.read_error = Some(error.to_string());
                    break;
                }
            }
            let bytes = match nix::unistd::read(&self.pipe, &mut buffer) {
                Ok(0) => {
                    report.reached_end = true;
                    break;
                }
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                Err(error) => {
                    report.read_error = Some(error.to_string());
                    break;
                }
            };
            let arrived = monotonic_nanos();
            report.bytes += bytes.len() as u64;
            if deadline.is_some_and(|at| at <= Instant::now()) {
                late_bytes += bytes.len();
            }
            keep_going(
                &mut self.passthrough,
                &mut report.passthrough_error,
                |target| write_all(target, bytes),
            );
            keep_going(&mut self.file, &mut report.file_error, |target| {
                target.write_all(bytes)
            });
            lines.push(bytes, arrived, empty_nanos);
        }
        lines.finish();
        report
    }

    /// True when the pipe can be read, false when the child has exited, nobody waits for more, and the time for its leftovers is over.
    ///
    /// What already lies in the pipe is read even after that time (a slow copy to a terminal may have used it up), but
    /// no more than a pipe can hold: a process left behind may write for ever.
    fn wait_readable(
        &self,
        deadline: &mut Option<Instant>,
        late_bytes: usize,
        awake: Option<&AwakeTime>,
        empty_nanos: &mut u64,
    ) -> nix::Result<bool> {
        loop {
            let looked = monotonic_nanos();
            let awake_before = awake.and_then(AwakeTime::now);
            let mut pipe = [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)];
            let was_empty = poll(&mut pipe, PollTimeout::ZERO) == Ok(0);
            if was_empty {
                *empty_nanos = looked;
            }
            let remaining =
                deadline.map(|at: Instant| at.saturating_duration_since(Instant::now()));
            let over = remaining.is_some_and(|left| left.is_zero());
            if over && late_bytes >= LARGEST_PIPE_BYTES {
                return Ok(false);
            }
            let timeout = match remaining {
                Some(_) if over => PollTimeout::ZERO,
                Some(left) => {
                    PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
                }
                // What woke this thread, and when at the earliest, is told by how long it was awake.
                None if awake_before.is_some() => {
                    PollTimeout::try_from(LONG_LOOK_INTERVAL).unwrap_or(PollTimeout::MAX)
                }
                None => PollTimeout::try_from(LOOK_INTERVAL).unwrap_or(PollTimeout::MAX),
            };
            let mut polled = [
                PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.last_call.as_fd(), PollFlags::POLLIN),
            ];
            // After the last call only the pipe is of interest.
            let watched = if deadline.is_some() {
                &mut polled[..1]
            } else {
                &mut polled[..]
            };
            match poll(watched, timeout) {
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            let [pipe, last_call] =
                polled.map(|entry| entry.revents().is_some_and(|events| !events.is_empty()));
            if deadline.is_none() && last_call {
                *deadline = Some(Instant::now() + self.linger);
            }
            let now = monotonic_nanos();
            if pipe
                && was_empty
                && let Some(woken) = awake
                    .and_then(AwakeTime::now)
                    .zip(awake_before)
                    .and_then(|(after, before)| after.woken_at_earliest(before, now))
            {
                *empty_nanos = woken.max(looked);
            }
            if pipe || over {
                return Ok(pipe);
            }
        }
    }
}

/// Writes to a target until the first error, which is kept; then never again.
fn keep_going<T>(
    target: &mut Option<T>,
    error: &mut Option<String>,
    write: impl FnOnce(&mut T) -> io::Result<()>,
) {
    if let Some(open) = target
        && let Err(failure) = write(open)
    {
        *error = Some(failure.to_string());
        *target = None;
    }
}

fn write_all(target: &mut OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match nix::unistd::write(&*target, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // The terminal's open file is shared with other programs, which may have made it non-blocking.
            Err(Errno::EAGAIN) => {
                let _ = poll(
                    &mut [PollFd::new(target.as_fd(), PollFlags::POLLOUT)],
                    PollTimeout::from(100u8),
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Cuts a stream into lines, and lines into pieces of bounded length.
pub(super) struct Lines<'a> {
    stream: OutputStream,
    pending: Vec<u8>,
    empty_nanos: u64,
    on_line: &'a (dyn Fn(OutputLine) + Send + Sync),
}

impl<'a> Lines<'a> {
    pub(super) const fn new(
        stream: OutputStream,
        empty_nanos: u64,
        on_line: &'a (dyn Fn(OutputLine) + Send + Sync),
    ) -> Self {
        Self {
            stream,
            pending: Vec::new(),
            empty_nanos,
            on_line,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8], arrived: u64, empty_nanos: u64) {
        self.empty_nanos = empty_nanos;
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = part
                .strip_suffix(b"\n")
                .map_or((part, false), |text| (text, true));
            let mut rest = text;
            while self.pending.len() + rest.len() > LONGEST_PIECE_BYTES {
                let (now, later) = rest.split_at(LONGEST_PIECE_BYTES - self.pending.len());
                self.pending.extend_from_slice(now);
                self.hand_on(arrived, false);
                rest = later;
            }
            self.pending.extend_from_slice(rest);
            if ended {
                self.hand_on(arrived, true);
            }
        }
    }

    pub(super) fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.hand_on(monotonic_nanos(), false);
        }
    }

    fn hand_on(&mut self, monotonic_nanos: u64, ended: bool) {
        let bytes = std::mem::take(&mut self.pending);
        (self.on_line)(OutputLine {
            stream: self.stream,
            monotonic_nanos,
            empty_nanos: self.empty_nanos,
            bytes,
            ended,
        });
    }
}

/// A copy of one of our own outputs, for a passthrough that does not go through Rust's line buffer.
pub(crate) fn own_output(stream: OutputStream) -> io::Result<OwnedFd> {
    match stream {
        OutputStream::Stdout => io::stdout().as_fd().try_clone_to_owned(),
        OutputStream::Stderr => io::stderr().as_fd().try_clone_to_owned(),
    }
    .inspect(|copy| debug_assert!(copy.as_raw_fd() > 2))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However the stream is cut into reads, the pieces put together are the stream.
        #[test]
        fn pieces_put_together_are_the_stream(
            lengths in proptest::collection::vec(0usize..150_000, 0..4),
            cuts in proptest::collection::vec(1usize..70_000, 1..8),
            last_ends: bool,
        ) {
            let mut stream = Vec::new();
            for (index, length) in lengths.iter().enumerate() {
                stream.extend(std::iter::repeat_n(b'a' + index as u8, *length));
                if last_ends || index + 1 < lengths.len() {
                    stream.push(b'\n');
                }
            }
            let received = Mutex::new(Vec::new());
            let on_line = |line: OutputLine| received.lock().expect("lock").push(line);
            let mut lines = Lines { stream: OutputStream::Stdout, pending: Vec::new(), empty_nanos: 0, on_line: &on_line };
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                lines.push(now, 1, 0);
                rest = later;
            }
            lines.finish();
            let received = received.into_inner().expect("lock");
            prop_assert!(received.iter().all(|line| line.bytes.len() <= LONGEST_PIECE_BYTES));
            let mut again = Vec::new();
            for line in &received {
                again.extend_from_slice(&line.bytes);
                if line.ended { again.push(b'\n'); }
            }
            prop_assert_eq!(again, stream);
        }
    }

    #[test]
    fn a_target_that_failed_once_is_never_written_again() {
        let (mut target, mut error) = (Some(0), None);
        for _ in 0..3 {
            keep_going(&mut target, &mut error, |calls| {
                *calls += 1;
                if *calls == 2 {
                    Err(io::Error::other("full"))
                } else {
                    Ok(())
                }
            });
        }
        // A third write that succeeds would leave a hole in the copy.
        assert_eq!((target, error.as_deref()), (None, Some("full")));
    }

    #[test]
    fn time_moves() {
        let before = monotonic_nanos();
        std::thread::sleep(Duration::from_millis(2));
        let passed = monotonic_nanos() - before;
        assert!((2_000_000..1_000_000_000).contains(&passed), "{passed}");
    }
}
