//! What tracing costs, measured now and then, against what it may cost.

use std::{
    num::NonZero,
    time::{Duration, Instant},
};

use crate::{
    probe::{ProgramTiming, Session},
    schema::{BudgetMeasurement, BudgetRecord},
};

/// So long the programs are timed.
const TIMED: Duration = Duration::from_millis(100);
/// So often.
const EVERY: Duration = Duration::from_secs(10);
/// The first time comes sooner: an engine that loads its model reads most in its first seconds.
const FIRST: Duration = Duration::from_secs(1);

/// Where the programs cannot be timed: what one of their events costs, nanoseconds. Of the figures in `docs/PERFORMANCE.md`
/// for two CPUs, the larger ones.
const ESTIMATED_EVENT_NS: u64 = 400;

/// Measures while the window is open.
#[derive(Debug)]
pub struct BudgetWatch {
    record: BudgetRecord,
    cpus: f64,
    opened: Instant,
    due: Instant,
    timing: Option<ProgramTiming>,
    /// This process may not time programs.
    refused: bool,
    before: Look,
}

/// What there was at a look.
#[derive(Clone, Copy, Debug)]
struct Look {
    at: Instant,
    events: u64,
    own_cpu: Duration,
}

impl BudgetWatch {
    /// `percent` of the CPU time of all CPUs may be spent.
    #[must_use]
    pub fn new(percent: f64) -> Self {
        let now = Instant::now();
        Self {
            record: BudgetRecord {
                percent,
                ..BudgetRecord::default()
            },
            cpus: online_cpus(),
            opened: now,
            due: now,
            timing: None,
            refused: false,
            before: Look {
                at: now,
                events: 0,
                own_cpu: Duration::ZERO,
            },
        }
    }

    /// The window is open, and the tracer has had so much CPU time.
    pub fn begin(&mut self, own_cpu: Duration) {
        let now = Instant::now();
        self.opened = now;
        self.due = now + FIRST;
        self.before = Look {
            at: now,
            events: 0,
            own_cpu,
        };
    }

    /// When to look next.
    pub const fn due(&self) -> Instant {
        self.due
    }

    /// Begins a measurement, or ends it. True where tracing costs too much. `events`: what the programs were shown so far;
    /// `own_cpu`: CPU time of this process.
    ///
    /// # Errors
    /// The programs' times cannot be read.
    pub fn look(
        &mut self,
        session: &Session,
        events: u64,
        own_cpu: Duration,
    ) -> anyhow::Result<bool> {
        let now = Instant::now();
        if self.timing.is_none() && !self.refused {
            match session.begin_timing() {
                Ok(timing) => {
                    self.timing = Some(timing);
                    self.due = now + TIMED;
                    return Ok(false);
                }
                Err(_) => self.refused = true,
            }
        }
        let since = now.saturating_duration_since(self.before.at);
        let timed = self
            .timing
            .take()
            .map(|timing| session.end_timing(&timing))
            .transpose()?;
        let programs = timed.unwrap_or_else(|| {
            let shown = events.saturating_sub(self.before.events);
            let time = Duration::from_nanos(shown.saturating_mul(ESTIMATED_EVENT_NS));
            (time, since)
        });
        let own = own_cpu.saturating_sub(self.before.own_cpu);
        self.before = Look {
            at: now,
            events,
            own_cpu,
        };
        self.due = now + EVERY;
        Ok(self.add(BudgetMeasurement {
            at_s: now.saturating_duration_since(self.opened).as_secs_f64(),
            programs_percent: self.percent(programs.0, programs.1),
            tracer_percent: self.percent(own, since),
            estimated: timed.is_none(),
        }))
    }

    fn percent(&self, time: Duration, of: Duration) -> f64 {
        let all = of.as_secs_f64() * self.cpus;
        if all > 0.0 {
            time.as_secs_f64() / all * 100.0
        } else {
            0.0
        }
    }

    /// Whether a measurement exceeds the budget.
    fn add(&mut self, measured: BudgetMeasurement) -> bool {
        let record = &mut self.record;
        record.measurements += 1;
        let is_more = |before: &BudgetMeasurement| before.percent() < measured.percent();
        if record.highest.as_ref().is_none_or(is_more) {
            record.highest = Some(measured);
        }
        record.last = Some(measured);
        measured.percent() > record.percent
    }

    /// The run has become one of counts, after the last measurement.
    pub fn stepped_down(&mut self) {
        self.record.stepped_down = self.record.last;
        // Whether it helped is to be known soon.
        self.due = Instant::now() + FIRST;
    }

    /// What was measured.
    #[must_use]
    pub fn finish(self) -> BudgetRecord {
        self.record
    }
}

fn online_cpus() -> f64 {
    let cpus = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN);
    let cpus = cpus
        .ok()
        .flatten()
        .and_then(|cpus| u32::try_from(cpus).ok());
    let allowed = || std::thread::available_parallelism().map_or(1, NonZero::get) as u32;
    f64::from(cpus.unwrap_or_else(allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(at_s: f64, programs_percent: f64, tracer_percent: f64) -> BudgetMeasurement {
        BudgetMeasurement {
            at_s,
            programs_percent,
            tracer_percent,
            estimated: false,
        }
    }

    #[test]
    fn programs_and_tracer_together_must_not_exceed_the_budget() {
        let mut watch = BudgetWatch::new(1.0);
        assert!(!watch.add(measured(1.0, 0.6, 0.4)));
        assert!(watch.add(measured(2.0, 0.7, 0.4)));
        watch.stepped_down();
        assert!(!watch.add(measured(3.0, 0.1, 0.1)));
        let record = watch.finish();
        assert_eq!(record.measurements, 3);
        assert_eq!(record.highest, Some(measured(2.0, 0.7, 0.4)));
        assert_eq!(record.stepped_down, record.highest);
        assert_eq!(record.last, Some(measured(3.0, 0.1, 0.1)));
    }

    #[test]
    fn a_share_is_one_of_all_processors() {
        let watch = BudgetWatch {
            cpus: 4.0,
            ..BudgetWatch::new(1.0)
        };
        let percent = watch.percent(Duration::from_millis(10), Duration::from_secs(1));
        assert!((percent - 0.25).abs() < 1e-12);
        assert_eq!(watch.percent(Duration::from_secs(1), Duration::ZERO), 0.0);
    }
}
