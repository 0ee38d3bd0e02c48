//! Whether all records are of one recording.
//!
//! In a recording each CPU numbers its records of a device from 1 on, by its own clock. A number that comes twice, and
//! a higher number with an earlier time, are two recordings taken together: their reads would all count twice. blkparse
//! counts time from the first record that it prints, so a text that is back at that time has begun again.

use std::collections::BTreeMap;

use crate::{stats::Nanos, storage::KernelDevice};

use super::record::TraceRecord;

/// By how much a CPU's clock may run back: nothing else lies between a record's number and its time.
const CLOCK_STEP: Nanos = Nanos(1_000_000);
/// Ranges of numbers that are kept for one CPU; texts from which lines were left out have many. Beyond it the lowest are
/// forgotten.
const MOST_RANGES: usize = 1 << 17;

/// What says that a record is of another recording than those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherRecording {
    /// Its CPU has given this number before.
    NumberTwice,
    /// Its number is higher than that of its CPU's record before, its time is earlier.
    TimeRunsBack,
    /// A text that had gone on is back at the time at which it began.
    BeginsAgain,
}

/// Watches the numbers and times of the records in the order of their files.
#[derive(Clone, Debug)]
pub struct OneRecording {
    is_text: bool,
    streams: Vec<Stream>,
    latest: usize,
    first_time: Option<Nanos>,
    last_time: Nanos,
}

/// The records of one traced device and one CPU.
#[derive(Clone, Debug)]
struct Stream {
    device: KernelDevice,
    cpu: u32,
    last_time: Nanos,
    /// The highest range of numbers without a gap: first and last.
    top: (u32, u32),
    /// Those below: last number by the first one.
    below: BTreeMap<u32, u32>,
}

impl Stream {
    /// Takes in a number. False where it has been there.
    fn take(&mut self, number: u32) -> bool {
        let (first, last) = self.top;
        if number > last {
            if Some(number) == last.checked_add(1) {
                self.top.1 = number;
            } else {
                self.below.insert(first, last);
                self.top = (number, number);
                if self.below.len() > MOST_RANGES {
                    self.below.pop_first();
                }
            }
            return true;
        }
        if number >= first {
            return false;
        }
        let before = self.below.range(..=number).next_back();
        let before = before.map(|(first, last)| (*first, *last));
        if before.is_some_and(|(_, last)| number <= last) {
            return false;
        }
        let mut range = (number, number);
        if let Some((first, last)) = before
            && Some(number) == last.checked_add(1)
        {
            range.0 = first;
        }
        if let Some(next) = number.checked_add(1) {
            if next == first {
                self.below.remove(&range.0);
                self.top.0 = range.0;
                return true;
            }
            if let Some(last) = self.below.remove(&next) {
                range.1 = last;
            }
        }
        self.below.insert(range.0, range.1);
        true
    }
}

impl OneRecording {
    /// No record yet, of a text or of binary files.
    pub const fn new(is_text: bool) -> Self {
        Self {
            is_text,
            streams: Vec::new(),
            latest: 0,
            first_time: None,
            last_time: Nanos(0),
        }
    }

