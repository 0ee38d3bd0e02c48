//! A program on a terminal of its own: a pseudo-terminal, and what would stand on it.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    num::NonZeroU16,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    pty::{Winsize, openpty},
    sys::{
        signal::{Signal, kill, killpg},
        termios::{ControlFlags, InputFlags, LocalFlags, OutputFlags, tcgetattr},
    },
    unistd::Pid,
};

/// What leaves the screen on which programs draw.
const LEAVES: &[u8] = b"\x1b[?1049l";

/// Keys that the kernel knows (`NCCS` of `include/uapi/asm-generic/termbits.h`). A C library has room for more, and musl leaves
/// there what was in memory.
const KERNEL_KEYS: usize = 19;

/// How a terminal treats keys and output: what the kernel says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    input: InputFlags,
    output: OutputFlags,
    control: ControlFlags,
    local: LocalFlags,
    keys: [libc::cc_t; KERNEL_KEYS],
}

fn attributes_of(terminal: &OwnedFd) -> Result<Attributes> {
    let termios = tcgetattr(terminal).context("ask the terminal")?;
    let mut keys = [0; KERNEL_KEYS];
    for (key, own) in keys.iter_mut().zip(termios.control_chars) {
        *key = own;
    }
    Ok(Attributes {
        input: termios.input_flags,
        output: termios.output_flags,
        control: termios.control_flags,
        local: termios.local_flags,
        keys,
    })
}

/// A terminal with a program on it, which is killed when this is dropped.
pub struct Terminal {
    child: Child,
    /// Our side.
    master: File,
    /// The program's side.
    slave: OwnedFd,
    before: Attributes,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    parser: vt100::Parser,
    /// What stood there last before the program left the screen on which it drew.
    last_frame: Option<String>,
    /// Bytes that have come.
    bytes: Vec<u8>,
}

impl Shown {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        let mut rest = bytes;
        while let Some(place) = rest.windows(LEAVES.len()).position(|part| part == LEAVES) {
            let (before, after) = rest.split_at(place);
            self.parser.process(before);
            self.last_frame = Some(self.parser.screen().contents());
            let (leaves, after) = after.split_at(LEAVES.len());
            self.parser.process(leaves);
            rest = after;
        }
        self.parser.process(rest);
    }
}

fn number(value: u16) -> NonZeroU16 {
    NonZeroU16::new(value).unwrap_or(NonZeroU16::MIN)
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

nix::ioctl_write_ptr_bad!(set_size, libc::TIOCSWINSZ, Winsize);

impl Terminal {
    /// Starts a program in the foreground of a new terminal of this size.
    ///
    /// # Errors
    /// There is no pseudo-terminal, or no such program.
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Result<Self> {
        let pty = openpty(Some(&size(columns, rows)), None).context("make a pseudo-terminal")?;
        let end = || pty.slave.try_clone().map(Stdio::from);
        command
            .stdin(end()?)
            .stdout(end()?)
            .stderr(end()?)
            .env("TERM", "xterm-256color");
        // SAFETY: all three are async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::setsid();
                libc::ioctl(0, libc::TIOCSCTTY, 0);
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            })
        };
        let before = attributes_of(&pty.slave)?;
        let child = command.spawn().context("start a program on a terminal")?;
        let shown = Arc::new(Mutex::new(Shown {
            parser: vt100::Parser::new(number(rows), number(columns), 2000),
            last_frame: None,
            bytes: Vec::new(),
        }));
        let master = File::from(pty.master);
        let mut reads = master.try_clone().context("no descriptor")?;
        let taken = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            // An error: all other ends are closed.
            while let Ok(count @ 1..) = reads.read(&mut bytes) {
                lock(&taken).take(bytes.get(..count).unwrap_or_default());
            }
        });
        Ok(Self {
            child,
            master,
            slave: pty.slave,
            before,
            shown,
        })
    }

    /// How the terminal treated keys and output before the program began.
    #[must_use]
    pub const fn attributes_before(&self) -> &Attributes {
        &self.before
    }

    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What stands on the terminal now.
    #[must_use]
    pub fn text(&self) -> String {
        lock(&self.shown).parser.screen().contents()
    }

    /// Everything that was written to it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.shown).bytes.clone()
    }

    /// Whether the program draws on a screen of its own now.
    #[must_use]
    pub fn is_drawn_on(&self) -> bool {
        lock(&self.shown).parser.screen().alternate_screen()
    }

    #[must_use]
    pub fn cursor_is_hidden(&self) -> bool {
        lock(&self.shown).parser.screen().hide_cursor()
    }

    /// What stood on the program's own screen before it was left.
    #[must_use]
    pub fn last_frame(&self) -> Option<String> {
        lock(&self.shown).last_frame.clone()
    }

    /// How the terminal treats keys and output now.
    ///
    /// # Errors
    /// It does not say.
    pub fn attributes(&self) -> Result<Attributes> {
        attributes_of(&self.slave)
    }

    /// Changes its size, as a window manager does.
    ///
    /// # Errors
    /// It is refused.
    pub fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        // The parser first: what is drawn for the new size comes after it.
        lock(&self.shown)
            .parser
            .set_size(number(rows), number(columns));
        // SAFETY: a pseudo-terminal, and a size that lives as long as the call.
        unsafe { set_size(self.master.as_raw_fd(), &size(columns, rows)) }
            .context("resize the terminal")?;
        Ok(())
    }

    /// Types.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn keys(&self, keys: &str) -> Result<()> {
        (&self.master).write_all(keys.as_bytes()).context("type")
    }

    /// Sends a signal to the program alone.
    ///
    /// # Errors
    /// It has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).context("signal the program")
    }

    /// Waits until what stands there is as it should be.
    ///
    /// # Errors
    /// It does not become so, with what stands there.
    pub fn wait_for(
        &mut self,
        what: &str,
        limit: Duration,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !holds(self) {
            let ended = self.child.try_wait().context("look at the program")?;
            if Instant::now() > deadline || ended.is_some() && !holds(self) {
                bail!(
                    "{what}: not within {limit:?} (ended: {ended:?}); on the terminal stands\n{}",
                    self.text()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Waits for the program's end, and gives its status as a shell does.
    ///
    /// # Errors
    /// It does not end, with what stands on the terminal.
    pub fn finish(&mut self, limit: Duration) -> Result<i32> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().context("wait for the program")? {
                // What it wrote last is read by another thread.
                thread::sleep(Duration::from_millis(100));
                return Ok(status
                    .code()
                    .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)));
            }
            if Instant::now() > deadline {
                bail!(
                    "it has not ended within {limit:?}; on the terminal stands\n{}",
                    self.text()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let group = Pid::from_raw(self.child.id().cast_signed());
            let _ = killpg(group, Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(10));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
