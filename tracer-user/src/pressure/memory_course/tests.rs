//! Tests of the course of memory: changes, and the laws of its thinning.

use proptest::prelude::*;

use crate::pressure::memory::{IoPressure, MemoryPressure, PressureShare};

use super::*;

fn share(total_microseconds: u64) -> PressureShare {
    PressureShare {
        percent_of_10_seconds: 0.0,
        total_microseconds,
    }
}

fn system(refaults: Option<u64>, stalled: Option<u64>) -> SystemMemory {
    SystemMemory {
        total_bytes: 1000,
        available_bytes: Some(600),
        free_bytes: 100,
        cached_bytes: 300,
        dirty_bytes: 20,
        swap_used_bytes: 0,
        workingset_refault_file_pages: refaults,
        pressure: stalled.map(|stalled| MemoryPressure {
            some: share(stalled),
            full: share(stalled / 2),
        }),
        io_pressure: stalled.map(|stalled| IoPressure {
            some: share(stalled * 3),
            full: share(stalled * 2),
        }),
    }
}

fn cgroup(faults: Option<u64>) -> CgroupMemory {
    CgroupMemory {
        current_bytes: Some(50),
        peak_bytes: None,
        anonymous_bytes: Some(30),
        file_bytes: Some(20),
        file_mapped_bytes: None,
        shared_memory_bytes: None,
        page_tables_bytes: Some(4),
        faults: faults.map(|faults| faults * 10),
        major_faults: faults,
        workingset_refault_file_pages: faults.map(|faults| faults * 2),
        workingset_refault_anonymous_pages: None,
        limit_hits: None,
        oom_kills: None,
    }
}

fn empty() -> MemoryReading {
    MemoryReading {
        process: None,
        system: None,
        cgroup: None,
    }
}

#[test]
fn counters_are_changes_since_the_first_sample_and_sizes_are_not() {
    let mut course = MemoryCourse::new(0.2);
    let reading = |refaults, stalled, faults| MemoryReading {
        process: None,
        system: Some(system(Some(refaults), Some(stalled))),
        cgroup: Some(cgroup(Some(faults))),
    };
    assert!(course.sample(5.0, &reading(1000, 8000, 7)));
    assert!(course.sample(5.2, &reading(1040, 8500, 9)));
    let points = course.points();
    let [first, second] = points.as_slice() else {
        panic!("{points:?}")
    };
    let system = first.system.expect("system");
    assert_eq!(
        (
            system.available_bytes,
            system.cached_bytes,
            system.dirty_bytes
        ),
        (Some(600), Some(300), Some(20))
    );
    assert_eq!(system.workingset_refault_file_pages_change, Some(0));
    let system = second.system.expect("system");
    assert_eq!(system.workingset_refault_file_pages_change, Some(40));
    assert_eq!(
        [
            system.psi_memory_some_us,
            system.psi_memory_full_us,
            system.psi_io_some_us,
            system.psi_io_full_us
        ],
        [Some(500), Some(250), Some(1500), Some(1000)]
    );
    let cgroup = second.cgroup.expect("cgroup");
    assert_eq!(
        (
            cgroup.usage_bytes,
            cgroup.anonymous_bytes,
            cgroup.file_bytes,
            cgroup.page_table_bytes
        ),
        (Some(50), Some(30), Some(20), Some(4))
    );
    assert_eq!(
        (
            cgroup.workingset_refault_file_pages_change,
            cgroup.page_faults_change,
            cgroup.major_faults_change,
            cgroup.limit_hits_change
        ),
        (Some(4), Some(20), Some(2), None)
    );
}

