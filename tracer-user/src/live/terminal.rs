//! The terminal while the screen is there, and as it was before: given back when the screen goes, when a signal ends the run,
//! and before a panic is printed.

use std::{
    fs::{File, OpenOptions},
    io::{self, IsTerminal as _, Write as _},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    sync::{Mutex, Once, PoisonError},
};

use nix::sys::termios::{
    FlushArg, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcflush, tcgetattr,
    tcsetattr,
};
use ratatui::crossterm::{
    cursor::{Hide, Show},
    queue,
    style::ResetColor,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen},
};

/// How the terminal was before.
struct Before {
    terminal: File,
    attributes: Termios,
    /// What our standard error was, where it was led elsewhere.
    standard_error: Option<OwnedFd>,
}

/// A process has one terminal.
static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

static PANICS: Once = Once::new();

/// The terminal that a screen can be shown on: our output goes there, and we are in its foreground.
pub fn terminal() -> Option<File> {
    if !io::stdout().is_terminal() || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return None;
    }
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open("/dev/tty")
        .ok()?;
    let foreground = nix::unistd::tcgetpgrp(&terminal).ok()?;
    (foreground == nix::unistd::getpgrp()).then_some(terminal)
}

/// Whether our standard error goes to the screen now.
pub fn errors_are_led() -> bool {
    before()
        .as_ref()
        .is_some_and(|before| before.standard_error.is_some())
}

/// The terminal belongs to the screen until this is dropped.
#[derive(Debug)]
pub struct Taken(());

impl Taken {
    /// Takes a terminal over: keys come one by one, and what stood on it stays below. What is printed to our standard error
    /// meanwhile goes to `messages`, where it would go to a terminal.
    ///
    /// # Errors
    /// It is no terminal, or gone.
    pub fn take(terminal: &File, messages: &OwnedFd) -> io::Result<Self> {
        give_back_before_panics();
        let attributes = tcgetattr(terminal)?;
        let mut own = attributes.clone();
        // Ctrl-C stays a signal, to the engine as well. Ctrl-Z and Ctrl-\ would leave the terminal as the screen has it.
        own.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ECHONL);
        own.input_flags.remove(InputFlags::IXON);
        for (character, value) in [
            (SpecialCharacterIndices::VMIN, 1),
            (SpecialCharacterIndices::VTIME, 0),
            (SpecialCharacterIndices::VSUSP, libc::_POSIX_VDISABLE),
            (SpecialCharacterIndices::VQUIT, libc::_POSIX_VDISABLE),
        ] {
            if let Some(own) = own.control_chars.get_mut(character as usize) {
                *own = value;
            }
        }
        let standard_error = if io::stderr().is_terminal() {
            Some(io::stderr().as_fd().try_clone_to_owned()?)
        } else {
            None
        };
        let leads_errors = standard_error.is_some();
        let mut screen = terminal.try_clone()?;
        *before() = Some(Before {
            terminal: terminal.try_clone()?,
            attributes,
            standard_error,
        });
        let taken = Self(());
        tcsetattr(terminal, SetArg::TCSANOW, &own)?;
        queue!(screen, EnterAlternateScreen, Hide)?;
        screen.flush()?;
        if leads_errors {
            nix::unistd::dup2_stderr(messages)?;
        }
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn before() -> std::sync::MutexGuard<'static, Option<Before>> {
    BEFORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Once; whoever comes later finds nothing to do.
fn give_back() {
    let Some(mut before) = before().take() else {
        return;
    };
    // A terminal that is gone needs nothing.
    let _ = queue!(before.terminal, ResetColor, Show, LeaveAlternateScreen)
        .and_then(|()| before.terminal.flush());
    let _ = tcflush(&before.terminal, FlushArg::TCIFLUSH);
    let _ = tcsetattr(&before.terminal, SetArg::TCSANOW, &before.attributes);
    if let Some(standard_error) = before.standard_error {
        let _ = nix::unistd::dup2_stderr(standard_error);
    }
}

/// The words of a panic belong on the terminal as it was.
fn give_back_before_panics() {
    PANICS.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            hook(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, thread};

    use nix::{pty::openpty, sys::termios::tcgetattr};

    use super::Taken;

    /// Takes a terminal over, does something, and gives back what was written to it.
    fn written_while(what: fn()) -> Vec<u8> {
        let pty = openpty(None, None).expect("a pseudo-terminal");
        let (mut master, slave) = (File::from(pty.master), File::from(pty.slave));
        let before = tcgetattr(&slave).expect("a terminal");
        let expected = before.clone();
        let (_reads, messages) = nix::unistd::pipe().expect("a pipe");
        let terminal = slave.try_clone().expect("a descriptor");
        let ended = thread::spawn(move || {
            let _taken = Taken::take(&terminal, &messages).expect("taken");
            assert_ne!(tcgetattr(&terminal).expect("a terminal"), before);
            what();
        });
        // A panic was meant.
        let _ = ended.join();
        let after = tcgetattr(&slave).expect("a terminal");
        drop(slave);
        let mut written = Vec::new();
        // The end: all other sides are closed.
        let _ = master.read_to_end(&mut written);
        assert_eq!(after, expected);
        written
    }

    fn left_once(written: &[u8]) {
        let count = |what: &[u8]| {
            written
                .windows(what.len())
                .filter(|own| *own == what)
                .count()
        };
        assert_eq!(count(b"\x1b[?1049h"), 1);
        assert_eq!(count(b"\x1b[?1049l"), 1);
        assert!(written.ends_with(b"\x1b[?1049l"), "{written:?}");
    }

    /// A process has one terminal, so both in one test.
    #[test]
    fn the_terminal_is_given_back_at_the_end_and_by_a_panic() {
        left_once(&written_while(|| {}));
        left_once(&written_while(|| panic!("as it must not be")));
    }
}
