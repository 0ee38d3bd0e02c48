//! What every command does with the terminal and with signals.

use anyhow::Context as _;
use nix::sys::signal::Signal;

use crate::process::SignalWatch;

/// Ctrl-C and termination as data, before any thread is there that could take them.
pub(super) fn signals() -> anyhow::Result<SignalWatch> {
    SignalWatch::new(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP])
        .context("cannot take over the handling of signals")
}

/// A reader that has seen enough (`tracer … | head`) is no failure.
pub(super) fn print_ignoring_a_closed_pipe(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot print the table")
        }
        _ => Ok(()),
    }
}

/// Asks a question of whoever sits at the terminal; `None` where nobody does.
pub(super) fn ask(question: &str) -> anyhow::Result<Option<String>> {
    use std::io::{self, BufRead as _, Write as _};
    if !can_ask() {
        return Ok(None);
    }
    eprint!("{question}");
    io::stderr().flush().context("cannot ask")?;
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .context("cannot read the answer")?;
    Ok(Some(answer.trim().to_owned()))
}

/// Whether somebody sits at a terminal.
fn can_ask() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

pub(super) fn terminal_columns() -> Option<u16> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: TIOCGWINSZ writes a winsize to the pointer it is given.
    let result = unsafe { libc::ioctl(libc::STDOUT_FILENO, libc::TIOCGWINSZ, &raw mut size) };
    (result == 0 && size.ws_col > 0).then_some(size.ws_col)
}
