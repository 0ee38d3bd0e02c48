//! What holds for any bytes.

use std::io::{self, Read};

use proptest::prelude::*;

use super::{Bytes, rich_file};
use crate::model::{GgmlType, GgufHeader};

/// Counts what is read, so that reading beyond the given size is seen.
struct Counted<'a> {
    bytes: &'a [u8],
    taken: u64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.taken += count as u64;
        Ok(count)
    }
}

/// What holds for any bytes.
fn check_laws(bytes: &[u8], file_size_bytes: u64) {
    let mut source = Counted { bytes, taken: 0 };
    let result = GgufHeader::read(&mut source, file_size_bytes);
    assert!(source.taken <= file_size_bytes, "read beyond the file");
    match result {
        Err(error) => {
            assert!(error.offset_bytes <= file_size_bytes, "{error}");
            assert!(!error.to_string().is_empty());
        }
        Ok(header) => {
            assert!(header.alignment_bytes.is_power_of_two());
            assert!(
                header
                    .data_start_bytes
                    .is_multiple_of(header.alignment_bytes)
            );
            let mut places: Vec<_> = header
                .tensors
                .iter()
                .map(|tensor| (tensor.file_offset_bytes, tensor.end_bytes()))
                .collect();
            places.sort_unstable();
            for &(start, end) in &places {
                assert!(header.data_start_bytes <= start && start <= end && end <= file_size_bytes);
            }
            assert!(
                places.windows(2).all(|pair| pair[0].1 <= pair[1].0),
                "tensors overlap"
            );
        }
    }
}

#[test]
fn every_truncation_gives_an_answer() {
    let file = rich_file().0;
    for length in 0..file.len() {
        assert!(
            GgufHeader::read(&file[..length], length as u64).is_err() || length >= file.len() - 24
        );
        check_laws(&file[..length], length as u64);
        check_laws(&file, length as u64);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn any_mutation_gives_an_answer(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        words in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![
            Just(u64::MAX), Just(1u64 << 63), Just(1 << 32), Just(0), 0u64..1024, any::<u64>()]), 0..3),
    ) {
        let mut file = rich_file().0;
        for (index, value) in changes {
            let place = index.index(file.len());
            file[place] = value;
        }
        for (index, word) in words {
            let place = index.index(file.len() - 8);
            file[place..place + 8].copy_from_slice(&word.to_le_bytes());
        }
        check_laws(&file, file.len() as u64);
    }

    #[test]
    fn any_bytes_after_the_magic_give_an_answer(
        counts in (0u64..4, 0u64..4), bytes in prop::collection::vec(prop_oneof![Just(0u8), 0u8..14, any::<u8>()], 0..300),
    ) {
        let file = Bytes::start(3, counts.0, counts.1).raw(&bytes);
        check_laws(&file.0, file.0.len() as u64);
    }

    #[test]
    fn tensors_written_one_after_the_other_are_found(
        shapes in prop::collection::vec((prop::collection::vec(0u64..5, 0..4), prop::sample::select(vec![0u32, 1, 2, 8, 12, 39])), 0..20),
    ) {
        let mut file = Bytes::start(3, shapes.len() as u64, 0);
        let mut expected = Vec::new();
        let mut offset = 0;
        for (number, (shape, element_type)) in shapes.iter().enumerate() {
            let (block_elements, block_bytes) = GgmlType(*element_type).block().unwrap();
            let mut dimensions = vec![block_elements * 2];
            dimensions.extend(shape.iter().take(3));
            let length: u64 = 2 * block_bytes * dimensions[1..].iter().product::<u64>();
            file = file.tensor(&format!("t{number}"), &dimensions, *element_type, offset);
            expected.push((offset, length));
            offset = (offset + length).next_multiple_of(32);
        }
        let header = file.data(32, offset as usize).read().unwrap();
        let found: Vec<_> = header.tensors.iter()
            .map(|tensor| (tensor.file_offset_bytes - header.data_start_bytes, tensor.length_bytes)).collect();
        prop_assert_eq!(found, expected);
    }
}
