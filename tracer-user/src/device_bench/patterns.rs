//! Which reads to make: one after another, at random. Plain values; nothing is read here.

use fastrand::Rng;

/// One read, bytes; aligned for direct reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Request {
    /// First byte in the file.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub length_bytes: u64,
}

/// The parts of a file that are on its device: what a read of a hole would measure is no device.
#[derive(Clone, Debug)]
pub struct Data {
    /// Offset and length, ascending, not adjoining.
    ranges: Vec<(u64, u64)>,
    bytes: u64,
}

impl Data {
    /// From ranges in ascending order, which may adjoin.
    pub fn new(ranges: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (offset, length) in ranges.into_iter().filter(|range| range.1 > 0) {
            match merged.last_mut() {
                Some(last) if last.0 + last.1 == offset => last.1 += length,
                _ => merged.push((offset, length)),
            }
        }
        Self {
            bytes: merged.iter().map(|range| range.1).sum(),
            ranges: merged,
        }
    }

    /// Bytes of data.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// First byte of data.
    pub fn first(&self) -> u64 {
        self.ranges.first().map_or(0, |range| range.0)
    }

    /// Where in the file the byte with this number among the data is, and how much data follows it there.
    fn place(&self, mut number: u64) -> Option<(u64, u64)> {
        for (offset, length) in &self.ranges {
            if number < *length {
                return Some((offset + number, length - number));
            }
            number -= length;
        }
        None
    }
}

/// Where a sequential pattern goes on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Number of the next byte among the data.
    next: u64,
    /// Bytes given so far, repetitions included.
    pub given_bytes: u64,
}

impl Cursor {
    /// The next `count` reads of at most `size_bytes`, from the start again after the end.
    pub fn sequential(&mut self, data: &Data, size_bytes: u64, count: usize) -> Vec<Request> {
        let mut requests = Vec::with_capacity(count);
        while requests.len() < count {
            let Some((offset_bytes, left)) = data.place(self.next) else {
                if self.next == 0 {
                    break;
                }
                self.next = 0;
                continue;
            };
            let length_bytes = size_bytes.min(left);
            requests.push(Request {
                offset_bytes,
                length_bytes,
            });
            self.next += length_bytes;
            self.given_bytes += length_bytes;
        }
        requests
    }
}

/// Sizes of reads and how often each is wanted.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Size and the number of reads up to and including it, ascending.
    cumulative: Vec<(u64, u64)>,
}

impl Sizes {
    /// From sizes with their counts; sizes are rounded up to `alignment`. None of none.
    pub fn new(sizes: impl IntoIterator<Item = (u64, u64)>, alignment: u64) -> Option<Self> {
        let mut sizes: Vec<(u64, u64)> = sizes
            .into_iter()
            .filter(|(bytes, count)| *bytes > 0 && *count > 0)
            .map(|(bytes, count)| (bytes.next_multiple_of(alignment), count))
            .collect();
        sizes.sort_unstable();
        let mut sum = 0;
        for (_, count) in &mut sizes {
            sum += *count;
            *count = sum;
        }
        (sum > 0).then_some(Self { cumulative: sizes })
    }

    /// Always the same.
    pub fn one(bytes: u64) -> Self {
        Self {
            cumulative: vec![(bytes, 1)],
        }
    }

    fn all(&self) -> u64 {
        self.cumulative.last().map_or(0, |size| size.1)
    }

    /// The size of the read with this number in the order of sizes, from 0.
    fn of_number(&self, number: u64) -> u64 {
        let place = self.cumulative.partition_point(|size| size.1 <= number);
        self.cumulative.get(place).map_or(0, |size| size.0)
    }

    /// Half of the reads are of this size or smaller.
    pub fn median(&self) -> u64 {
        self.of_number(self.all().saturating_sub(1) / 2)
    }

    fn pick(&self, random: &mut Rng) -> u64 {
        self.of_number(random.u64(0..self.all().max(1)))
    }
}

