//! What charts need of a model's single reads, added up while they are looked at once.
//!
//! Memory does not grow with the reads: counters of the file's units, two grids, and at most [`MOST_SINGLE`] reads.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use crate::{
    chart::{DensityGrid, Ink},
    read_list::ReadRow,
    schema::{ModelRecord, RunRecord},
};

/// Up to so many reads are drawn one by one.
pub(super) const MOST_SINGLE: usize = 200_000;
/// The grid of more of them.
const GRID: (usize, usize) = (400, 160);
/// Colours of the phases in a distribution: those with the most reads have one.
pub(super) const PHASE_INKS: [Ink; 4] = [Ink::Read, Ink::Again, Ink::Memory, Ink::Other];
/// A phase with less than a hundredth of the reads is in the table alone: the shares of two reads say nothing.
const LEAST_DRAWN: u64 = 100;
/// Most counters of a file's units.
const MOST_UNITS: u64 = 1 << 22;
/// Smallest unit: a page.
const LEAST_UNIT_BYTES: u64 = 4096;
/// Shortest window of the bandwidth, nanoseconds: that of the peak in the record.
const LEAST_BIN_NS: u64 = 100_000_000;
/// Most windows of the bandwidth.
const MOST_BINS: u64 = 400;
/// Steps of latency between a value and its double.
const LATENCY_STEPS: f64 = 4.0;
/// From so many reads in flight on they are counted together.
pub(super) const DEEPEST: usize = 65;

/// A part of a run's time, seconds after the opening of the gate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeWindow {
    pub from_s: f64,
    pub to_s: f64,
}

/// A read as it is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Single {
    pub(super) at_s: f64,
    /// Place in the model: its files one after the other.
    pub(super) offset: u64,
    pub(super) bytes: u64,
    /// Most of it had been read before.
    pub(super) again: bool,
}

/// The reads of one model in a window.
#[derive(Debug)]
pub(super) struct ReadCourse {
    pub(super) window: TimeWindow,
    pub(super) model_bytes: u64,
    bases: Vec<u64>,
    pub(super) bin_ns: u64,
    /// Bytes that arrived, by window of time from the begin of `window`.
    pub(super) arrived: Vec<u64>,
    pub(super) unit_bytes: u64,
    /// Bytes read of each unit.
    pub(super) units: Vec<u64>,
    pub(super) first: DensityGrid,
    pub(super) again: DensityGrid,
    /// `None`: there were more than can be drawn.
    pub(super) singles: Option<Vec<Single>>,
    /// Reads that are no one piece of one file.
    pub(super) unplaced: u64,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) again_bytes: u64,
    /// By phase and quarter powers of two of microseconds.
    pub(super) latencies: BTreeMap<(usize, i32), u64>,
    /// By phase, and by how many were with the driver at an issue, the read itself included; [`DEEPEST`] and more together.
    pub(super) depths: BTreeMap<(usize, usize), u64>,
    in_flight: BinaryHeap<Reverse<u64>>,
    /// By phase and size.
    pub(super) sizes: BTreeMap<(usize, u64), u64>,
    /// Names of the phases, in the record's order.
    pub(super) phases: Vec<String>,
    spans: Vec<(u64, u64, usize)>,
    steps: Vec<(u64, u64, usize)>,
    step: usize,
}

fn nanos(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1e9) as u64
}

impl ReadCourse {
    pub(super) fn new(record: &RunRecord, model: &ModelRecord, window: Option<TimeWindow>) -> Self {
        let window = window.unwrap_or(TimeWindow {
            from_s: 0.0,
            to_s: record.time.wall_s,
        });
        let length = nanos(window.to_s - window.from_s).max(1);
        let bin_ns = (length / MOST_BINS)
            .max(LEAST_BIN_NS)
            .div_ceil(LEAST_BIN_NS)
            * LEAST_BIN_NS;
        let mut bases = Vec::new();
        let mut model_bytes = 0;
        for file in &model.model.files {
            bases.push(model_bytes);
            model_bytes += file.size_bytes;
        }
        let unit_bytes = model_bytes
            .div_ceil(MOST_UNITS)
            .next_power_of_two()
            .max(LEAST_UNIT_BYTES);
        let mut phases: Vec<String> = Vec::new();
        let mut number = |name: &str| {
            let known = phases.iter().position(|known| known == name);
            known.unwrap_or_else(|| {
                phases.push(name.to_owned());
                phases.len() - 1
            })
        };
        let spans = model.phases.iter().flatten();
        let spans = spans
            .map(|phase| {
                (
                    nanos(phase.start_s),
                    nanos(phase.end_s),
                    number(&phase.phase),
                )
            })
            .collect();
        let steps = model.tokens.iter().flatten();
        let steps = steps
            .filter_map(|step| {
                let end = step.start_s + step.duration_s?;
                Some((nanos(step.start_s), nanos(end), number(&step.phase)))
            })
            .collect();
        let bins = usize::try_from(length.div_ceil(bin_ns)).unwrap_or(1);
        Self {
            window,
            model_bytes,
            bases,
            bin_ns,
            arrived: vec![0; bins],
            unit_bytes,
            units: vec![0; usize::try_from(model_bytes.div_ceil(unit_bytes)).unwrap_or(0)],
            first: DensityGrid::new(GRID.0, GRID.1),
            again: DensityGrid::new(GRID.0, GRID.1),
            singles: Some(Vec::new()),
            unplaced: 0,
            count: 0,
            bytes: 0,
            again_bytes: 0,
            latencies: BTreeMap::new(),
            depths: BTreeMap::new(),
            in_flight: BinaryHeap::new(),
            sizes: BTreeMap::new(),
            phases,
            spans,
            steps,
            step: 0,
        }
    }

