//! Engines that could not be followed: tried again later, and later each time.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::engine::EngineKey;

/// How long one is left alone: first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

#[derive(Debug)]
struct Failure {
    pause: Duration,
    since: Instant,
    why: String,
}

/// Of engines that are there.
#[derive(Debug, Default)]
pub struct Failures(BTreeMap<EngineKey, Failure>);

impl Failures {
    pub fn failed(&mut self, engine: EngineKey, why: String, now: Instant) {
        let pause = self.0.get(&engine).map_or(FIRST_PAUSE, |failure| {
            (failure.pause * 3).min(LONGEST_PAUSE)
        });
        let failure = Failure {
            pause,
            since: now,
            why,
        };
        self.0.insert(engine, failure);
    }

    /// It was followed.
    pub fn succeeded(&mut self, engine: EngineKey) {
        self.0.remove(&engine);
    }

    #[must_use]
    pub fn may_be_tried(&self, engine: EngineKey, now: Instant) -> bool {
        self.0
            .get(&engine)
            .is_none_or(|failure| now.saturating_duration_since(failure.since) >= failure.pause)
    }

    /// Why each is not followed.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|failure| failure.why.as_str())
    }

    /// Forgets engines that are gone.
    pub fn keep(&mut self, exists: impl Fn(EngineKey) -> bool) {
        self.0.retain(|engine, _| exists(*engine));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{EngineKey, Failures};

    #[test]
    fn one_is_left_alone_longer_each_time_up_to_ten_minutes() {
        let engine = EngineKey {
            start_time_ticks: 1,
            pid: 1,
        };
        let start = Instant::now();
        let mut failures = Failures::default();
        assert!(failures.may_be_tried(engine, start));
        for seconds in [10, 30, 90, 270, 600, 600] {
            failures.failed(engine, "why".to_owned(), start);
            let after = |seconds| start + Duration::from_secs(seconds);
            assert!(
                !failures.may_be_tried(engine, after(seconds - 1)),
                "{seconds}"
            );
            assert!(failures.may_be_tried(engine, after(seconds)), "{seconds}");
        }
        assert_eq!(failures.reasons().collect::<Vec<_>>(), ["why"]);
        failures.succeeded(engine);
        assert!(failures.may_be_tried(engine, start));
    }

    #[test]
    fn one_that_is_gone_is_forgotten_and_the_others_are_not() {
        let key = |pid| EngineKey {
            start_time_ticks: 1,
            pid,
        };
        let now = Instant::now();
        let mut failures = Failures::default();
        for pid in [1, 2] {
            failures.failed(key(pid), format!("why {pid}"), now);
        }
        failures.keep(|engine| engine == key(2));
        assert_eq!(failures.reasons().collect::<Vec<_>>(), ["why 2"]);
        assert!(failures.may_be_tried(key(1), now) && !failures.may_be_tried(key(2), now));
    }
}
