//! Scripted layouts, and real files.

use super::*;
use proptest::prelude::*;
use std::io::Write;
use std::os::unix::fs::FileExt;

fn record(
    logical_bytes: u64,
    physical_bytes: u64,
    length_bytes: u64,
    flags: FiemapExtentFlags,
) -> ExtentRecord {
    ExtentRecord {
        logical_bytes,
        physical_bytes,
        length_bytes,
        flags,
    }
}

const PLAIN: FiemapExtentFlags = FiemapExtentFlags::empty();

#[test]
fn adjacent_records_merge_only_where_both_sides_continue() {
    let file = FileExtents::from_records(
        5 * 4096,
        4096,
        [
            record(0, 40960, 4096, PLAIN),
            record(4096, 45056, 4096, PLAIN), // continues both
            record(8192, 90112, 4096, PLAIN), // jumps on the device
            record(16384, 94208, 4096, FiemapExtentFlags::SHARED), // continues on the device, not in the file
        ],
    )
    .unwrap();
    let pieces: Vec<_> = file
        .extents
        .iter()
        .map(|e| {
            (
                e.file_offset_bytes,
                e.physical_bytes,
                e.length_bytes,
                e.shared,
            )
        })
        .collect();
    assert_eq!(
        pieces,
        [
            (0, 40960, 8192, false),
            (8192, 90112, 4096, false),
            (16384, 94208, 4096, true)
        ]
    );
    assert_eq!(file.physical_extent_count, 3);
    assert_eq!(file.holes_bytes, 4096);
}

#[test]
fn a_difference_in_sharing_splits_the_list_but_is_one_physical_extent() {
    let records = [
        record(0, 8192, 4096, PLAIN),
        record(4096, 12288, 4096, FiemapExtentFlags::SHARED),
    ];
    let file = FileExtents::from_records(8192, 4096, records).unwrap();
    assert_eq!((file.extents.len(), file.physical_extent_count), (2, 1));
}

#[test]
fn the_last_block_is_whole_on_disk_and_clipped_in_the_file() {
    // 10,000 bytes in blocks of 4,096, preallocated further: a read of the last block transfers 12,288 bytes.
    let file = FileExtents::from_records(
        10_000,
        4096,
        [
            record(0, 4096, 65536, PLAIN),
            record(65536, 1 << 20, 4096, PLAIN),
        ],
    )
    .unwrap();
    assert_eq!(file.extents.len(), 1);
    assert_eq!(file.extents[0].length_bytes, 12_288);
    assert_eq!(file.clip_to_size(FileOffset(0), 12_288), 10_000);
    assert_eq!(file.clip_to_size(FileOffset(8192), 4096), 1808);
    assert_eq!(file.clip_to_size(FileOffset(12_288), 4096), 0);
    assert_eq!(file.holes_bytes, 0);
}

#[test]
fn unwritten_extents_are_holes() {
    let file = FileExtents::from_records(
        12_000,
        4096,
        [
            record(0, 4096, 4096, PLAIN),
            record(8192, 20480, 4096, FiemapExtentFlags::UNWRITTEN),
        ],
    )
    .unwrap();
    assert_eq!(file.extents.len(), 1);
    assert_eq!(file.unwritten_bytes, 12_000 - 8192);
    assert_eq!(file.holes_bytes, 12_000 - 4096);
}

/// As erofs reports a file of two blocks and 100 bytes.
#[test]
fn a_tail_in_the_metadata_is_no_place_on_the_device() {
    use FiemapExtentFlags as F;
    let inline = F::DATA_INLINE | F::NOT_ALIGNED | F::LAST;
    let tail = |offset, length| {
        let records = [
            record(0, 4096, 8192, PLAIN),
            record(offset, 1344, length, inline),
        ];
        FileExtents::from_records(8292, 4096, records)
    };
    let file = tail(8192, 100).unwrap();
    assert_eq!(
        (file.extents.len(), file.extents[0].length_bytes),
        (1, 8192)
    );
    assert_eq!((file.holes_bytes, file.tail_in_metadata_bytes), (100, 100));
    // More than a tail, or less than all of it: then it is not understood.
    assert!(matches!(tail(8192, 99), Err(ExtentsError::InlineData(_))));
    let more = [
        record(0, 4096, 4096, PLAIN),
        record(4096, 1344, 4196, inline),
    ];
    let more = FileExtents::from_records(8292, 4096, more);
    assert!(matches!(more, Err(ExtentsError::InlineData(_))));
}