/// Reads at random places of the data, of random sizes among these.
pub fn random(
    data: &Data,
    sizes: &Sizes,
    alignment: u64,
    count: usize,
    random: &mut Rng,
) -> Vec<Request> {
    (0..count)
        .filter_map(|_| {
            let wanted = sizes.pick(random);
            let number = random.u64(0..data.bytes().max(1));
            let (place, left) = data.place(number)?;
            let offset_bytes = place - place % alignment;
            // Cut where the data ends, not moved: the last part would be read too often otherwise.
            let length_bytes = wanted.min((left + place % alignment).next_multiple_of(alignment));
            Some(Request {
                offset_bytes,
                length_bytes,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Cursor, Data, Request, Sizes, random};
    use fastrand::Rng;
    use proptest::prelude::*;

    const BLOCK: u64 = 512;

    fn data() -> impl Strategy<Value = Data> {
        proptest::collection::vec((0u64..9, 1u64..90), 1..9).prop_map(|parts| {
            let mut offset = 0;
            let ranges: Vec<_> = parts
                .into_iter()
                .map(|(hole, length)| {
                    let start = offset + hole * BLOCK;
                    offset = start + length * BLOCK;
                    (start, length * BLOCK)
                })
                .collect();
            Data::new(ranges)
        })
    }

    fn lies_in(request: Request, data: &Data) -> bool {
        data.ranges.iter().any(|(offset, length)| {
            *offset <= request.offset_bytes
                && request.offset_bytes + request.length_bytes <= offset + length
        })
    }

    proptest! {
        #[test]
        fn a_sequential_pass_reads_every_byte_once(data in data(), blocks in 1u64..40) {
            let mut cursor = Cursor::default();
            let mut read = Vec::new();
            while cursor.given_bytes < data.bytes() {
                read.extend(cursor.sequential(&data, blocks * BLOCK, 1));
            }
            prop_assert_eq!(cursor.given_bytes, data.bytes());
            prop_assert!(read.iter().all(|request| lies_in(*request, &data)));
            prop_assert!(read.windows(2).all(|pair| pair[0].offset_bytes + pair[0].length_bytes <= pair[1].offset_bytes));
            // Then from the start.
            prop_assert_eq!(cursor.sequential(&data, BLOCK, 1)[0].offset_bytes, data.first());
        }

        #[test]
        fn random_reads_are_aligned_and_of_data(data in data(), blocks in 1u64..40, seed: u64) {
            let sizes = Sizes::one(blocks * BLOCK);
            let read = random(&data, &sizes, BLOCK, 200, &mut Rng::with_seed(seed));
            prop_assert_eq!(read.len(), 200);
            for request in read {
                prop_assert!(lies_in(request, &data), "{:?}", request);
                prop_assert!(request.offset_bytes.is_multiple_of(BLOCK) && request.length_bytes > 0);
                prop_assert!(request.length_bytes <= blocks * BLOCK);
            }
        }
    }

    #[test]
    fn sizes_are_picked_as_often_as_they_occurred() {
        let sizes = Sizes::new([(4000, 30), (131_072, 10)], BLOCK).expect("some");
        assert_eq!(sizes.median(), 4096);
        let of_size = |size| {
            (0..sizes.all())
                .filter(|number| sizes.of_number(*number) == size)
                .count()
        };
        assert_eq!((of_size(4096), of_size(131_072)), (30, 10));
        let data = Data::new([(0, 1 << 30)]);
        let read = random(&data, &sizes, BLOCK, 4000, &mut Rng::with_seed(1));
        let small = read.iter().filter(|read| read.length_bytes == 4096).count();
        // 3,000 expected; more than 6 standard deviations off is no chance.
        assert!((2_830..3_170).contains(&small), "{small}");
        assert!(Sizes::new([(0, 3), (5, 0)], BLOCK).is_none());
    }

    #[test]
    fn a_file_without_data_gives_no_reads() {
        let none = Data::new([]);
        assert!(Cursor::default().sequential(&none, 4096, 3).is_empty());
        assert!(random(&none, &Sizes::one(512), 512, 3, &mut Rng::with_seed(1)).is_empty());
    }
}
