//! Bytes over time: average, while busy, at the peak, and as a series.
//!
//! Bytes count when they arrive (at completion, without error). The average is over the whole window, the
//! busy average over the time in which the driver held at least one of the model's reads, the peak is the
//! best of the 100 ms windows that begin at the start of the window and follow each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{
    event::Nanos,
    formulas::{per_second, seconds},
};

/// Length of the windows of the peak, in nanoseconds.
pub const PEAK_WINDOW_NANOS: u64 = 100_000_000;

/// Bytes arrived, by windows of 100 ms: 36,000 of them in an hour. Two parts of a stream merge if they have
/// the same start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedBytes {
    start: Nanos,
    /// Windows in which something arrived, but for `latest`.
    windows: BTreeMap<u64, u64>,
    /// The window of the last arrival, and its bytes.
    latest: (u64, u64),
    bytes: u64,
}

impl ArrivedBytes {
    /// Windows count from `start`.
    #[must_use]
    pub const fn from_start(start: Nanos) -> Self {
        Self {
            start,
            windows: BTreeMap::new(),
            latest: (0, 0),
            bytes: 0,
        }
    }

    /// Counts bytes that arrived at a time; a time before the start counts for the first window.
    pub fn record(&mut self, time: Nanos, bytes: u64) {
        let window = time.0.saturating_sub(self.start.0) / PEAK_WINDOW_NANOS;
        self.add(window, bytes);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn add(&mut self, window: u64, bytes: u64) {
        if window != self.latest.0 {
            self.flush();
            self.latest = (window, 0);
        }
        self.latest.1 = self.latest.1.saturating_add(bytes);
    }

    fn flush(&mut self) {
        if self.latest.1 > 0 {
            let sum = self.windows.entry(self.latest.0).or_default();
            *sum = sum.saturating_add(self.latest.1);
            self.latest.1 = 0;
        }
    }

    /// Adds another part of the stream, or says `false` and changes nothing where it has another start.
    pub fn merge(&mut self, other: &Self) -> bool {
        if self.start != other.start {
            return false;
        }
        for point in other.windows() {
            self.add(point.index, point.bytes);
        }
        self.bytes = self.bytes.saturating_add(other.bytes);
        true
    }

    /// All bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The 100 ms windows in which something arrived, ascending.
    #[must_use]
    pub fn windows(&self) -> Vec<SeriesPoint> {
        let mut all = self.clone();
        all.flush();
        all.windows
            .into_iter()
            .map(|(index, bytes)| SeriesPoint { index, bytes })
            .collect()
    }

    /// The bytes that arrived until `end`, in order, by windows of 100 ms, or of so many of them that there are at most
    /// [`MOST_SERIES_POINTS`].
    #[must_use]
    pub fn series(&self, end: Nanos) -> ArrivalSeries {
        let windows = self.windows();
        let last = windows.last().map_or(0, |window| window.index);
        let of_time = end.since(self.start).unwrap_or(0).saturating_sub(1) / PEAK_WINDOW_NANOS;
        let count = last.max(of_time) + 1;
        let together = count
            .div_ceil(MOST_SERIES_POINTS as u64)
            .next_power_of_two();
        let mut bytes = vec![0u64; count.div_ceil(together) as usize];
        for window in windows {
            if let Some(sum) = bytes.get_mut((window.index / together) as usize) {
                *sum = sum.saturating_add(window.bytes);
            }
        }
        ArrivalSeries {
            window_s: seconds(together * PEAK_WINDOW_NANOS),
            bytes,
        }
    }

    /// Averages and peak of a window from the start to `end`, in which the driver was busy for `busy_nanos`.
    #[must_use]
    pub fn figures(&self, end: Nanos, busy_nanos: u64) -> BandwidthFigures {
        let wall_nanos = end.since(self.start).unwrap_or(0);
        let peak = self
            .windows()
            .into_iter()
            .map(|window| window.bytes)
            .max()
            .unwrap_or(0);
        BandwidthFigures {
            average_bytes_per_s: per_second(self.bytes, wall_nanos),
            busy_bytes_per_s: per_second(self.bytes, busy_nanos),
            peak_bytes_per_s: if wall_nanos >= PEAK_WINDOW_NANOS {
                per_second(peak, PEAK_WINDOW_NANOS)
            } else {
                None
            },
            busy_s: Some(seconds(busy_nanos)),
        }
    }
}

/// Most points of an [`ArrivalSeries`].
pub const MOST_SERIES_POINTS: usize = 1200;

/// Bytes that arrived without error over time, from the start of the window on. They sum to the bytes that completed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ArrivalSeries {
    /// Length of each part of the time, seconds.
    pub window_s: f64,
    /// Bytes that arrived in each.
    pub bytes: Vec<u64>,
}

