//! Which waits can be told for what they are.

use crate::{
    schema::WaitRecord,
    stats::{formulas::seconds, waits::stall::WaitFigures},
};

/// What was observed of waits.
#[derive(Clone, Copy, Debug)]
pub struct WaitsTold {
    /// Whether waits were observed.
    pub waits_observed: bool,
    /// Whether page faults were observed.
    pub faults_observed: bool,
    /// Whether the kernel side knows the engine's processes.
    pub engine_is_known: bool,
    /// Whether anybody looked the model up with `read()` or the like, or may have.
    pub reads_by_call: bool,
    /// Whether waits in `read()` are told from others.
    pub reads_are_told: bool,
}

impl WaitsTold {
    /// Waits in seconds; null what cannot be told.
    #[must_use]
    pub fn record(&self, waits: &WaitFigures) -> WaitRecord {
        let seconds = |nanos: Option<u64>| nanos.filter(|_| self.waits_observed).map(seconds);
        // Without the events of faults no wait can be tied to the model. Without those of look-ups a wait in `read()` cannot,
        // and is among the other I/O: where there is as good as none, the stalls are whole.
        let other = waits.other_io_thread_ns.unwrap_or(0);
        let stalls_observed = self.faults_observed
            && if self.engine_is_known {
                self.reads_are_told || other <= waits.thread_sum_ns.unwrap_or(0) / 100
            } else {
                !self.reads_by_call
            };
        // Only waits for the model are looked at whoever waits.
        let of_engine = |figure: Option<f64>| figure.filter(|_| self.engine_is_known);
        WaitRecord {
            stall_s: seconds(waits.stall_ns).filter(|_| stalls_observed),
            // Of what was no stall: unknown where stalls are.
            reclaim_s: of_engine(seconds(waits.reclaim_ns)).filter(|_| stalls_observed),
            lock_s: of_engine(seconds(waits.lock_ns)).filter(|_| stalls_observed),
            other_io_s: of_engine(seconds(waits.other_io_ns)).filter(|_| stalls_observed),
            stall_threads_s: seconds(waits.thread_sum_ns).filter(|_| stalls_observed),
            other_io_threads_s: of_engine(seconds(waits.other_io_thread_ns)),
            reclaim_threads_s: of_engine(seconds(waits.reclaim_thread_ns)),
            lock_threads_s: seconds(waits.lock_thread_ns).filter(|_| self.faults_observed),
        }
    }
}
