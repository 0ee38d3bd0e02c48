//! The patterns take turns: each round measures every pattern once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use fastrand::Rng;

use crate::{
    schema::{PatternRecord, RoundRecord},
    storage::FileExtent,
};

use super::{
    direct_file::DirectFile,
    error::DeviceTestError,
    orders::{Order, window},
    patterns::{Cursor, Data, Request, Sizes, random},
    spread::spread,
    workers::read_all,
};

/// Rounds of a whole test: figures need 5, and with 6 each of three orders is twice the first of its round.
pub const ROUNDS: usize = 6;

/// Reads that are prepared at most for a round.
const MOST_READS: usize = 1 << 20;

/// Reads of the list that are tried at most to find out a rate.
const MOST_READS_TO_WARM_UP: usize = 1 << 16;

/// Part of the time in which the rates are found out, and the device gets warm.
const WARM_UP_SHARE: f64 = 0.08;

/// Part of the time by which the rounds are to be over.
const ROUNDS_END: f64 = 0.96;

/// Fewest reads in the window of a round.
const FEWEST_WINDOW_READS: usize = 16;

/// A pattern of reads.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// One after another through the file, on from where the last round ended.
    Sequential {
        /// Size of each read, bytes.
        bytes: u64,
    },
    /// At random places.
    Random {
        /// Sizes of the reads.
        sizes: Sizes,
        /// The size, where it is always the same, bytes.
        bytes: Option<u64>,
    },
    /// A run's reads in an order.
    Replay(Order),
}

/// A pattern with what it got.
#[derive(Debug)]
pub struct Turn {
    /// What to read.
    pub pattern: Pattern,
    /// Reads in flight.
    pub depth: usize,
    cursor: Cursor,
    /// Reads a second while the device got warm.
    rate: f64,
    /// By round; None where it had no turn.
    pub results: Vec<Option<RoundRecord>>,
}

impl Turn {
    /// A pattern that has had no turn.
    pub fn new(pattern: Pattern, depth: usize) -> Self {
        Self {
            pattern,
            depth,
            cursor: Cursor::default(),
            rate: 0.0,
            results: Vec::new(),
        }
    }

    /// Whether this is the replay in an order.
    pub fn is_replay(&self, order: Order) -> bool {
        matches!(self.pattern, Pattern::Replay(own) if own == order)
    }

    /// How often the data was read by this sequential pattern; 0 for others.
    pub fn passes(&self, data: &Data) -> u64 {
        self.cursor
            .given_bytes
            .checked_div(data.bytes())
            .unwrap_or(0)
    }

    /// As it is recorded.
    pub fn record(&self) -> PatternRecord {
        let rounds: Vec<RoundRecord> = self.results.iter().flatten().copied().collect();
        let over = |figure: fn(&RoundRecord) -> f64| spread(rounds.iter().map(figure));
        PatternRecord {
            order: match &self.pattern {
                Pattern::Sequential { .. } => "sequential",
                Pattern::Random { .. } => "random",
                Pattern::Replay(order) => order.name(),
            }
            .to_owned(),
            request_bytes: match &self.pattern {
                Pattern::Sequential { bytes } => Some(*bytes),
                Pattern::Random { bytes, .. } => *bytes,
                Pattern::Replay(_) => None,
            },
            queue_depth: self.depth as u64,
            bytes_per_s: over(|round| round.bytes as f64 / round.seconds),
            reads_per_s: over(|round| round.reads as f64 / round.seconds),
            median_latency_us: over(|round| round.median_latency_us),
            rounds,
        }
    }
}

/// Everything that the turns share.
pub struct Session<'a> {
    /// The file.
    pub file: &'a DirectFile,
    /// What of it is on the device.
    pub data: &'a Data,
    /// Where that lies.
    pub extents: &'a [FileExtent],
    /// The run's reads, aligned; empty without any.
    pub reads: &'a [Request],
    /// Set where the user has seen enough.
    pub stop: &'a AtomicBool,
    /// How long it may take.
    pub time: Duration,
    /// Bytes read so far.
    pub own_bytes: u64,
    /// Reads in the window of a round.
    window_reads: usize,
    random: Rng,
    start: Instant,
}

impl<'a> Session<'a> {
    /// A session that begins now.
    pub fn begin(
        file: &'a DirectFile,
        data: &'a Data,
        extents: &'a [FileExtent],
        reads: &'a [Request],
        stop: &'a AtomicBool,
        time: Duration,
    ) -> Self {
        Self {
            file,
            data,
            extents,
            reads,
            stop,
            time,
            own_bytes: 0,
            window_reads: 0,
            random: Rng::with_seed(0x7261_6365),
            start: Instant::now(),
        }
    }

    /// Time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Finds out how fast each pattern is, which also makes the device warm; what is measured here counts for nothing.
    ///
    /// # Errors
    /// A read failed.
    pub fn warm_up(&mut self, turns: &mut [Turn]) -> Result<(), DeviceTestError> {
        let slice = self.time.mul_f64(WARM_UP_SHARE / turns.len().max(1) as f64);
        self.window_reads = MOST_READS_TO_WARM_UP;
        for turn in turns.iter_mut() {
            if self.is_stopped() {
                return Ok(());
            }
            turn.rate = 4_096.0 / slice.as_secs_f64().max(1e-6);
            let result = self.take(turn, slice, 0)?;
            turn.rate = result.map_or(1.0, |round| round.reads as f64 / round.seconds);
        }
        Ok(())
    }

