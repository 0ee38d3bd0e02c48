//! What happened between two moments: the differences that the screen shows.

use tracer_common::gap::GAP_CLASSES;

use crate::{
    run::onlooker::{ModelBegun, PagesSoFar, ReadsSoFar, WaitSeconds},
    stats::{
        formulas::{quotient, ratio},
        phases::{
            phase::Phase,
            so_far::{PhaseSoFar, PhasesSoFar},
        },
    },
};

use super::history::Point;

/// Phases in which tokens come.
const DECODING: [Phase; 3] = [Phase::Generation, Phase::Mixed, Phase::Inference];

/// One model over some time. None is what is not observed, or did not happen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub seconds: f64,
    /// Bytes per second that came back.
    pub bytes_per_s: Option<f64>,
    /// Bytes of reads that began.
    pub read_bytes: Option<u64>,
    pub reads: Option<u64>,
    /// Those bytes / size of the model.
    pub reread_factor: Option<f64>,
    /// Share of the time in which a thread waited for the model.
    pub stalled: Option<f64>,
    /// Share in which none did, and one freed memory.
    pub reclaiming: Option<f64>,
    /// Of decode steps after the prompt.
    pub tokens: Tokens,
    pub faults: Option<u64>,
    /// Bytes that entered the page cache.
    pub inserted_bytes: Option<u64>,
    /// Those of them that had been thrown out before.
    pub refaulted_bytes: Option<u64>,
    pub evicted_bytes: Option<u64>,
    /// Shares of gaps, by class.
    pub gaps: [Option<f64>; GAP_CLASSES],
    /// Shares of the time in which some, and all, tasks of the machine waited for memory.
    pub memory_pressure: [Option<f64>; 2],
    /// The same for storage.
    pub io_pressure: [Option<f64>; 2],
    /// CPU time of the tracer, in cores.
    pub tracer_cores: Option<f64>,
}

/// Decode steps after the prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tokens {
    pub steps: u64,
    /// Tokens in their batches, per second of their phases. None where batches are not known.
    pub tokens_per_s: Option<f64>,
    pub steps_per_s: Option<f64>,
    /// Bytes read for each step.
    pub bytes_a_step: Option<f64>,
}

impl Figures {
    /// What came between two points; without the first: since the run's beginning.
    pub fn between(model: &ModelBegun, slot: usize, from: Option<&Point>, to: &Point) -> Self {
        let Some(now) = to.model(slot) else {
            return Self::default();
        };
        let before = from.and_then(|from| from.model(slot));
        let seconds = to.run.at_s - from.map_or(0.0, |from| from.run.at_s);
        let reads = |pick: fn(&ReadsSoFar) -> u64| -> Option<u64> {
            let now = pick(now.reads.as_ref()?);
            let before = match before {
                Some(before) => pick(before.reads.as_ref()?),
                None => 0,
            };
            Some(now.saturating_sub(before))
        };
        let pages = |pick: fn(&PagesSoFar) -> Option<u64>| -> Option<u64> {
            let before = match before {
                Some(before) => pick(&before.pages)?,
                None => 0,
            };
            Some(pick(&now.pages)?.saturating_sub(before))
        };
        let page_bytes = |pages: Option<u64>| Some(pages?.saturating_mul(model.page_bytes));
        let read_bytes = reads(|reads| reads.total_bytes);
        let (stalled, reclaiming) =
            waits(seconds, before.and_then(|before| before.waits), now.waits);
        let pressure = |pick: fn(&crate::pressure::SystemPoint) -> Option<u64>| {
            let (now, before) = (to.engine.memory, from.and_then(|from| from.engine.memory));
            let now = now?;
            let (micros, at_s) = match before {
                Some(before) => (pick(&before.system?)?, before.at_seconds),
                None => (0, 0.0),
            };
            let micros = pick(&now.system?)?.checked_sub(micros)?;
            share(micros as f64 / 1e6, now.at_seconds - at_s)
        };
        Self {
            seconds,
            bytes_per_s: reads(|reads| reads.completed_bytes)
                .and_then(|bytes| quotient(bytes as f64, seconds)),
            read_bytes,
            reads: reads(|reads| reads.count),
            reread_factor: read_bytes.and_then(|bytes| ratio(bytes, model.size_bytes)),
            stalled,
            reclaiming,
            tokens: tokens(before.map(|before| &before.parts.phases), &now.parts.phases),
            faults: pages(|pages| pages.faults),
            inserted_bytes: page_bytes(pages(|pages| pages.inserts)),
            refaulted_bytes: page_bytes(pages(|pages| pages.refaults)),
            evicted_bytes: page_bytes(pages(|pages| pages.evictions)),
            gaps: gaps(
                before.and_then(|before| before.reads.as_ref()),
                now.reads.as_ref(),
            ),
            memory_pressure: [
                pressure(|system| system.psi_memory_some_us),
                pressure(|system| system.psi_memory_full_us),
            ],
            io_pressure: [
                pressure(|system| system.psi_io_some_us),
                pressure(|system| system.psi_io_full_us),
            ],
            tracer_cores: tracer_cpu_s(from, to).and_then(|cpu_s| quotient(cpu_s, seconds)),
        }
    }

