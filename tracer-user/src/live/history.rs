//! What was seen over the last minutes: what differences and charts are made of.

use std::collections::VecDeque;

use crate::run::onlooker::{EngineNow, ModelFiguresSoFar, RunSoFar};

/// Points that are kept: ten minutes of four a second.
const MOST_POINTS: usize = 2400;

/// The figures of a moment.
#[derive(Clone, Debug)]
pub struct Point {
    pub run: RunSoFar,
    /// The engine, as it was looked at last before.
    pub engine: EngineNow,
}

impl Point {
    pub fn model(&self, slot: usize) -> Option<&ModelFiguresSoFar> {
        self.run.models.get(slot)
    }
}

/// Points, the latest last.
#[derive(Clone, Debug, Default)]
pub struct History {
    points: VecDeque<Point>,
}

impl History {
    /// Takes in a point. One that is not later than the latest replaces it.
    pub fn push(&mut self, point: Point) {
        let not_later = |latest: &Point| latest.run.at_s >= point.run.at_s;
        if self.points.back().is_some_and(not_later) {
            self.points.pop_back();
        }
        if self.points.len() >= MOST_POINTS {
            self.points.pop_front();
        }
        self.points.push_back(point);
    }

    pub fn latest(&self) -> Option<&Point> {
        self.points.back()
    }

    /// The latest point that is at least so much older than the latest; None where the run is younger than that, or the points
    /// do not reach so far back.
    pub fn before(&self, seconds: f64) -> Option<&Point> {
        let until = self.latest()?.run.at_s - seconds;
        let place = self.points.partition_point(|point| point.run.at_s <= until);
        self.points.get(place.checked_sub(1)?)
    }

    /// Values of some seconds before the latest point, by so many buckets, whose bounds stay where they are while time goes on.
    /// `value` says what a bucket shows, by the last point before it and the last one in it. None where there is none in it.
    pub fn series(
        &self,
        seconds: f64,
        buckets: usize,
        value: impl Fn(Option<&Point>, &Point) -> Option<f64>,
    ) -> Vec<Option<f64>> {
        let Some(latest) = self.latest().filter(|_| buckets > 0) else {
            return vec![None; buckets];
        };
        let width_s = seconds / buckets as f64;
        // The last bucket is the one that the latest point is in.
        let last = (latest.run.at_s / width_s).floor();
        let mut series = Vec::with_capacity(buckets);
        let mut place = 0;
        let mut previous: Option<&Point> = None;
        for bucket in (0..buckets).rev() {
            let start_s = (last - bucket as f64) * width_s;
            let end_s = start_s + width_s;
            while let Some(point) = self.points.get(place)
                && point.run.at_s < start_s
            {
                previous = Some(point);
                place += 1;
            }
            let mut own = None;
            while let Some(point) = self.points.get(place)
                && point.run.at_s < end_s
            {
                own = Some(point);
                place += 1;
            }
            series.push(own.and_then(|point| value(previous, point)));
            previous = own.or(previous);
        }
        series
    }
}

#[cfg(test)]
pub mod tests {
    use std::time::Duration;

    use crate::run::onlooker::{EngineNow, LossesSoFar, ModelFiguresSoFar, ReadsSoFar, RunSoFar};

    use super::{History, Point};

    /// A moment of a run of one model.
    pub fn point(at_s: f64, model: ModelFiguresSoFar) -> Point {
        Point {
            run: RunSoFar {
                at_s,
                models: vec![model],
                tracer_cpu_s: Some(at_s / 100.0),
                losses: Some(LossesSoFar::default()),
                took: Duration::ZERO,
            },
            engine: EngineNow::default(),
        }
    }

    fn completed(at_s: f64, bytes: u64) -> Point {
        let reads = ReadsSoFar {
            completed_bytes: bytes,
            ..ReadsSoFar::default()
        };
        point(
            at_s,
            ModelFiguresSoFar {
                reads: Some(reads),
                ..ModelFiguresSoFar::default()
            },
        )
    }

    fn bytes(point: &Point) -> Option<f64> {
        Some(point.model(0)?.reads?.completed_bytes as f64)
    }

    #[test]
    fn buckets_show_what_came_in_them_and_nothing_where_nobody_looked() {
        let mut history = History::default();
        for (at_s, bytes) in [(0.5, 10), (1.5, 30), (3.5, 100), (4.2, 101)] {
            history.push(completed(at_s, bytes));
        }
        let change = |previous: Option<&Point>, own: &Point| {
            Some(bytes(own)? - previous.and_then(bytes).unwrap_or(0.0))
        };
        assert_eq!(
            history.series(5.0, 5, change),
            [Some(10.0), Some(20.0), None, Some(70.0), Some(1.0)]
        );
        assert_eq!(history.before(2.0).and_then(bytes), Some(30.0));
        assert_eq!(history.before(9.0).and_then(bytes), None);
        // Before the run there is nothing.
        assert_eq!(history.series(10.0, 10, change)[..5], [None; 5]);
        assert_eq!(History::default().series(5.0, 2, change), [None, None]);
    }

    #[test]
    fn the_last_figures_replace_those_of_the_same_moment() {
        let mut history = History::default();
        history.push(completed(1.0, 10));
        history.push(completed(1.0, 12));
        assert_eq!(history.latest().and_then(bytes), Some(12.0));
        assert_eq!(history.before(0.0).and_then(bytes), Some(12.0));
    }
}