    /// Takes in a record as it comes from its file.
    ///
    /// # Errors
    /// It is of another recording.
    pub fn take(&mut self, record: &TraceRecord) -> Result<(), OtherRecording> {
        // A message has no number; a remap names two devices, and either may be the one whose number it has.
        if record.sequence == 0 || record.remapped_from.is_some() {
            return Ok(());
        }
        let (time, number) = (record.time, record.sequence);
        let first_time = *self.first_time.get_or_insert(time);
        let is_back = self.is_text && time <= first_time && self.last_time > first_time;
        self.last_time = self.last_time.max(time);
        let is_of = |stream: &Stream| stream.cpu == record.cpu && stream.device == record.device;
        if !self.streams.get(self.latest).is_some_and(is_of) {
            match self.streams.iter().position(is_of) {
                Some(position) => self.latest = position,
                None => {
                    self.latest = self.streams.len();
                    self.streams.push(Stream {
                        device: record.device,
                        cpu: record.cpu,
                        last_time: time,
                        top: (number, number),
                        below: BTreeMap::new(),
                    });
                    return if is_back {
                        Err(OtherRecording::BeginsAgain)
                    } else {
                        Ok(())
                    };
                }
            }
        }
        let Some(stream) = self.streams.get_mut(self.latest) else {
            return Ok(());
        };
        let is_next = number > stream.top.1;
        if !stream.take(number) {
            return Err(OtherRecording::NumberTwice);
        }
        if is_next {
            if is_back {
                return Err(OtherRecording::BeginsAgain);
            }
            if stream.last_time.0 > time.0.saturating_add(CLOCK_STEP.0) {
                return Err(OtherRecording::TimeRunsBack);
            }
            stream.last_time = time;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use tracer_common::counters::Operation;

    use crate::{
        old_trace::files::record::{Action, TraceRecord},
        stats::Nanos,
        storage::KernelDevice,
    };

    use super::{OneRecording, OtherRecording};

    fn record(cpu: u32, sequence: u32, time: u64) -> TraceRecord {
        TraceRecord {
            time: Nanos(time),
            device: KernelDevice(8 << 20),
            remapped_from: None,
            sector: 0,
            sectors: 8,
            thread_id: 1,
            cpu,
            sequence,
            action: Action::Issue,
            operation: Operation::Read,
            failed: false,
            readahead: false,
            metadata: false,
            synchronous: false,
        }
    }

    fn answer(is_text: bool, records: &[(u32, u32, u64)]) -> Result<(), OtherRecording> {
        let mut recording = OneRecording::new(is_text);
        records
            .iter()
            .try_for_each(|(cpu, sequence, time)| recording.take(&record(*cpu, *sequence, *time)))
    }

    #[test]
    fn what_is_late_is_of_the_same_recording() {
        let late = [
            (0, 4, 40),
            (0, 3, 30),
            (1, 1, 35),
            (0, 1, 10),
            (0, 2, 20),
            (0, 9, 90),
        ];
        for is_text in [true, false] {
            assert_eq!(answer(is_text, &late), Ok(()));
        }
        // CPUs that wrote at the same time, and pieces of a stream that holds several CPUs.
        assert_eq!(answer(true, &[(0, 1, 0), (1, 1, 0), (0, 2, 5)]), Ok(()));
        assert_eq!(answer(false, &[(0, 1, 7), (0, 2, 9), (1, 1, 2)]), Ok(()));
    }

    #[test]
    fn another_recording_shows_by_numbers_or_by_time() {
        let twice = [(0, 1, 10), (0, 3, 30), (0, 2, 20), (0, 3, 50)];
        assert_eq!(answer(false, &twice), Err(OtherRecording::NumberTwice));
        // Another CPU, the same beginning.
        let again = [(0, 1, 0), (0, 2, 30), (1, 1, 0)];
        assert_eq!(answer(true, &again), Err(OtherRecording::BeginsAgain));
        let continued = [(0, 1, 0), (0, 2, 30), (0, 7, 0)];
        assert_eq!(answer(true, &continued), Err(OtherRecording::BeginsAgain));
        let back = [(0, 1, 0), (0, 2, 9_000_000), (0, 7, 3_000_000)];
        assert_eq!(answer(false, &back), Err(OtherRecording::TimeRunsBack));
    }

    proptest! {
        #[test]
        fn a_number_is_there_twice_or_it_is_not(numbers in prop::collection::vec(1u32..40, 1..60)) {
            let mut seen = HashSet::new();
            let mut recording = OneRecording::new(false);
            for number in numbers {
                let is_new = seen.insert(number);
                prop_assert_eq!(recording.take(&record(0, number, 5)).is_ok(), is_new);
            }
        }
    }
}