    /// Takes a read in; they come in the order of their first issue. Those before the window count for what was read
    /// before.
    pub(super) fn add(&mut self, row: &ReadRow) {
        let base = row.file.and_then(|file| self.bases.get(usize::from(file)));
        let offset = row
            .file_offset_bytes
            .zip(base)
            .map(|(offset, base)| base + offset);
        let again = offset.is_some_and(|offset| self.count_units(offset, row.bytes));
        let depth = self.depth(row);
        let (from, to) = (nanos(self.window.from_s), nanos(self.window.to_s));
        if let Some(latency) = row.latency_ns
            && let Some(since) = (row.time_ns + latency).checked_sub(from)
            && let Ok(bin) = usize::try_from(since / self.bin_ns)
            && let Some(arrived) = self.arrived.get_mut(bin)
        {
            *arrived += row.bytes;
        }
        if !(from..=to).contains(&row.time_ns) {
            return;
        }
        self.count += 1;
        self.bytes += row.bytes;
        if again {
            self.again_bytes += row.bytes;
        }
        let phase = self.phase(row.time_ns);
        if let Some(latency) = row.latency_ns {
            let micros = (latency as f64 / 1e3).max(1.0);
            let step = (micros.log2() * LATENCY_STEPS).floor() as i32;
            *self.latencies.entry((phase, step)).or_default() += 1;
            let depth = depth.min(DEEPEST);
            *self.depths.entry((phase, depth)).or_default() += 1;
        }
        let size = u64::from(row.request_bytes).next_power_of_two();
        *self.sizes.entry((phase, size)).or_default() += 1;
        match offset {
            Some(offset) => self.place(row, offset, again),
            None => self.unplaced += 1,
        }
    }

    fn place(&mut self, row: &ReadRow, offset: u64, again: bool) {
        let at_s = row.time_ns as f64 / 1e9;
        let x = (at_s - self.window.from_s) / (self.window.to_s - self.window.from_s);
        let of_model = |bytes: u64| bytes as f64 / self.model_bytes.max(1) as f64;
        let (low, high) = (of_model(offset), of_model(offset + row.bytes));
        let grid = if again {
            &mut self.again
        } else {
            &mut self.first
        };
        grid.add(x, low, high, row.bytes as f64);
        if let Some(singles) = &mut self.singles {
            if singles.len() < MOST_SINGLE {
                singles.push(Single {
                    at_s,
                    offset,
                    bytes: row.bytes,
                    again,
                });
            } else {
                self.singles = None;
            }
        }
    }

    /// Counts the read for the file's units. Whether most of them had been read before.
    fn count_units(&mut self, offset: u64, bytes: u64) -> bool {
        let end = offset.saturating_add(bytes);
        let (first, last) = (
            offset / self.unit_bytes,
            end.saturating_sub(1) / self.unit_bytes,
        );
        let mut known = 0;
        for unit in first..=last {
            let begin = unit * self.unit_bytes;
            let part = end.min(begin + self.unit_bytes) - offset.max(begin).min(end);
            if let Some(read) = usize::try_from(unit)
                .ok()
                .and_then(|unit| self.units.get_mut(unit))
            {
                if *read > 0 {
                    known += part;
                }
                *read += part;
            }
        }
        known * 2 > bytes
    }

    /// How many reads were with the driver at this issue, this one included.
    fn depth(&mut self, row: &ReadRow) -> usize {
        while self
            .in_flight
            .peek()
            .is_some_and(|Reverse(end)| *end <= row.time_ns)
        {
            self.in_flight.pop();
        }
        if let Some(latency) = row.latency_ns {
            self.in_flight.push(Reverse(row.time_ns + latency));
        }
        self.in_flight.len()
    }

    /// The phase of a moment: that of the step that goes on, else the shortest that has it.
    fn phase(&mut self, at: u64) -> usize {
        while self
            .steps
            .get(self.step)
            .is_some_and(|(_, end, _)| *end <= at)
        {
            self.step += 1;
        }
        if let Some((start, _, phase)) = self.steps.get(self.step)
            && *start <= at
        {
            return *phase;
        }
        let having = self
            .spans
            .iter()
            .filter(|(start, end, _)| (*start..*end).contains(&at));
        having
            .min_by_key(|(start, end, _)| end - start)
            .map_or(self.phases.len(), |(_, _, phase)| *phase)
    }

