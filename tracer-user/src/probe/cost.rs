//! What the programs cost while they run, and how they come to cost less.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use aya::{maps::Array, programs::Program as LoadedProgram};
use tracer_common::settings::STEPPED_DOWN;

use super::{
    Detail, ProgramRun, Session, losses,
    programs::{Need, traced_event},
};

/// A measurement of the programs' time that is under way. The kernel times all eBPF programs of the machine until it is gone.
#[derive(Debug)]
pub struct ProgramTiming {
    /// None where the kernel times them anyway.
    _statistics: Option<OwnedFd>,
    begun: Instant,
    before: Duration,
}

impl Session {
    /// Begins to time the programs.
    ///
    /// # Errors
    /// This process may not: it takes `CAP_SYS_ADMIN`.
    pub fn begin_timing(&self) -> anyhow::Result<ProgramTiming> {
        let statistics = if self.times_programs() {
            None
        } else {
            Some(aya::sys::enable_stats(aya::sys::Stats::RunTime)?)
        };
        Ok(ProgramTiming {
            _statistics: statistics,
            begun: Instant::now(),
            before: self.program_time()?,
        })
    }

    /// The programs' time since then, all CPUs together, and how long that was.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn end_timing(&self, timing: &ProgramTiming) -> anyhow::Result<(Duration, Duration)> {
        let time = self.program_time()?.saturating_sub(timing.before);
        Ok((time, timing.begun.elapsed()))
    }

    /// What the kernel counted for each program: skipped events, and its run time where that is measured.
    ///
    /// # Errors
    /// The program's information cannot be read.
    pub fn program_runs(&self) -> anyhow::Result<Vec<ProgramRun>> {
        self.loaded_programs()
            .map(|(program, loaded)| {
                losses::of_program(
                    program,
                    loaded,
                    self.times_programs(),
                    self.skips_programs(),
                )
                .with_context(|| format!("cannot read the counters of program {program:?}"))
            })
            .collect()
    }

    fn program_time(&self) -> anyhow::Result<Duration> {
        let mut sum = Duration::ZERO;
        for (_, program) in self.loaded_programs() {
            sum += program
                .info()
                .context("cannot read the run time of a program")?
                .run_time();
        }
        Ok(sum)
    }

    /// From [`Detail::Events`] to [`Detail::Counts`]: nothing common gives a record any more, and the programs that only gave
    /// records are taken away. What was counted goes on.
    ///
    /// # Errors
    /// The session was not started so that it could; a map that cannot be written.
    pub fn step_down(&mut self) -> anyhow::Result<()> {
        if !self.can_step_down() {
            anyhow::bail!("this session was not started so that it could step down");
        }
        let gate = self
            .programs()
            .map_mut("GATE")
            .ok_or_else(|| anyhow!("the eBPF object has no map GATE"))?;
        Array::<_, u64>::try_from(gate)?.set(STEPPED_DOWN, 1, 0)?;
        self.set_detail(Detail::Counts);
        for attached in self.take_attached(|program| {
            traced_event(program).is_some_and(
                |event| matches!(event.need, Need::From(detail) if detail > Detail::Counts),
            )
        }) {
            match self.programs().program_mut(attached) {
                Some(LoadedProgram::BtfTracePoint(program)) => program.unload()?,
                Some(LoadedProgram::FEntry(program)) => program.unload()?,
                _ => {}
            }
        }
        Ok(())
    }
}
