//! Which engine is recorded when. Pure: one at a time, and none again within the pause.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::watch::engine::EngineKey;

/// What is still to be recorded, and what was.
#[derive(Debug)]
pub struct Recordings {
    pause: Duration,
    /// When the last recording of an engine ended.
    ended: HashMap<EngineKey, Instant>,
    /// Asked for by somebody: the pause does not hold for these.
    asked: VecDeque<EngineKey>,
}

/// Why an engine is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Asked,
    /// In words.
    Met(String),
}

impl Recordings {
    #[must_use]
    pub fn new(pause: Duration) -> Self {
        Self {
            pause,
            ended: HashMap::new(),
            asked: VecDeque::new(),
        }
    }

    /// Somebody wants each of these recorded.
    pub fn ask(&mut self, engines: impl IntoIterator<Item = EngineKey>) {
        for engine in engines {
            if !self.asked.contains(&engine) {
                self.asked.push_back(engine);
            }
        }
    }

    /// A recording is over.
    pub fn ended(&mut self, engine: EngineKey, now: Instant) {
        self.ended.insert(engine, now);
    }

    /// Forgets engines that are gone.
    pub fn keep(&mut self, exists: impl Fn(EngineKey) -> bool) {
        self.ended.retain(|engine, _| exists(*engine));
        self.asked.retain(|engine| exists(*engine));
    }

    /// The one to record now, where none is being recorded: `met` are the engines of which a condition holds.
    pub fn next(&mut self, met: &[(EngineKey, String)], now: Instant) -> Option<(EngineKey, Why)> {
        if let Some(engine) = self.asked.pop_front() {
            return Some((engine, Why::Asked));
        }
        let is_rested = |engine: &EngineKey| {
            let ended = self.ended.get(engine);
            ended.is_none_or(|ended| now.saturating_duration_since(*ended) >= self.pause)
        };
        // The one that was recorded longest ago, so that one engine does not keep the others from it.
        met.iter()
            .filter(|(engine, _)| is_rested(engine))
            .min_by_key(|(engine, _)| self.ended.get(engine).copied())
            .map(|(engine, words)| (*engine, Why::Met(words.clone())))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{EngineKey, Recordings, Why};

    const fn key(pid: i32) -> EngineKey {
        EngineKey {
            start_time_ticks: 1,
            pid,
        }
    }

    #[test]
    fn an_engine_is_not_recorded_again_within_the_pause_and_each_has_its_turn() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut recordings = Recordings::new(Duration::from_secs(60));
        let both = [(key(1), "x".to_owned()), (key(2), "y".to_owned())];
        let met = |words: &str| Why::Met(words.to_owned());
        assert_eq!(recordings.next(&[], start), None);
        assert_eq!(recordings.next(&both, start), Some((key(1), met("x"))));
        recordings.ended(key(1), after(5));
        assert_eq!(recordings.next(&both, after(6)), Some((key(2), met("y"))));
        recordings.ended(key(2), after(10));
        assert_eq!(recordings.next(&both, after(64)), None);
        assert_eq!(
            recordings.next(&both, after(80)),
            Some((key(1), met("x"))),
            "the one that was recorded longest ago"
        );
        recordings.ended(key(1), after(90));
        assert_eq!(recordings.next(&both, after(100)), Some((key(2), met("y"))));
    }

    #[test]
    fn who_asks_gets_each_once_whatever_the_pause() {
        let now = Instant::now();
        let mut recordings = Recordings::new(Duration::from_secs(60));
        recordings.ended(key(1), now);
        recordings.ask([key(1), key(2), key(1), key(3)]);
        recordings.keep(|engine| engine != key(3));
        assert_eq!(recordings.next(&[], now), Some((key(1), Why::Asked)));
        assert_eq!(recordings.next(&[], now), Some((key(2), Why::Asked)));
        assert_eq!(recordings.next(&[], now), None);
    }
}
