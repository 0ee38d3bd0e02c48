//! Sleeps of the calling thread, as the kernel's perf events show them.

use anyhow::{Context as _, Result, bail, ensure};
use perf_event::{Builder, Clock, SampleFlag, Sampler, events::Software};

use super::report::Period;

/// Size of the kernel's buffer, bytes: a record takes 16.
const BUFFER_BYTES: usize = 4 << 20;
/// `PERF_RECORD_SWITCH` of `include/uapi/linux/perf_event.h`.
const SWITCH: u32 = 14;
/// Set in a switch away from the thread.
const MISC_OUT: u16 = 1 << 13;
/// Set beside it where the thread could have gone on.
const MISC_OUT_PREEMPTED: u16 = 1 << 14;

/// Records when the calling thread leaves its processor and comes back. ftrace's `sched_switch` is no such record
/// everywhere: it was seen to leave out all switches from the idle task of one processor.
pub struct SleepRecorder(Sampler);

impl SleepRecorder {
    /// Starts recording.
    ///
    /// # Errors
    /// Where the kernel or our rights do not allow it.
    pub fn start() -> Result<Self> {
        let mut counter = Builder::new(Software::DUMMY)
            .observe_self()
            .any_cpu()
            .exclude_kernel(false)
            .exclude_hv(false)
            .context_switch(true)
            .sample(SampleFlag::TIME)
            .sample_id_all(true)
            .clockid(Clock::MONOTONIC)
            .build()
            .context("perf events of this thread's switches")?;
        counter.enable().context("switch them on")?;
        let sampler = counter.sampled(BUFFER_BYTES).context("a buffer for them")?;
        Ok(Self(sampler))
    }

    /// Sleeps since the start, in their order.
    ///
    /// # Errors
    /// Where the kernel lost a record.
    pub fn finish(mut self) -> Result<Vec<Period>> {
        let mut switches = Vec::new();
        while let Some(record) = self.0.next_record() {
            let bytes = record.to_contiguous();
            let kind = record.ty();
            let time = <[u8; 8]>::try_from(bytes.as_ref()).ok();
            let (SWITCH, Some(time)) = (kind, time) else {
                bail!(
                    "a perf record of type {kind} with {} bytes, and no switch: they are not whole",
                    bytes.len()
                );
            };
            switches.push(Switch {
                time_ns: u64::from_ne_bytes(time),
                misc: record.misc(),
            });
        }
        sleeps_in(&switches)
    }
}

#[derive(Clone, Copy)]
struct Switch {
    time_ns: u64,
    misc: u16,
}

fn sleeps_in(switches: &[Switch]) -> Result<Vec<Period>> {
    let mut sleeps = Vec::new();
    let mut left = None;
    for switch in switches {
        if switch.misc & MISC_OUT != 0 {
            ensure!(left.is_none(), "the thread left its processor twice");
            left = Some(*switch);
            continue;
        }
        // The first record may be the end of what began before.
        let Some(left) = left
            .take()
            .filter(|left| left.misc & MISC_OUT_PREEMPTED == 0)
        else {
            continue;
        };
        ensure!(
            left.time_ns <= switch.time_ns,
            "switches are not in the order of time"
        );
        sleeps.push(Period {
            start_ns: left.time_ns,
            end_ns: switch.time_ns,
        });
    }
    Ok(sleeps)
}

#[cfg(test)]
mod tests {
    use super::{MISC_OUT, MISC_OUT_PREEMPTED, Period, Switch, sleeps_in};

    const fn switch(time_ns: u64, misc: u16) -> Switch {
        Switch { time_ns, misc }
    }

    #[test]
    fn a_thread_that_could_have_gone_on_does_not_sleep() {
        let switches = [
            switch(5, 0),
            switch(10, MISC_OUT),
            switch(30, 0),
            switch(40, MISC_OUT | MISC_OUT_PREEMPTED),
            switch(50, 0),
            switch(60, MISC_OUT),
        ];
        let sleep = Period {
            start_ns: 10,
            end_ns: 30,
        };
        assert_eq!(sleeps_in(&switches).expect("in order"), [sleep]);
        assert!(sleeps_in(&[switch(1, MISC_OUT), switch(2, MISC_OUT)]).is_err());
        assert!(sleeps_in(&[switch(2, MISC_OUT), switch(1, 0)]).is_err());
    }
}