/// Bytes in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesPoint {
    /// Number of the window, from the start; the missing ones are 0.
    pub index: u64,
    /// Bytes that arrived in it.
    pub bytes: u64,
}

/// Bandwidth in bytes per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BandwidthFigures {
    /// Over the whole window; `None` if that has no length.
    pub average_bytes_per_s: Option<f64>,
    /// Over the time in which a read was with the driver; `None` if there was none.
    pub busy_bytes_per_s: Option<f64>,
    /// In the best aligned 100 ms; `None` where the window is shorter. Windows that the end cuts short are
    /// taken as 100 ms too.
    pub peak_bytes_per_s: Option<f64>,
    /// Time in which a read was with the driver, in seconds; `None` where a read was there for a time that nobody knows.
    pub busy_s: Option<f64>,
}

impl BandwidthFigures {
    /// The same where a read was with the driver for a time that nobody knows.
    #[must_use]
    pub const fn without_busy_time(self) -> Self {
        Self {
            busy_bytes_per_s: None,
            busy_s: None,
            ..self
        }
    }
}

/// The union of the issue – complete intervals, from the number of reads with the driver.
///
/// Fed in the order of the ring buffer. Times that contradict that order by microseconds do no harm: an
/// interval that begins before the last one ended begins at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusyTime {
    busy_nanos: u64,
    since: Option<Nanos>,
    last_end: Nanos,
}

impl BusyTime {
    /// From `time` on, the driver holds `with_driver` reads.
    pub fn observe(&mut self, time: Nanos, with_driver: u64) {
        match (self.since, with_driver) {
            (None, 1..) => self.since = Some(time.max(self.last_end)),
            (Some(since), 0) => {
                self.busy_nanos = self
                    .busy_nanos
                    .saturating_add(time.since(since).unwrap_or(0));
                self.last_end = self.last_end.max(time);
                self.since = None;
            }
            _ => {}
        }
    }

