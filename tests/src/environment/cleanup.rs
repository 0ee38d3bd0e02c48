//! Undoing what was done, on drop and on signals.

use std::{
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

type Action = Box<dyn FnOnce() + Send>;

static ACTIONS: Mutex<Vec<(u64, Action)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);
static SIGNAL_PIPE: AtomicI32 = AtomicI32::new(-1);

fn actions() -> MutexGuard<'static, Vec<(u64, Action)>> {
    // An action that panicked leaves the list itself whole.
    ACTIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs its action when it is dropped.
#[must_use = "a cleanup that is dropped at once undoes the thing at once"]
#[derive(Debug)]
pub struct Cleanup {
    id: u64,
}

/// Registers an action that undoes something. Where possible it is registered before the thing is done,
/// so that no signal finds a gap; it must therefore bear that there is nothing to undo. It must not hold or
/// drop another [`Cleanup`].
pub fn on_exit(action: impl FnOnce() + Send + 'static) -> Cleanup {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    actions().push((id, Box::new(action)));
    Cleanup { id }
}

impl Drop for Cleanup {
    fn drop(&mut self) {
        // The list stays locked while the action runs, so that a signal waits for its end.
        let mut actions = actions();
        if let Some(position) = actions.iter().position(|(id, _)| *id == self.id) {
            let (_, action) = actions.remove(position);
            action();
        }
    }
}

extern "C" fn note_signal(signal: i32) {
    let byte = [signal as u8];
    // SAFETY: write(2) is async-signal-safe, and the byte outlives the call.
    unsafe { libc::write(SIGNAL_PIPE.load(Ordering::Relaxed), byte.as_ptr().cast(), 1) };
}

/// From now on SIGINT and SIGTERM undo everything, newest first, and end the process with 128 + signal.
///
/// # Errors
/// Where the pipe, the thread or the handlers cannot be made.
pub fn clean_up_on_signals() -> Result<()> {
    let (reader, writer) = pipe()?;
    SIGNAL_PIPE.store(writer.as_raw_fd(), Ordering::Relaxed);
    // The handler uses it until the end of the process.
    std::mem::forget(writer);
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || wait_for_signal(&reader))
        .context("start the thread that waits for signals")?;
    let action = SigAction::new(
        SigHandler::Handler(note_signal),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        // SAFETY: the handler only calls write(2).
        unsafe { sigaction(signal, &action) }.with_context(|| format!("handle {signal}"))?;
    }
    Ok(())
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = std::io::pipe().context("make a pipe for signals")?;
    Ok((reader.into(), writer.into()))
}

fn wait_for_signal(reader: &OwnedFd) {
    let mut byte = [0u8];
    // SAFETY: the buffer is one byte long and outlives the call.
    while unsafe { libc::read(reader.as_raw_fd(), byte.as_mut_ptr().cast(), 1) } != 1 {}
    eprintln!("\nsignal {}: cleaning up", byte[0]);
    // Locked to the end: nothing new is registered, and the main thread stops at its next cleanup.
    let mut actions = actions();
    while let Some((_, action)) = actions.pop() {
        action();
    }
    // SAFETY: ends the process without destructors, which would wait for the list that is locked here.
    unsafe { libc::_exit(128 + i32::from(byte[0])) }
}

#[cfg(test)]
mod tests {
    use super::on_exit;
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    #[test]
    fn an_action_runs_once_when_it_is_dropped() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let cleanup = on_exit(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        drop(cleanup);
        assert_eq!(runs.load(Ordering::Relaxed), 1);
    }
}
