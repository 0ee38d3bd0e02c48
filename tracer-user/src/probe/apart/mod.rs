//! Rights apart from the tracer: it reads what others wrote, and whoever takes it over by that can load no program.
//!
//! A thread loads and attaches the programs, and ends when that is done: capabilities belong to a thread. A process beside the
//! tracer probes functions of libraries that the engine loads later. Everything else has neither right.

mod loader;
mod prober;
mod wire;

use std::io;

use crate::rights::{Kept, forbid_calls, reduce_this_thread};

pub use prober::Prober;
pub(super) use wire::Request;

use loader::Loader;

/// Who has the rights to load, and who to probe.
#[derive(Debug)]
pub struct Apart {
    loader: Loader,
    prober: Prober,
}

impl Apart {
    /// Starts both, and gives up the rights of the calling thread, which must be the only one, for good. None where functions
    /// cannot be probed by a process that has `CAP_BPF` and `CAP_PERFMON` alone (before Linux 6.6): then nothing is changed.
    ///
    /// # Errors
    /// No process or thread can be started; rights cannot be given up.
    pub fn begin() -> io::Result<Option<Self>> {
        let Some(prober) = Prober::start()? else {
            return Ok(None);
        };
        let loader = Loader::start()?;
        reduce_this_thread(Kept::Looking)?;
        forbid_calls(Kept::Looking)?;
        Ok(Some(Self { loader, prober }))
    }

    /// Does what takes rights, by the thread that has them.
    ///
    /// # Errors
    /// That thread has ended by a panic.
    pub fn with_rights<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.loader.run(work)
    }

    /// Loads what is to be loaded, with who probes functions from then on. The thread with the rights ends.
    ///
    /// # Errors
    /// That thread has ended by a panic.
    pub fn load<T: Send + 'static>(
        self,
        work: impl FnOnce(Prober) -> T + Send + 'static,
    ) -> io::Result<T> {
        let Self { loader, prober } = self;
        loader.run(move || work(prober))
    }
}
