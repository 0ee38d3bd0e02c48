//! A log file or a pipe that others write, read line by line while it grows.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::output::{Drain, LONGEST_PIECE_BYTES, Lines, OutputLine, OutputStream, monotonic_nanos};

/// How often a file is looked at.
const LOOK_INTERVAL_MILLISECONDS: u16 = 20;

/// Something that is read in a thread of its own until this is stopped or dropped.
#[derive(Debug)]
pub struct Followed {
    /// Hung up to stop the thread.
    stop: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Followed {
    /// Reads on from the end of a file, or what comes through a pipe. Lines come as standard output's. A file that becomes
    /// shorter is read from its beginning; one that is renamed goes on being read.
    ///
    /// # Errors
    /// No descriptor, no thread, a file that cannot be read in this way.
    pub fn start(
        mut file: File,
        on_line: impl Fn(OutputLine) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let kind = file.metadata()?.file_type();
        // An engine that inherited an end would keep it open.
        let (stopped, stop) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
        let builder = thread::Builder::new().name("follow".to_owned());
        let thread = if kind.is_file() {
            file.seek(SeekFrom::End(0))?;
            builder.spawn(move || follow_file(file, &stopped, &on_line))?
        } else if kind.is_fifo() || kind.is_socket() || kind.is_char_device() {
            let drain = Drain {
                stream: OutputStream::Stdout,
                pipe: file.into(),
                last_call: stopped,
                linger: Duration::ZERO,
                passthrough: None,
                file: None,
            };
            builder.spawn(move || {
                drain.run(&on_line);
            })?
        } else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is neither a file nor a pipe",
            ));
        };
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Followed {
    /// Reads what is there, and ends.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed; the lines until then count.
            let _ = thread.join();
        }
    }
}

fn follow_file(mut file: File, stopped: &OwnedFd, on_line: &(dyn Fn(OutputLine) + Send + Sync)) {
    let mut lines = Lines::new(OutputStream::Stdout, monotonic_nanos(), on_line);
    let mut buffer = vec![0; LONGEST_PIECE_BYTES];
    let mut empty_nanos = monotonic_nanos();
    let mut last_look = false;
    loop {
        let looked = monotonic_nanos();
        match file.read(&mut buffer) {
            Ok(0) => {
                empty_nanos = looked;
                if last_look {
                    break;
                }
                let mut watched = [PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
                let timeout = PollTimeout::from(LOOK_INTERVAL_MILLISECONDS);
                last_look = poll(&mut watched, timeout).is_ok_and(|events| events > 0);
                if was_cut(&mut file) && file.seek(SeekFrom::Start(0)).is_err() {
                    break;
                }
            }
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default();
                lines.push(bytes, monotonic_nanos(), empty_nanos);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A file system that went away: nothing more comes.
            Err(_) => break,
        }
    }
    lines.finish();
}

fn was_cut(file: &mut File) -> bool {
    let length = file.metadata().map(|metadata| metadata.len());
    length
        .ok()
        .zip(file.stream_position().ok())
        .is_some_and(|(length, position)| length < position)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::Write as _,
        sync::{Arc, Mutex, mpsc},
        time::Duration,
    };

    use super::{Followed, OutputLine};

    const LONG: Duration = Duration::from_secs(20);

    fn text(line: &OutputLine) -> String {
        String::from_utf8_lossy(&line.bytes).into_owned()
    }

    #[test]
    fn a_file_is_read_from_its_end_on_and_says_how_late() {
        let mut written = tempfile::NamedTempFile::new().expect("a file");
        writeln!(written, "before").expect("written");
        let (sender, lines) = mpsc::channel();
        let followed = Followed::start(File::open(written.path()).expect("opened"), move |line| {
            sender.send(line).expect("received")
        })
        .expect("followed");
        std::thread::sleep(Duration::from_millis(60));
        writeln!(written, "one").expect("written");
        let one = lines.recv_timeout(LONG).expect("a line");
        assert_eq!(text(&one), "one");
        assert!(one.empty_nanos < one.monotonic_nanos);
        // It becomes shorter.
        written.as_file().set_len(0).expect("cut");
        std::thread::sleep(Duration::from_millis(100));
        std::fs::write(written.path(), "two\nthree").expect("written");
        assert_eq!(text(&lines.recv_timeout(LONG).expect("a line")), "two");
        drop(followed);
        assert_eq!(text(&lines.recv_timeout(LONG).expect("a line")), "three");
        assert!(lines.recv().is_err());
    }

    #[test]
    fn a_line_says_when_the_pipe_was_empty() {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).expect("a pipe");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::clone(&seen);
        let followed = Followed::start(File::from(read), move |line| {
            own.lock().expect("lock").push(line);
        })
        .expect("followed");
        let mut write = File::from(write);
        for line in 0..3 {
            std::thread::sleep(Duration::from_millis(120));
            writeln!(write, "{line}").expect("written");
        }
        drop(followed);
        let seen = seen.lock().expect("lock");
        assert_eq!(seen.iter().map(text).collect::<Vec<_>>(), ["0", "1", "2"]);
        // The second and third would reach back 120 ms if the reader knew only when it had read the line before.
        let late = |line: &OutputLine| line.monotonic_nanos - line.empty_nanos;
        let least = seen.iter().map(late).min().expect("three");
        assert!(least > 0 && least < 110_000_000, "{least}");
        assert!(
            seen.windows(2)
                .all(|two| two[0].monotonic_nanos < two[1].empty_nanos)
        );
    }
}