    /// The name of a phase; reads outside of all are of none.
    pub(super) fn phase_name(&self, phase: usize) -> &str {
        self.phases.get(phase).map_or("no phase", String::as_str)
    }

    /// A distribution apart for each phase, under its name, that with the most reads first.
    pub(super) fn by_phase<K: Copy + Ord>(
        &self,
        counts: &BTreeMap<(usize, K), u64>,
    ) -> Vec<(String, BTreeMap<K, u64>)> {
        let mut apart: BTreeMap<usize, BTreeMap<K, u64>> = BTreeMap::new();
        for ((phase, key), reads) in counts {
            apart.entry(*phase).or_default().insert(*key, *reads);
        }
        let mut apart: Vec<(String, BTreeMap<K, u64>)> = apart
            .into_iter()
            .map(|(phase, counts)| (self.phase_name(phase).replace('_', "-"), counts))
            .collect();
        apart.sort_by_key(|(_, counts)| Reverse(counts.values().sum::<u64>()));
        apart
    }

    /// How many of these phases are drawn, each in a colour of [`PHASE_INKS`].
    pub(super) fn drawn<K>(phases: &[(String, BTreeMap<K, u64>)]) -> usize {
        let reads: Vec<u64> = phases
            .iter()
            .map(|(_, counts)| counts.values().sum())
            .collect();
        let all: u64 = reads.iter().sum();
        let enough = reads.iter().filter(|reads| **reads * LEAST_DRAWN >= all);
        enough.count().min(PHASE_INKS.len())
    }

    /// How often the model's bytes were read: bytes by times, the least often first.
    pub(super) fn times_read(&self) -> BTreeMap<u64, u64> {
        let mut times = BTreeMap::new();
        let mut begin = 0;
        for read in &self.units {
            let length = self.unit_bytes.min(self.model_bytes - begin).max(1);
            *times
                .entry((*read as f64 / length as f64).round() as u64)
                .or_default() += length;
            begin += length;
        }
        times
    }

    /// From which latency on a step of `latencies` counts, microseconds.
    pub(super) fn latency_us(step: i32) -> f64 {
        (f64::from(step) / LATENCY_STEPS).exp2()
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        read_list::ReadRow,
        schema::{ModelFileRecord, ModelRecord, RunRecord, TimeRecord},
    };

    use super::ReadCourse;

    fn course() -> ReadCourse {
        let record = RunRecord {
            time: TimeRecord {
                wall_s: 10.0,
                ..TimeRecord::default()
            },
            ..RunRecord::default()
        };
        let mut model = ModelRecord::default();
        for size_bytes in [8192, 6000] {
            model.model.files.push(ModelFileRecord {
                size_bytes,
                ..ModelFileRecord::default()
            });
        }
        ReadCourse::new(&record, &model, None)
    }

    fn read(time_ns: u64, file: u16, offset: u64, bytes: u64) -> ReadRow {
        ReadRow {
            time_ns,
            file: Some(file),
            file_offset_bytes: Some(offset),
            bytes,
            request_bytes: bytes as u32,
            latency_ns: Some(1_000_000),
            ..ReadRow::default()
        }
    }

    #[test]
    fn what_is_read_is_in_every_sum() {
        let mut course = course();
        for row in [
            read(0, 0, 0, 8192),
            read(500_000, 1, 0, 6000),
            read(5_000_000_000, 0, 4096, 4096),
        ] {
            course.add(&row);
        }
        assert_eq!(
            (course.count, course.bytes, course.again_bytes),
            (3, 18_288, 4096)
        );
        assert!((course.first.sum() - 14_192.0).abs() < 1e-6);
        assert!((course.again.sum() - 4096.0).abs() < 1e-6);
        assert_eq!(course.arrived.iter().sum::<u64>(), 18_288);
        // 4 KiB were read twice, the rest once.
        assert_eq!(
            course.times_read().into_iter().collect::<Vec<_>>(),
            [(1, 10_096), (2, 4096)]
        );
        // The second was issued while the first was with the driver.
        let none = course.phases.len();
        assert_eq!(
            course.depths,
            [((none, 1), 2), ((none, 2), 1)].into_iter().collect()
        );
        let places: Vec<u64> = course
            .singles
            .iter()
            .flatten()
            .map(|read| read.offset)
            .collect();
        assert_eq!(places, [0, 8192, 4096]);
    }

    #[test]
    fn a_read_without_a_place_is_counted_and_said() {
        let mut course = course();
        course.add(&ReadRow {
            bytes: 10,
            ..ReadRow::default()
        });
        assert_eq!((course.count, course.unplaced), (1, 1));
        assert_eq!(course.latencies.len(), 0);
    }
}