#[test]
fn a_change_without_both_ends_is_none() {
    let mut course = MemoryCourse::new(0.2);
    let reading = |refaults, cgroup| MemoryReading {
        process: None,
        system: Some(system(refaults, None)),
        cgroup,
    };
    course.sample(0.0, &reading(None, None));
    course.sample(0.2, &reading(Some(5), Some(cgroup(Some(1)))));
    let last = *course.points().last().expect("point");
    let system = last.system.expect("system");
    assert_eq!(system.workingset_refault_file_pages_change, None);
    assert_eq!(system.psi_memory_some_us, None);
    assert_eq!(last.cgroup.expect("cgroup").major_faults_change, None);
    assert_eq!(last.cgroup.expect("cgroup").usage_bytes, Some(50));
    assert_eq!(change(Some(5), Some(4)), None, "another counter");
}

#[test]
fn a_time_that_goes_back_is_refused() {
    let mut course = MemoryCourse::new(0.2);
    assert!(course.points().is_empty());
    assert!(course.sample(1.0, &empty()));
    for at in [0.9, f64::NAN, f64::INFINITY] {
        assert!(!course.sample(at, &empty()), "{at}");
    }
    assert!(course.sample(1.0, &empty()));
    assert_eq!(course.points().len(), 1);
    assert!(MemoryCourse::new(f64::NAN).interval_seconds() > 0.0);
    assert!(MemoryCourse::new(0.0).interval_seconds() > 0.0);
}

#[test]
fn a_run_of_any_length_has_300_to_600_points() {
    for samples in [300_usize, 599, 600, 601, 1200, 1201, 5000, 40_000] {
        let mut course = MemoryCourse::new(0.2);
        for index in 0..samples {
            assert!(course.sample(index as f64 * 0.2, &empty()));
        }
        let points = course.points();
        assert!(
            (300..=LONGEST_COURSE_POINTS).contains(&points.len()),
            "{samples}: {}",
            points.len()
        );
        assert_eq!(
            points.last().map(|point| point.at_seconds),
            Some((samples - 1) as f64 * 0.2)
        );
    }
    // A caller that samples only as often as it must gets the same.
    let mut course = MemoryCourse::new(0.2);
    let mut at = 0.0;
    while at < 3600.0 {
        course.sample(at, &empty());
        at += course.interval_seconds();
    }
    assert!((300..=LONGEST_COURSE_POINTS).contains(&course.points().len()));
    assert!(
        (course.interval_seconds() - 6.4).abs() < 1e-9,
        "{}",
        course.interval_seconds()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the gaps between samples: bounded, in order, first and last kept, and exactly the first sample of each
    /// interval of the present length.
    #[test]
    fn the_laws_of_thinning(gaps in proptest::collection::vec(prop_oneof![8 => 0.1_f64..0.3, 1 => 0.0_f64..0.01, 1 => 1.0_f64..500.0], 1..4000)) {
        let mut course = MemoryCourse::new(0.2);
        let mut times = Vec::new();
        let mut at = 17.0;
        for gap in gaps {
            at += gap;
            times.push(at);
            prop_assert!(course.sample(at, &empty()));
        }
        let found: Vec<f64> = course.points().iter().map(|point| point.at_seconds).collect();
        prop_assert!(found.len() <= LONGEST_COURSE_POINTS);
        prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(found.first(), times.first());
        prop_assert_eq!(found.last(), times.last());

        let doublings = (course.interval_seconds() / 0.2).log2().round() as u32;
        let interval = |at: f64| (((at - times[0]) / 0.2).round() as u64) >> doublings;
        let mut expected: Vec<f64> = Vec::new();
        for &at in &times {
            if expected.last().is_none_or(|&last| interval(last) != interval(at)) {
                expected.push(at);
            }
        }
        if expected.last() != times.last() {
            expected.extend(times.last());
        }
        prop_assert_eq!(found, expected);
        if doublings > 0 {
            let finer = |at: f64| (((at - times[0]) / 0.2).round() as u64) >> (doublings - 1);
            let occupied: std::collections::BTreeSet<u64> = times.iter().map(|&at| finer(at)).collect();
            prop_assert!(occupied.len() >= LONGEST_COURSE_POINTS, "thinned no more than needed");
        }
    }
}