    /// Busy time up to `end`, in nanoseconds.
    #[must_use]
    pub fn nanos_until(&self, end: Nanos) -> u64 {
        let open = self.since.and_then(|since| end.since(since)).unwrap_or(0);
        self.busy_nanos.saturating_add(open)
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::event::Nanos;

    use super::{ArrivedBytes, BusyTime, SeriesPoint};
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn arrived(events: &[(u64, u64)]) -> ArrivedBytes {
        let mut arrived = ArrivedBytes::from_start(Nanos(5_000 * MS));
        events
            .iter()
            .for_each(|(ms, bytes)| arrived.record(Nanos((5_000 + ms) * MS), *bytes));
        arrived
    }

    #[test]
    fn averages_and_peak() {
        let arrived = arrived(&[(0, 100), (99, 100), (100, 150), (1_999, 50)]);
        let figures = arrived.figures(Nanos(7_000 * MS), 500 * MS);
        assert_eq!(figures.average_bytes_per_s, Some(200.0));
        assert_eq!(figures.busy_bytes_per_s, Some(800.0));
        assert_eq!(figures.peak_bytes_per_s, Some(2000.0));
        assert_eq!(figures.busy_s, Some(0.5));
        assert_eq!(figures.without_busy_time().busy_bytes_per_s, None);
    }

    #[test]
    fn nothing_observed_is_not_zero_and_nothing_read_is() {
        let figures = arrived(&[]).figures(Nanos(5_000 * MS), 0);
        assert_eq!(
            (figures.average_bytes_per_s, figures.peak_bytes_per_s),
            (None, None)
        );
        let figures = arrived(&[]).figures(Nanos(6_000 * MS), 0);
        assert_eq!(
            (figures.average_bytes_per_s, figures.peak_bytes_per_s),
            (Some(0.0), Some(0.0))
        );
        assert_eq!(figures.busy_bytes_per_s, None);
        assert_eq!(
            arrived(&[(20, 5)])
                .figures(Nanos(5_050 * MS), 1)
                .peak_bytes_per_s,
            None
        );
    }

    #[test]
    fn a_series_has_all_bytes_in_few_points() {
        let of_seconds =
            |s: u64| arrived(&[(0, 7), (s * 1000 - 1, 5)]).series(Nanos((5_000 + s * 1000) * MS));
        let short = of_seconds(2);
        assert_eq!((short.window_s, short.bytes.len()), (0.1, 20));
        assert_eq!((short.bytes[0], short.bytes[19]), (7, 5));
        let long = of_seconds(3600);
        assert_eq!((long.window_s, long.bytes.len()), (3.2, 1125));
        assert_eq!(long.bytes.iter().sum::<u64>(), 12);
    }

    #[test]
    fn another_start_does_not_merge() {
        let mut own = arrived(&[(1, 1)]);
        assert!(!own.merge(&ArrivedBytes::from_start(Nanos(0))));
        assert_eq!(own, arrived(&[(1, 1)]));
    }

    #[test]
    fn overlapping_intervals_count_once() {
        let mut busy = BusyTime::default();
        for (time, with_driver) in [(10, 1), (20, 2), (30, 1), (40, 0), (60, 1), (70, 0)] {
            busy.observe(Nanos(time), with_driver);
        }
        assert_eq!(busy.nanos_until(Nanos(100)), 40);
        busy.observe(Nanos(90), 1);
        assert_eq!(busy.nanos_until(Nanos(100)), 50);
    }

    #[test]
    fn a_completion_that_overtakes_the_next_issue_is_not_counted_twice() {
        let mut busy = BusyTime::default();
        // In truth 10 – 30 and 25 – 40; the second issue comes after the first completion.
        for (time, with_driver) in [(10, 1), (30, 0), (25, 1), (40, 0)] {
            busy.observe(Nanos(time), with_driver);
        }
        assert_eq!(busy.nanos_until(Nanos(40)), 30);
    }

    proptest! {
        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            events in prop::collection::vec((0u64..3_000, 0u64..1000), 0..100), at: prop::sample::Index,
        ) {
            let (first, second) = events.split_at(at.index(events.len() + 1));
            let mut merged = arrived(first);
            prop_assert!(merged.merge(&arrived(second)));
            prop_assert_eq!(merged.windows(), arrived(&events).windows());
            prop_assert_eq!(merged.bytes(), arrived(&events).bytes());
        }

        #[test]
        fn series_sum_to_the_bytes(events in prop::collection::vec((0u64..3_000, 0u64..1000), 0..100)) {
            let arrived = arrived(&events);
            let sum = |points: Vec<SeriesPoint>| points.iter().map(|point| point.bytes).sum::<u64>();
            prop_assert_eq!(sum(arrived.windows()), arrived.bytes());
        }

        #[test]
        fn busy_time_is_the_union(intervals in prop::collection::vec((0u64..200, 1u64..30), 0..20)) {
            let mut changes: Vec<(u64, i64)> = intervals.iter()
                .flat_map(|(start, length)| [(*start, 1), (start + length, -1)]).collect();
            changes.sort_unstable();
            let mut busy = BusyTime::default();
            let mut held = 0i64;
            for (time, change) in changes {
                held += change;
                busy.observe(Nanos(time), held.unsigned_abs());
            }
            let union = (0..300u64)
                .filter(|t| intervals.iter().any(|(start, length)| (*start..start + length).contains(t)))
                .count();
            prop_assert_eq!(busy.nanos_until(Nanos(300)), union as u64);
        }
    }
}