    /// Of what entered the page cache, the share that had been thrown out before.
    pub fn refault_share(&self) -> Option<f64> {
        ratio(self.refaulted_bytes?, self.inserted_bytes?)
    }
}

fn tracer_cpu_s(from: Option<&Point>, to: &Point) -> Option<f64> {
    let before = match from {
        Some(from) => from.run.tracer_cpu_s?,
        None => 0.0,
    };
    Some(to.run.tracer_cpu_s? - before)
}

/// A part of a time. A wait is known when it is over, so one may reach back to before the time: then all of it was waiting.
fn share(part_s: f64, whole_s: f64) -> Option<f64> {
    quotient(part_s, whole_s).map(|share| share.clamp(0.0, 1.0))
}

/// Shares of `whole_s`. Waits are known somewhat late, so these are of a somewhat earlier time; of a much shorter one, or of another
/// beginning, they say nothing of this.
fn waits(
    whole_s: f64,
    before: Option<WaitSeconds>,
    now: Option<WaitSeconds>,
) -> (Option<f64>, Option<f64>) {
    let Some(now) = now else {
        return (None, None);
    };
    let before = before.unwrap_or(WaitSeconds {
        since_s: 0.0,
        until_s: 0.0,
        stall_s: Some(0.0),
        reclaim_s: Some(0.0),
    });
    let seconds = now.until_s - before.until_s;
    if seconds < whole_s / 2.0 || now.since_s != before.since_s {
        return (None, None);
    }
    let part = |now: Option<f64>, before: Option<f64>| share(now? - before?, seconds);
    (
        part(now.stall_s, before.stall_s),
        part(now.reclaim_s, before.reclaim_s),
    )
}

fn decoding(phases: &PhasesSoFar) -> PhaseSoFar {
    let own = DECODING
        .iter()
        .filter_map(|phase| phases.phases.get(phase))
        .filter(|phase| phase.steps > 0);
    own.fold(
        PhaseSoFar {
            tokens: Some(0),
            ..PhaseSoFar::default()
        },
        |sum, phase| PhaseSoFar {
            nanos: sum.nanos + phase.nanos,
            steps: sum.steps + phase.steps,
            tokens: sum.tokens.zip(phase.tokens).map(|(one, other)| one + other),
            read_bytes: sum.read_bytes + phase.read_bytes,
        },
    )
}

fn tokens(before: Option<&PhasesSoFar>, now: &PhasesSoFar) -> Tokens {
    let now = decoding(now);
    let before = before.map(decoding).unwrap_or(PhaseSoFar {
        tokens: Some(0),
        ..PhaseSoFar::default()
    });
    let steps = now.steps.saturating_sub(before.steps);
    if steps == 0 {
        return Tokens::default();
    }
    let seconds = now.nanos.saturating_sub(before.nanos) as f64 / 1e9;
    let tokens = now.tokens.zip(before.tokens);
    Tokens {
        steps,
        tokens_per_s: tokens
            .and_then(|(now, before)| quotient(now.saturating_sub(before) as f64, seconds)),
        steps_per_s: quotient(steps as f64, seconds),
        bytes_a_step: quotient(
            now.read_bytes.saturating_sub(before.read_bytes) as f64,
            steps as f64,
        ),
    }
}

