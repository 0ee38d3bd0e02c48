//! The process that may probe functions, and does nothing else: it reads no file, and what it is told is a place and a
//! descriptor. It puts the tracer's own programs there, which were loaded before.

use std::{
    fs::File,
    io,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd},
    process,
};

use nix::{
    sys::{
        prctl,
        signal::{SigSet, Signal},
        socket::{AddressFamily, SockFlag, SockType, socketpair},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, fork, getppid},
};

use super::{
    super::{preflight::probe_by_link, probes::link_by_descriptor},
    wire::{Request, receive, send},
};
use crate::rights::{Kept, forbid_calls, forgo_new_privileges, reduce_this_thread};

/// What it is called in `/proc/PID/comm`.
const NAME: &std::ffi::CStr = c"tracer-prober";

/// It is ready to probe.
const READY: &[u8] = b"ready";

/// Answer to what is no request.
const NO_REQUEST: i32 = libc::EBADMSG;

/// The tracer's side. Dropping it ends the process.
#[derive(Debug)]
pub struct Prober {
    socket: Option<OwnedFd>,
    process: Pid,
}

impl Prober {
    /// Starts it as a copy of this process, which must have one thread. None where it may not probe with the two capabilities
    /// that it keeps, or this kernel cannot do it.
    ///
    /// # Errors
    /// As of `fork(2)` and `socketpair(2)`.
    pub fn start() -> io::Result<Option<Self>> {
        let (ours, its) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        let parent = Pid::this();
        // SAFETY: there is one thread, so the copy may do whatever this process may.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(ours);
                let ended = serve(its, parent);
                process::exit(i32::from(ended.is_err()));
            }
            ForkResult::Parent { child } => {
                drop(its);
                let prober = Self {
                    socket: Some(ours),
                    process: child,
                };
                // It ends where it cannot probe.
                let (said, _) = receive(prober.socket()?)?;
                Ok((said == READY).then_some(prober))
            }
        }
    }

    /// Tells it which programs it puts on entries and on returns.
    ///
    /// # Errors
    /// It has ended.
    pub fn use_programs(&self, entry: &OwnedFd, returns: &OwnedFd) -> io::Result<()> {
        let programs = [entry.as_raw_fd(), returns.as_raw_fd()];
        send(self.socket()?, b"p", &programs)?;
        self.answer().map(drop)
    }

    /// Probes a place of a file, for every process that maps it, until the link is dropped.
    ///
    /// # Errors
    /// The kernel refuses it; the process has ended.
    pub fn probe(&self, file: &File, request: Request) -> io::Result<OwnedFd> {
        send(self.socket()?, &request.to_bytes(), &[file.as_raw_fd()])?;
        self.answer()?
            .ok_or_else(|| io::Error::other("the process that probes has sent no link"))
    }

    fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        let socket = self.socket.as_ref();
        Ok(socket.ok_or(io::ErrorKind::NotConnected)?.as_fd())
    }

    fn answer(&self) -> io::Result<Option<OwnedFd>> {
        let (bytes, descriptors) = receive(self.socket()?)?;
        let error = <[u8; 4]>::try_from(bytes.as_slice())
            .map(i32::from_ne_bytes)
            .map_err(|_| io::Error::other("the process that probes has ended"))?;
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        Ok(descriptors.into_iter().next())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        // With the socket's other end it ends.
        drop(self.socket.take());
        let _ = waitpid(self.process, None);
    }
}

/// The process's whole life.
fn serve(socket: OwnedFd, parent: Pid) -> io::Result<()> {
    prctl::set_name(NAME)?;
    // Signals of the terminal are the tracer's, which ends this process when it has ended its run.
    SigSet::all().thread_set_mask()?;
    leave_everything_but(&socket)?;
    reduce_this_thread(Kept::Probing)?;
    prctl::set_dumpable(false)?;
    forgo_new_privileges()?;
    probe_by_link().map_err(io::Error::other)?;
    forbid_calls(Kept::Probing)?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Ok(());
    }
    send(socket.as_fd(), READY, &[])?;
    let mut programs: Option<[OwnedFd; 2]> = None;
    loop {
        let (bytes, descriptors) = receive(socket.as_fd())?;
        if bytes.is_empty() {
            return Ok(());
        }
        let done = match (&programs, bytes.as_slice()) {
            (None, b"p") => <[OwnedFd; 2]>::try_from(descriptors)
                .map(|received| {
                    programs = Some(received);
                    None
                })
                .map_err(|_| io::Error::from_raw_os_error(NO_REQUEST)),
            (Some(programs), request) => probe(programs, request, &descriptors).map(Some),
            (None, _) => Err(io::Error::from_raw_os_error(NO_REQUEST)),
        };
        let (error, link) = match done {
            Ok(link) => (0, link),
            Err(error) => (error.raw_os_error().unwrap_or(libc::EIO), None),
        };
        let descriptor: Vec<RawFd> = link.iter().map(|link| link.as_raw_fd()).collect();
        send(socket.as_fd(), &error.to_ne_bytes(), &descriptor)?;
    }
}

fn probe(programs: &[OwnedFd; 2], request: &[u8], files: &[OwnedFd]) -> io::Result<OwnedFd> {
    let (Some(request), [file]) = (Request::from_bytes(request), files) else {
        return Err(io::Error::from_raw_os_error(NO_REQUEST));
    };
    let [entry, returns] = programs;
    let program = if request.returns { returns } else { entry };
    link_by_descriptor(
        program,
        file,
        request.offset_bytes,
        request.cookie,
        request.returns,
    )
}

/// What the tracer had open is not this process's: a pipe's reader would wait for its end, a mount could not be left.
fn leave_everything_but(socket: &OwnedFd) -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    nix::unistd::dup2_stdout(&nothing)?;
    nix::unistd::dup2_stderr(&nothing)?;
    std::env::set_current_dir("/")?;
    let kept = socket.as_raw_fd().cast_unsigned();
    for (first, last) in [(3, kept.saturating_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: nothing that is used from here on has one of these descriptors; `nothing` is not used any more.
            let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    // It was closed above.
    std::mem::forget(nothing);
    Ok(())
}