    /// Time of one turn, so that the rounds that are left fit into the time that is left.
    fn slice(&self, turns: usize, round: usize) -> Duration {
        let left = self.time.mul_f64(ROUNDS_END).saturating_sub(self.elapsed());
        let rounds_left = ROUNDS.saturating_sub(round).max(1);
        left.div_f64((rounds_left * turns.max(1)) as f64)
    }

    /// Reads in the window of a round. All orders read the same one, so the slowest decides, by what it got last.
    fn window_for(turns: &[Turn], slice: Duration) -> usize {
        let slowest = turns
            .iter()
            .filter(|turn| matches!(turn.pattern, Pattern::Replay(_)))
            .map(|turn| turn.rate)
            .fold(f64::INFINITY, f64::min);
        let reads = slowest * slice.as_secs_f64();
        if reads.is_finite() {
            (reads as usize).clamp(FEWEST_WINDOW_READS, MOST_READS)
        } else {
            0
        }
    }

    /// Runs the rounds; how many were whole.
    ///
    /// # Errors
    /// A read failed.
    pub fn run(
        &mut self,
        turns: &mut [Turn],
        progress: &mut dyn FnMut(Duration),
    ) -> Result<usize, DeviceTestError> {
        for round in 0..ROUNDS {
            let slice = self.slice(turns.len(), round);
            self.window_reads = Self::window_for(turns, slice);
            for place in turns_of_round(turns, round) {
                let Some(turn) = turns.get_mut(place) else {
                    continue;
                };
                let left = self.time.saturating_sub(self.elapsed());
                if self.is_stopped() || left.is_zero() {
                    return Ok(round);
                }
                // A window is to be read whole, also where it takes longer than it did at first.
                let limit = match turn.pattern {
                    Pattern::Replay(_) => (3 * slice).min(left),
                    _ => slice.min(left),
                };
                let result = self.take(turn, limit, round)?;
                if let Some(result) = result {
                    turn.rate = result.reads as f64 / result.seconds;
                }
                turn.results.resize(round, None);
                turn.results.push(result);
                progress(self.elapsed());
            }
            if self.is_stopped() {
                return Ok(round);
            }
        }
        Ok(ROUNDS)
    }

    fn take(
        &mut self,
        turn: &mut Turn,
        limit: Duration,
        round: usize,
    ) -> Result<Option<RoundRecord>, DeviceTestError> {
        // More than the time is enough for, so that it is the time that ends the turn.
        let count = (turn.rate * limit.as_secs_f64() * 2.0) as usize;
        let count = count.clamp(16, MOST_READS);
        let before = turn.cursor;
        let requests = match &turn.pattern {
            Pattern::Sequential { bytes } => turn.cursor.sequential(self.data, *bytes, count),
            Pattern::Random { sizes, .. } => random(
                self.data,
                sizes,
                self.file.alignment(),
                count,
                &mut self.random,
            ),
            Pattern::Replay(order) => order.of(
                window(self.reads, self.window_reads, round, ROUNDS),
                self.extents,
                &mut self.random,
            ),
        };
        let aligned: Vec<Request> = requests
            .iter()
            .map(|request| {
                self.file
                    .aligned(request.offset_bytes, request.length_bytes)
            })
            .collect();
        let result = read_all(self.file, &aligned, turn.depth, limit, self.stop)?;
        self.own_bytes += result.map_or(0, |round| round.bytes);
        if let Pattern::Sequential { bytes } = turn.pattern {
            // What there was no time for comes next.
            let made = result.map_or(0, |round| round.reads);
            turn.cursor = before;
            turn.cursor
                .sequential(self.data, bytes, usize::try_from(made).unwrap_or(count));
        }
        // That the time ended it says nothing of a pattern without an end.
        Ok(result.map(|result| RoundRecord {
            cut_short: result.cut_short && matches!(turn.pattern, Pattern::Replay(_)),
            ..result
        }))
    }
}

/// Turns of a round: the replays change places, so that none is always the first to read a window.
fn turns_of_round(turns: &[Turn], round: usize) -> Vec<usize> {
    let (replays, mut others): (Vec<usize>, Vec<usize>) = (0..turns.len()).partition(|place| {
        turns
            .get(*place)
            .is_some_and(|turn| matches!(turn.pattern, Pattern::Replay(_)))
    });
    let mut replays = replays;
    if !replays.is_empty() {
        let by = round % replays.len();
        replays.rotate_left(by);
    }
    others.extend(replays);
    others
}

#[cfg(test)]
mod tests {
    use super::{Order, Pattern, ROUNDS, Turn, turns_of_round};

    #[test]
    fn each_order_is_first_equally_often() {
        let mut turns = vec![Turn::new(Pattern::Sequential { bytes: 4096 }, 1)];
        turns.extend(Order::ALL.map(|order| Turn::new(Pattern::Replay(order), 4)));
        let firsts: Vec<usize> = (0..ROUNDS)
            .map(|round| turns_of_round(&turns, round)[1])
            .collect();
        assert_eq!(firsts, [1, 2, 3, 1, 2, 3]);
        for round in 0..ROUNDS {
            let mut places = turns_of_round(&turns, round);
            places.sort_unstable();
            assert_eq!(places, [0, 1, 2, 3]);
        }
    }

    #[test]
    fn without_replays_the_order_stays() {
        let turns = [1, 2].map(|bytes| Turn::new(Pattern::Sequential { bytes }, 1));
        assert_eq!(turns_of_round(&turns, 5), [0, 1]);
    }
}
