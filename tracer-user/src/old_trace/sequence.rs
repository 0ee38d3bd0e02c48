//! Records that are missing, by the numbers that each CPU gives its own.

use crate::storage::KernelDevice;

/// Watches the sequence numbers of each traced device and CPU. A record that comes late fills its gap.
#[derive(Clone, Debug, Default)]
pub struct SequenceGaps {
    streams: Vec<Stream>,
    latest: usize,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    device: KernelDevice,
    cpu: u32,
    first: u32,
    last: u32,
    records: u64,
}

impl SequenceGaps {
    /// Takes in a number; 0 is none. A remap names two devices, of which either may be the traced one: it belongs to
    /// the one whose turn it is.
    pub fn take(&mut self, devices: [Option<KernelDevice>; 2], cpu: u32, sequence: u32) {
        if sequence == 0 {
            return;
        }
        let [device, other] = devices;
        let Some(device) = device else {
            return;
        };
        let is_of =
            |stream: &Stream, device: KernelDevice| stream.cpu == cpu && stream.device == device;
        // Most often the CPU of the record before.
        let is_next = |stream: &Stream| {
            (is_of(stream, device) || other.is_some_and(|other| is_of(stream, other)))
                && stream.last.checked_add(1) == Some(sequence)
        };
        let position = if self.streams.get(self.latest).is_some_and(is_next) {
            Some(self.latest)
        } else {
            self.streams.iter().position(is_next).or_else(|| {
                let of = |device| self.streams.iter().position(|stream| is_of(stream, device));
                of(device).or_else(|| other.and_then(of))
            })
        };
        match position.and_then(|position| Some((position, self.streams.get_mut(position)?))) {
            Some((position, stream)) => {
                stream.first = stream.first.min(sequence);
                stream.last = stream.last.max(sequence);
                stream.records += 1;
                self.latest = position;
            }
            None => {
                self.latest = self.streams.len();
                self.streams.push(Stream {
                    device,
                    cpu,
                    first: sequence,
                    last: sequence,
                    records: 1,
                });
            }
        }
    }

    /// Records missing between the first and the last one of each CPU.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.sum(|stream| stream.first)
    }

    /// Records missing up to the last one of each CPU: numbers begin at 1.
    #[must_use]
    pub fn missing_from_start(&self) -> u64 {
        self.sum(|_| 1)
    }

    fn sum(&self, first: impl Fn(&Stream) -> u32) -> u64 {
        self.streams
            .iter()
            .map(|stream| {
                let numbers = u64::from(stream.last) + 1 - u64::from(first(stream));
                numbers.saturating_sub(stream.records)
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use crate::storage::KernelDevice;

    use super::SequenceGaps;

    const DISK: Option<KernelDevice> = Some(KernelDevice(1 << 20));
    const PARTITION: Option<KernelDevice> = Some(KernelDevice(1 << 20 | 1));

    #[test]
    fn gaps_are_counted_by_cpu_and_filled_by_late_records() {
        let mut gaps = SequenceGaps::default();
        for (cpu, sequence) in [(0, 3), (1, 1), (0, 4), (0, 7), (1, 2), (0, 6), (0, 0)] {
            gaps.take([DISK, None], cpu, sequence);
        }
        assert_eq!(gaps.missing(), 1);
        assert_eq!(gaps.missing_from_start(), 3);
    }

    #[test]
    fn a_remap_belongs_to_the_traced_one_of_its_two_devices() {
        // A partition is traced: its remaps are printed under the disk's number.
        let mut gaps = SequenceGaps::default();
        for round in 0..5 {
            gaps.take([DISK, PARTITION], 0, round * 4 + 1);
            for record in 2..=4 {
                gaps.take([PARTITION, None], 0, round * 4 + record);
            }
        }
        assert_eq!(gaps.missing(), 0);
        gaps.take([PARTITION, None], 0, 30);
        assert_eq!(gaps.missing(), 9);
    }
}
