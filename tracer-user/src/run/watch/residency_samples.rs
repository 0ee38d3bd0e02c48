//! Residency over time, by the page-cache events.

use crate::stats::Nanos;

/// Resident pages of the models over time. At most [`ResidencySamples::MOST`] points: when there are more, every second
/// one goes and the interval doubles.
#[derive(Clone, Default)]
pub struct ResidencySamples {
    points: Vec<(Nanos, Vec<Option<u64>>)>,
    interval_doublings: u32,
}

impl ResidencySamples {
    const MOST: usize = 600;
    const FIRST_INTERVAL_NANOS: u64 = 100_000_000;

    /// Whether it is time for a point.
    #[must_use]
    pub fn is_due(&self, now: Nanos) -> bool {
        let interval = Self::FIRST_INTERVAL_NANOS << self.interval_doublings.min(32);
        self.points
            .last()
            .is_none_or(|(last, _)| now.since(*last).is_some_and(|nanos| nanos >= interval))
    }

    /// Takes a point: resident pages by model.
    pub fn take(&mut self, now: Nanos, pages: Vec<Option<u64>>) {
        self.points.push((now, pages));
        if self.points.len() > Self::MOST {
            let mut number = 0;
            self.points.retain(|_| {
                number += 1;
                number % 2 == 1
            });
            self.interval_doublings += 1;
        }
    }

    #[must_use]
    pub fn finish(&mut self) -> Vec<(Nanos, Vec<Option<u64>>)> {
        std::mem::take(&mut self.points)
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::Nanos;

    use super::ResidencySamples;

    #[test]
    fn a_long_run_has_few_points_and_its_first_one() {
        let mut samples = ResidencySamples::default();
        for tick in 0..100_000u64 {
            let now = Nanos(tick * 20_000_000);
            if samples.is_due(now) {
                samples.take(now, vec![Some(tick)]);
            }
        }
        let points = samples.finish();
        assert!((200..=600).contains(&points.len()), "{}", points.len());
        assert_eq!(points.first(), Some(&(Nanos(0), vec![Some(0)])));
        assert!(points.is_sorted_by_key(|(time, _)| *time));
    }
}