fn gaps(before: Option<&ReadsSoFar>, now: Option<&ReadsSoFar>) -> [Option<f64>; GAP_CLASSES] {
    let Some(now) = now else {
        return [None; GAP_CLASSES];
    };
    let before = before.map_or([0; GAP_CLASSES], |before| before.gaps);
    let mut counts = now.gaps;
    for (count, before) in counts.iter_mut().zip(before) {
        *count = count.saturating_sub(before);
    }
    let all = counts.iter().sum();
    counts.map(|count| ratio(count, all))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use crate::{
        live::history::tests::point,
        run::onlooker::{
            ModelBegun, ModelFiguresSoFar, PagesSoFar, PartsSoFar, ReadsSoFar, WaitSeconds,
        },
        stats::phases::{
            phase::Phase,
            so_far::{PhaseSoFar, PhasesSoFar},
        },
    };

    use super::Figures;

    fn begun() -> ModelBegun {
        ModelBegun {
            name: "m".to_owned(),
            size_bytes: 1000,
            page_bytes: 10,
            has_sectors: true,
        }
    }

    fn model(bytes: u64, steps: u64) -> ModelFiguresSoFar {
        ModelFiguresSoFar {
            reads: Some(ReadsSoFar {
                count: bytes / 10,
                total_bytes: bytes,
                completed_bytes: bytes,
                gaps: [bytes, 0, 0, 0, 100],
                ..ReadsSoFar::default()
            }),
            pages: PagesSoFar {
                inserts: Some(bytes / 10),
                refaults: Some(bytes / 20),
                evictions: Some(0),
                faults: None,
            },
            resident_bytes: None,
            latencies: None,
            waits: Some(WaitSeconds {
                since_s: 0.0,
                until_s: bytes as f64 / 1000.0,
                stall_s: Some(bytes as f64 / 4000.0),
                reclaim_s: None,
            }),
            parts: Arc::new(PartsSoFar {
                phases: PhasesSoFar {
                    phases: BTreeMap::from([(
                        Phase::Generation,
                        PhaseSoFar {
                            nanos: steps * 500_000_000,
                            steps,
                            tokens: Some(steps),
                            read_bytes: steps * 30,
                        },
                    )]),
                    current: Some(Phase::Generation),
                },
                ..PartsSoFar::default()
            }),
        }
    }

    #[test]
    fn differences_are_of_the_window_and_totals_of_the_run() {
        let (from, to) = (point(10.0, model(4000, 2)), point(20.0, model(9000, 6)));
        let window = Figures::between(&begun(), 0, Some(&from), &to);
        assert_eq!(window.bytes_per_s, Some(500.0));
        assert_eq!(window.read_bytes, Some(5000));
        assert_eq!(window.stalled, Some(0.25));
        assert_eq!(window.reclaiming, None);
        assert_eq!(window.tokens.tokens_per_s, Some(2.0));
        assert_eq!(window.tokens.bytes_a_step, Some(30.0));
        assert_eq!(window.refault_share(), Some(0.5));
        assert_eq!(window.faults, None);
        assert_eq!(window.gaps[0], Some(1.0));
        assert_eq!(window.tracer_cores, Some(0.01));
        let run = Figures::between(&begun(), 0, None, &to);
        assert_eq!(run.reread_factor, Some(9.0));
        assert_eq!(run.bytes_per_s, Some(450.0));
        assert_eq!(run.gaps[4], Some(100.0 / 9100.0));
    }

    #[test]
    fn waits_of_a_much_shorter_time_are_not_those_of_the_window() {
        let (from, mut to) = (point(10.0, model(10_000, 2)), point(20.0, model(20_000, 6)));
        let stalled = |to: &crate::live::history::Point| {
            let window = Figures::between(&begun(), 0, Some(&from), to);
            let run = Figures::between(&begun(), 0, None, to);
            (window.stalled, run.stalled)
        };
        assert_eq!(stalled(&to), (Some(0.25), Some(0.25)));
        let waits = |until_s, stall_s| WaitSeconds {
            since_s: 0.0,
            until_s,
            stall_s: Some(stall_s),
            reclaim_s: Some(0.0),
        };
        to.run.models[0].waits = Some(waits(10.2, 2.7));
        assert_eq!(stalled(&to), (None, Some(2.7 / 10.2)));
        to.run.models[0].waits = Some(waits(2.0, 2.0));
        assert_eq!(stalled(&to), (None, None));
        // From another beginning on.
        to.run.models[0].waits = Some(WaitSeconds {
            since_s: 3.0,
            ..waits(20.0, 1.0)
        });
        assert_eq!(stalled(&to), (None, None));
    }

    #[test]
    fn nothing_observed_is_nothing_and_no_zero() {
        let to = point(5.0, ModelFiguresSoFar::default());
        let run = Figures::between(&begun(), 0, None, &to);
        assert_eq!(run.bytes_per_s, None);
        assert_eq!((run.stalled, run.refault_share()), (None, None));
        assert_eq!(run.tokens.steps_per_s, None);
        assert_eq!(run.gaps, [None; 5]);
        let still = Figures::between(&begun(), 0, Some(&to), &to);
        assert_eq!((still.bytes_per_s, still.tracer_cores), (None, None));
    }
}