#[test]
fn unusable_extents_name_their_cause() {
    let refusal =
        |flags| FileExtents::from_records(4096, 4096, [record(0, 4096, 4096, flags)]).unwrap_err();
    use FiemapExtentFlags as F;
    assert!(matches!(
        refusal(F::UNKNOWN),
        ExtentsError::UnknownLocation(_)
    ));
    assert!(matches!(
        refusal(F::UNKNOWN | F::DELALLOC),
        ExtentsError::DelayedAllocation(_)
    ));
    assert!(matches!(refusal(F::ENCODED), ExtentsError::Encoded(_)));
    assert!(matches!(
        refusal(F::NOT_ALIGNED | F::DATA_INLINE),
        ExtentsError::InlineData(_)
    ));
    assert!(matches!(
        refusal(F::NOT_ALIGNED | F::DATA_TAIL),
        ExtentsError::PackedTail(_)
    ));
    assert!(matches!(
        refusal(F::NOT_ALIGNED),
        ExtentsError::NotAligned { .. }
    ));
    let odd = FileExtents::from_records(4096, 4096, [record(0, 100, 4096, PLAIN)]);
    assert!(matches!(odd, Err(ExtentsError::NotAligned { .. })));
    let backwards = [
        record(4096, 4096, 4096, PLAIN),
        record(0, 65536, 4096, PLAIN),
    ];
    assert!(matches!(
        FileExtents::from_records(8192, 4096, backwards),
        Err(ExtentsError::Impossible(_))
    ));
    let endless = [record(0, u64::MAX - 511, 4096, PLAIN)];
    assert!(matches!(
        FileExtents::from_records(8192, 4096, endless),
        Err(ExtentsError::Impossible(_))
    ));
}

#[test]
fn an_empty_file_has_no_extent_and_no_hole() {
    let file = FileExtents::from_records(0, 4096, []).unwrap();
    assert_eq!(
        (
            file.extents.len(),
            file.holes_bytes,
            file.physical_extent_count
        ),
        (0, 0, 0)
    );
}

#[test]
fn a_real_sparse_file_of_odd_size_has_the_extents_that_were_written() {
    let mut file = tempfile::tempfile_in("/var/tmp").unwrap();
    file.write_all(&[7; 100_000]).unwrap();
    file.write_all_at(&[7; 5], 1 << 20).unwrap();
    let found = match FileExtents::of(&file) {
        Err(ExtentsError::NotSupported) => return eprintln!("skipped: /var/tmp has no FIEMAP"),
        found => found.unwrap(),
    };
    let block = nix::sys::statvfs::fstatvfs(&file).unwrap().fragment_size();
    assert_eq!(found.size_bytes, (1 << 20) + 5);
    assert_eq!(found.extents.first().unwrap().file_offset_bytes, 0);
    let first_part: u64 = found
        .extents
        .iter()
        .filter(|e| e.file_offset_bytes < 1 << 20)
        .map(|e| e.length_bytes)
        .sum();
    assert_eq!(first_part, 100_000_u64.next_multiple_of(block));
    let last = found.extents.last().unwrap();
    assert_eq!(
        (last.file_offset_bytes, last.length_bytes),
        (1 << 20, block)
    );
    assert_eq!(found.holes_bytes, (1 << 20) - first_part);
    let before = found.fingerprint();
    assert_eq!(FileExtents::of(&file).unwrap().fingerprint(), before);
    file.write_all_at(&[1; 4096], 1 << 19).unwrap();
    assert_ne!(FileExtents::of(&file).unwrap().fingerprint(), before);
}

#[test]
fn fallocated_space_is_unwritten() {
    use std::os::fd::AsRawFd;
    let file = tempfile::tempfile_in("/var/tmp").unwrap();
    // SAFETY: fallocate takes a descriptor and numbers only.
    if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 1 << 20) } != 0 {
        return eprintln!(
            "skipped: /var/tmp cannot fallocate: {}",
            io::Error::last_os_error()
        );
    }
    match FileExtents::of(&file) {
        Err(ExtentsError::NotSupported) => eprintln!("skipped: /var/tmp has no FIEMAP"),
        found => {
            let found = found.unwrap();
            assert_eq!(
                (
                    found.extents.len(),
                    found.holes_bytes,
                    found.unwritten_bytes
                ),
                (0, 1 << 20, 1 << 20)
            );
        }
    }
}

proptest! {
    /// Cutting the same layout into other records gives the same extents, and the sums always close.
    #[test]
    fn records_cut_differently_describe_the_same_file(
        blocks in prop::collection::vec((0u8..3, 0u64..40), 1..60),
        tail in 0u64..4096,
    ) {
        const BLOCK: u64 = 4096;
        let size = (blocks.len() as u64 * BLOCK).saturating_sub(tail);
        let mut single = Vec::new();
        let mut physical = 1 << 20;
        for (index, (kind, jump)) in blocks.iter().enumerate() {
            if *jump < 8 { physical += (jump + 1) * BLOCK; }
            let flags = match kind { 0 => continue, 1 => PLAIN, _ => FiemapExtentFlags::UNWRITTEN };
            single.push(record(index as u64 * BLOCK, physical, BLOCK, flags));
            physical += BLOCK;
        }
        let sectors = single.iter().flat_map(|r| (0..8).map(|s| record(r.logical_bytes + s * 512, r.physical_bytes + s * 512, 512, r.flags)));
        let whole = FileExtents::from_records(size, BLOCK, single.clone()).unwrap();
        let cut = FileExtents::from_records(size, BLOCK, sectors).unwrap();
        prop_assert_eq!(&whole, &cut);
        prop_assert_eq!(whole.fingerprint(), cut.fingerprint());
        let readable: u64 = whole.extents.iter().map(|e| whole.clip_to_size(FileOffset(e.file_offset_bytes), e.length_bytes)).sum();
        prop_assert_eq!(readable, size - whole.holes_bytes);
        prop_assert!(whole.unwritten_bytes <= whole.holes_bytes);
        for pair in whole.extents.windows(2) { prop_assert!(!pair[1].continues(&pair[0])); }
    }
}
