//! Small reads, one at a time.

use crate::{
    advice::{Answer, Cause, Cost, Evidence, Facts, Present},
    schema::SizeClassCount,
    stats::formulas::quotient,
    units::{bytes, share},
};

/// A read of four pages or less. Measured by users: 4 KiB one at a time gave 236 MB/s where the same disk gives some GB/s.
const SMALL_BYTES: u64 = 16 << 10;
/// Share of the bytes in small reads.
const MOSTLY: f64 = 0.5;
/// Reads with the driver at an issue, itself included: below it they come one after another.
const ONE_AT_A_TIME: f64 = 2.0;

pub const SMALL_READS: Cause = Cause {
    name: "small_reads",
    title: "The model is read in small pieces, one at a time",
    bounds: "at least half of the bytes came in requests of 16 KiB or less, and on average fewer than 2 of them were in flight. (A user's case: MADV_RANDOM, set by `--numa`, gave 4 KiB reads one at a time and 236 MB/s; without it the load took a third of the time.) Its time is at most the time that the engine waited, by these bytes' share.",
    refuted_by: "`reads.sizes` with most bytes in requests above 16 KiB, or `gaps.mean_queue_depth` of 2 and more; `tracer device MODEL --run RUN`, if larger reads are no faster there.",
    remedy: "See what turned read-ahead off: `--numa` in llama.cpp (it sets MADV_RANDOM), a lazy load mode, or read_ahead_kb of 0. `tracer device MODEL --run RUN` measures what larger reads would give, `tracer tune --allow read-ahead -- COMMAND` tries them.",
    decide,
};

/// Largest share of the bytes that small reads can have had, by how many there were of each class of sizes: small ones as large
/// as their class allows, the others as small.
fn most_in_small(classes: &[SizeClassCount]) -> Option<f64> {
    let (small, large): (Vec<&SizeClassCount>, Vec<&SizeClassCount>) = classes
        .iter()
        .partition(|class| class.up_to_bytes <= SMALL_BYTES);
    let small: f64 = small
        .iter()
        .map(|class| class.up_to_bytes as f64 * class.count as f64)
        .sum();
    let large: f64 = large
        .iter()
        .map(|class| class.up_to_bytes as f64 / 2.0 * class.count as f64)
        .sum();
    quotient(small, small + large)
}

fn decide(facts: &Facts<'_>) -> Answer {
    let Some(reads) = &facts.model.reads else {
        return facts.missing("The size of the reads", "reads");
    };
    if reads.amount.count == 0 {
        return Answer::absent("nothing was read");
    }
    if let Some(part) = reads.size_classes.as_deref().and_then(most_in_small)
        && part < MOSTLY
    {
        return Answer::absent(format!(
            "at most {} of the bytes came in requests of {} or less",
            share(Some(part)),
            bytes(SMALL_BYTES)
        ));
    }
    let Some(sizes) = reads.sizes.as_ref().filter(|sizes| !sizes.is_empty()) else {
        return facts.missing("The size of the reads", "reads.sizes");
    };
    let Some(depth) = facts
        .model
        .gaps
        .as_ref()
        .and_then(|gaps| gaps.mean_queue_depth)
    else {
        return facts.missing("How many reads were in flight", "gaps.mean_queue_depth");
    };
    let all: f64 = sizes
        .iter()
        .map(|size| size.bytes as f64 * size.count as f64)
        .sum();
    let small: f64 = sizes
        .iter()
        .filter(|size| size.bytes <= SMALL_BYTES)
        .map(|size| size.bytes as f64 * size.count as f64)
        .sum();
    let part = quotient(small, all).unwrap_or(0.0).abs();
    if !(part >= MOSTLY && depth < ONE_AT_A_TIME) {
        return Answer::absent(format!(
            "{} of the bytes came in requests of {} or less, with {depth:.1} in flight",
            share(Some(part)),
            bytes(SMALL_BYTES)
        ));
    }
    let mut evidence = vec![
        Evidence::new(
            "reads.sizes",
            format!("bytes in requests of {} or less", bytes(SMALL_BYTES)),
            share(Some(part)),
        ),
        Evidence::new(
            "gaps.mean_queue_depth",
            "reads in flight, on average",
            format!("{depth:.1}"),
        ),
    ];
    let mut advice = None;
    if let Some((device, kib)) = facts
        .device
        .and_then(|device| Some((device, device.read_ahead_kb?)))
    {
        evidence.push(Evidence::new(
            "devices[].read_ahead_kb",
            format!("read-ahead of {}", device.name),
            format!("{kib} KiB"),
        ));
        advice = Some(if kib == 0 {
            format!("Read-ahead of {} is off.", device.name)
        } else if reads.readahead == Some(0) {
            "The device allows read-ahead and the kernel made none: the engine told it that reads are random, or reads past the page cache.".to_owned()
        } else {
            "The device allows read-ahead, and the reads stay small all the same.".to_owned()
        });
    }
    let waited = facts.stall().map(|stall| stall * part);
    Answer::Present(Present {
        cost: Cost::at_most(waited),
        evidence,
        advice,
        ..Present::default()
    })
}

#[cfg(test)]
mod tests {
    use super::{MOSTLY, most_in_small};
    use crate::schema::SizeClassCount;

    fn classes(counts: &[(u64, u64)]) -> Vec<SizeClassCount> {
        let class = |(up_to_bytes, count): &(u64, u64)| SizeClassCount {
            up_to_bytes: *up_to_bytes,
            count: *count,
        };
        counts.iter().map(class).collect()
    }

    #[test]
    fn a_share_by_classes_is_an_upper_bound() {
        // 100 reads of 4 KiB are 400 KiB; 10 of more than 64 KiB at least 640 KiB.
        let part = most_in_small(&classes(&[(4096, 100), (131_072, 10)])).expect("reads");
        assert!((part - 400.0 / 1040.0).abs() < 1e-9 && part < MOSTLY);
        let part = most_in_small(&classes(&[(16_384, 100), (131_072, 10)])).expect("reads");
        assert!(part >= MOSTLY);
        assert_eq!(most_in_small(&[]), None);
    }
}
