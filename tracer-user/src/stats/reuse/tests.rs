//! Laws of the caches that are simulated.

use std::ops::Range;

use super::{
    Cache, PageCache, PageLists, RandomPolicy, ReadAround, StackDistances, fewest_reads,
    reads_of_steps,
};
use proptest::prelude::*;

const FILE_BLOCKS: u32 = 64;

fn lists(capacity_blocks: u32, read_around: ReadAround) -> PageLists {
    let cache = PageCache {
        capacity_blocks,
        batch_blocks: 1,
        active_per_inactive: 1,
        read_around,
    };
    PageLists::new(cache, FILE_BLOCKS)
}

fn steps() -> impl Strategy<Value = Vec<Vec<Range<u32>>>> {
    let part = (0..FILE_BLOCKS, 1..20u32)
        .prop_map(|(start, length)| start..(start + length).min(FILE_BLOCKS));
    prop::collection::vec(prop::collection::vec(part, 0..6), 0..20)
}

fn flat(steps: &[Vec<Range<u32>>]) -> Vec<u32> {
    steps.iter().flatten().cloned().flatten().collect()
}

/// A scan of more than there is room for: the two lists keep nothing of it, any policy that does not look keeps some.
#[test]
fn a_scan_of_more_than_fits_reads_all_of_it_again_from_the_two_lists() {
    let scan = vec![vec![0..60]; 20];
    let read = reads_of_steps(&mut lists(50, ReadAround::default()), &scan);
    assert_eq!(read, [60; 20]);
    let random = reads_of_steps(
        &mut RandomPolicy::new(50, ReadAround::default(), FILE_BLOCKS),
        &scan,
    );
    let second_half: u64 = random[10..].iter().sum();
    // h = exp(-m N / C), m = 1 - h: m is 0.31 for C / N = 5 / 6.
    assert!((120..260).contains(&second_half), "{random:?}");
}

#[test]
fn what_fits_is_read_once() {
    let scan = vec![vec![0..60]; 3];
    for read in [
        reads_of_steps(&mut lists(60, ReadAround::default()), &scan),
        reads_of_steps(
            &mut RandomPolicy::new(60, ReadAround::default(), FILE_BLOCKS),
            &scan,
        ),
    ] {
        assert_eq!(read, [60, 0, 0]);
    }
}

/// What is used in each step stays on the active list, while single uses pass by.
#[test]
fn the_active_list_keeps_what_is_used_all_the_time() {
    let steps: Vec<Vec<Range<u32>>> = (0..40u32)
        .map(|step| {
            let other = 10 + step * 6 % 48;
            vec![0..10, other..other + 6]
        })
        .collect();
    let read = reads_of_steps(&mut lists(24, ReadAround::default()), &steps);
    assert!(read[20..].iter().all(|blocks| *blocks == 6), "{read:?}");
}

/// A missing block brings those around it, and none beyond the file.
#[test]
fn what_is_around_comes_along() {
    let around = ReadAround {
        before: 2,
        after: 3,
    };
    for (used, expected) in [(10, 6), (0, 4), (63, 3)] {
        let step = vec![vec![used..used + 1]];
        assert_eq!(reads_of_steps(&mut lists(20, around), &step), [expected]);
        let mut random = RandomPolicy::new(20, around, FILE_BLOCKS);
        assert_eq!(reads_of_steps(&mut random, &step), [expected]);
    }
}

proptest! {
    /// Without read-ahead no cache reads less than the best one, or more than each use.
    #[test]
    fn each_lies_between_the_best_and_no_cache(steps in steps(), capacity in 1..70u32) {
        let uses = flat(&steps);
        let best = fewest_reads(&uses, capacity, 0);
        let all = uses.len() as u64;
        let by_lists: u64 = reads_of_steps(&mut lists(capacity, ReadAround::default()), &steps).iter().sum();
        let mut random = RandomPolicy::new(capacity, ReadAround::default(), FILE_BLOCKS);
        let by_random: u64 = reads_of_steps(&mut random, &steps).iter().sum();
        prop_assert!((best..=all).contains(&by_lists), "{} {} {}", best, by_lists, all);
        prop_assert!((best..=all).contains(&by_random), "{} {} {}", best, by_random, all);
        // With room for all, all policies are one.
        if capacity >= FILE_BLOCKS {
            let once = StackDistances::of(&uses, 0).reads(capacity);
            prop_assert_eq!((by_lists, by_random), (once, once));
        }
    }

    /// No more is held than there is room for, and what is held has been read.
    #[test]
    fn no_more_is_held_than_there_is_room_for(steps in steps(), capacity in 1..70u32, before in 0..4u32, after in 0..4u32) {
        let mut cache = lists(capacity, ReadAround { before, after });
        for number in flat(&steps) {
            cache.use_block(number);
            prop_assert!(cache.resident_blocks() <= capacity);
            prop_assert!(u64::from(cache.resident_blocks()) <= cache.read_blocks());
        }
    }
}
