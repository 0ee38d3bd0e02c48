//! Where a recording that is played is: a moment of the run, by the time that has passed outside.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// How fast a recording is played: so many seconds of the run a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

/// Never not a number.
impl Eq for Speed {}

/// The slowest, and the fastest that waits at all.
const SLOWEST: f64 = 1.0 / 64.0;
const FASTEST: f64 = 1024.0;

impl Speed {
    /// As it was.
    pub const AS_IT_WAS: Self = Self(1.0);
    /// Without waiting.
    pub const UNLIMITED: Self = Self(f64::INFINITY);

    /// Twice as fast.
    #[must_use]
    pub fn faster(self) -> Self {
        if self.0 * 2.0 > FASTEST {
            Self::UNLIMITED
        } else {
            Self(self.0 * 2.0)
        }
    }

    /// Half as fast.
    #[must_use]
    pub fn slower(self) -> Self {
        Self((self.0 / 2.0).clamp(SLOWEST, FASTEST))
    }
}

impl Default for Speed {
    fn default() -> Self {
        Self::AS_IT_WAS
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_infinite() {
            formatter.write_str("max")
        } else {
            write!(formatter, "{}×", self.0)
        }
    }
}

/// A speed that makes no sense.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "{0} is no speed: give a number such as 1, 0.5 or 20 (at least 1/64, at most 1024), or max"
)]
pub struct SpeedError(String);

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "max" {
            return Ok(Self::UNLIMITED);
        }
        let refused = || SpeedError(text.to_owned());
        let number: f64 = text
            .trim_end_matches(['x', '×'])
            .parse()
            .map_err(|_| refused())?;
        if (SLOWEST..=FASTEST).contains(&number) {
            Ok(Self(number))
        } else {
            Err(refused())
        }
    }
}

/// Turns time that passes outside into moments of the run. `now`: time since any moment outside, never going back.
#[derive(Clone, Copy, Debug)]
pub struct PlayClock {
    /// At this moment of the run, nanoseconds since the gate opened …
    position_ns: f64,
    /// … it was so late outside.
    since: Duration,
    speed: Speed,
    paused: bool,
}

impl PlayClock {
    /// Begins at a moment of the run.
    #[must_use]
    pub fn starting_at(position: Duration, speed: Speed, now: Duration) -> Self {
        Self {
            position_ns: position.as_nanos() as f64,
            since: now,
            speed,
            paused: false,
        }
    }

    /// The run up to this moment is shown, nanoseconds since the gate opened; infinite where nothing is waited for.
    #[must_use]
    pub fn position_ns(&self, now: Duration) -> f64 {
        if self.paused {
            return self.position_ns;
        }
        let passed_ns = now.saturating_sub(self.since).as_nanos() as f64;
        if self.speed == Speed::UNLIMITED {
            f64::INFINITY
        } else {
            passed_ns.mul_add(self.speed.0, self.position_ns)
        }
    }

    /// How long it takes until a moment of the run is reached; None while nothing goes on.
    #[must_use]
    pub fn until(&self, moment_ns: f64, now: Duration) -> Option<Duration> {
        let left_ns = moment_ns - self.position_ns(now);
        if left_ns <= 0.0 {
            return Some(Duration::ZERO);
        }
        if self.paused {
            return None;
        }
        Duration::try_from_secs_f64(left_ns / self.speed.0 / 1e9).ok()
    }

    /// Plays on at another speed. `reached_ns`: up to here it has been played.
    pub fn set_speed(&mut self, speed: Speed, reached_ns: f64, now: Duration) {
        self.stay_at(reached_ns, now);
        self.speed = speed;
    }

    /// Stops, or goes on.
    pub fn set_paused(&mut self, paused: bool, reached_ns: f64, now: Duration) {
        self.stay_at(reached_ns, now);
        self.paused = paused;
    }

    fn stay_at(&mut self, reached_ns: f64, now: Duration) {
        let position_ns = self.position_ns(now);
        // Without waiting there is no place but the last event's.
        self.position_ns = if position_ns.is_finite() {
            position_ns
        } else {
            reached_ns
        };
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{PlayClock, Speed, SpeedError};

    const SECOND_NS: f64 = 1e9;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn moments_come_as_fast_as_was_asked_and_stand_still_in_a_pause() {
        let speed: Speed = "4".parse().expect("a speed");
        let mut clock = PlayClock::starting_at(at(10.0), speed, at(100.0));
        assert_eq!(clock.position_ns(at(101.0)), 14.0 * SECOND_NS);
        assert_eq!(clock.until(18.0 * SECOND_NS, at(101.0)), Some(at(1.0)));
        assert_eq!(clock.until(13.0 * SECOND_NS, at(101.0)), Some(at(0.0)));
        clock.set_paused(true, 14.0 * SECOND_NS, at(101.0));
        assert_eq!(clock.position_ns(at(900.0)), 14.0 * SECOND_NS);
        assert_eq!(clock.until(18.0 * SECOND_NS, at(900.0)), None);
        clock.set_paused(false, 14.0 * SECOND_NS, at(900.0));
        assert_eq!(clock.position_ns(at(901.0)), 18.0 * SECOND_NS);
        clock.set_speed(speed.slower(), 18.0 * SECOND_NS, at(901.0));
        assert_eq!(clock.position_ns(at(902.0)), 20.0 * SECOND_NS);
    }

    #[test]
    fn without_waiting_everything_is_due_and_a_slower_speed_goes_on_where_it_was() {
        let mut clock = PlayClock::starting_at(at(0.0), Speed::UNLIMITED, at(5.0));
        assert_eq!(clock.until(1e18, at(5.0)), Some(at(0.0)));
        clock.set_speed(Speed::AS_IT_WAS, 7.0 * SECOND_NS, at(6.0));
        assert_eq!(clock.position_ns(at(8.0)), 9.0 * SECOND_NS);
        // Paused while nothing was waited for.
        let mut clock = PlayClock::starting_at(at(0.0), Speed::UNLIMITED, at(5.0));
        clock.set_paused(true, 3.0 * SECOND_NS, at(6.0));
        assert_eq!(clock.until(4.0 * SECOND_NS, at(9.0)), None);
        assert_eq!(clock.until(3.0 * SECOND_NS, at(9.0)), Some(at(0.0)));
    }

    #[test]
    fn speeds_are_read_and_said() {
        for (text, said) in [
            ("1", "1×"),
            ("2.5x", "2.5×"),
            ("0.25", "0.25×"),
            ("max", "max"),
        ] {
            let speed: Speed = text.parse().expect(text);
            assert_eq!(speed.to_string(), said);
        }
        for text in ["", "0", "-1", "nan", "inf", "1025", "fast", "1 2"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError(text.to_owned())));
        }
        let fastest: Speed = "1024".parse().expect("the fastest");
        assert_eq!(fastest.faster(), Speed::UNLIMITED);
        assert_eq!(Speed::UNLIMITED.slower(), fastest);
        assert_eq!(Speed::UNLIMITED.faster(), Speed::UNLIMITED);
    }
}
