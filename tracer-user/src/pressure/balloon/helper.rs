//! The process that holds the memory.

use std::io::{self, Read, Write};

use memmap2::{Advice, MmapMut, MmapOptions};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::capacity::page_bytes;

/// Command name of the helper, as ps shows it (at most 15 bytes).
pub(super) const HELPER_COMM: &str = "tracer-balloon";

/// Bytes that are touched and locked between two messages.
const CHUNK_BYTES: usize = 64 << 20;

/// What the hidden subcommand does: locks `bytes`, tells standard output about it, and holds on until standard input
/// closes. For each chunk a line `locked BYTES`, or once `failed REASON`.
pub fn helper_main(bytes: u64) -> ! {
    helper_on(bytes, io::stdin(), io::stdout())
}

/// The same on other pipes.
pub(super) fn helper_on(bytes: u64, lifeline: impl Read, mut messages: impl Write) -> ! {
    match lock_all(bytes, &mut messages) {
        Ok(_memory) => {
            wait_for_end(lifeline);
            std::process::exit(0)
        }
        Err(reason) => {
            // On one line, and if nobody listens any more there is nobody to tell.
            let _ = writeln!(messages, "failed {}", reason.replace('\n', " "));
            std::process::exit(1)
        }
    }
}

fn wait_for_end(mut lifeline: impl Read) {
    let mut byte = [0];
    loop {
        match lifeline.read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

fn lock_all(bytes: u64, messages: &mut impl Write) -> Result<MmapMut, String> {
    let described =
        |action: &'static str| move |error: io::Error| format!("cannot {action}: {error}");
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)
        .map_err(io::Error::from)
        .map_err(described("ask to die with the tracer"))?;
    // Not prctl, which names the calling thread only.
    std::fs::write("/proc/self/comm", HELPER_COMM).map_err(described("name itself"))?;
    std::fs::write("/proc/self/oom_score_adj", "1000")
        .map_err(described("offer itself to the OOM killer"))?;
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_MEMLOCK) {
        // Without the capability the soft limit counts; raising it up to the hard one needs no privilege.
        let _ = setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard);
    }
    let length = usize::try_from(bytes)
        .map_err(|_| format!("{bytes} bytes do not fit the address space"))?;
    let mut memory = MmapOptions::new()
        .len(length)
        .map_anon()
        .map_err(described("reserve the address space"))?;
    // EINVAL: a kernel without huge pages, which is as good.
    let _ = memory.advise(Advice::NoHugePage);
    let page_bytes = usize::try_from(page_bytes()).map_err(|error| error.to_string())?;
    let mut locked_bytes = 0;
    for chunk in memory.chunks_mut(CHUNK_BYTES) {
        for page in chunk.chunks_mut(page_bytes) {
            page[0] = 1; // A page that was only read may be the shared zero page.
        }
        // SAFETY: address and length are those of a live slice of the mapping.
        if unsafe { libc::mlock(chunk.as_ptr().cast(), chunk.len()) } != 0 {
            return Err(format!("mlock: {}", io::Error::last_os_error()));
        }
        locked_bytes += chunk.len();
        writeln!(messages, "locked {locked_bytes}")
            .and_then(|()| messages.flush())
            .map_err(described("report"))?;
    }
    Ok(memory)
}
