//! The ratios that figures are made of, each in one place. What would be no true figure is none: nothing below the line,
//! or a part that is larger than its whole.

/// `part / whole`, a plain quotient: shares, means. None where `whole` is 0.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// `part / whole` of two amounts that are not whole numbers: medians, sums over runs, times. None where `whole` is not above
/// 0, and where the quotient is no finite number.
#[must_use]
pub fn quotient(part: f64, whole: f64) -> Option<f64> {
    Some(part / whole).filter(|quotient| whole > 0.0 && quotient.is_finite())
}

/// The mean of `count` values that sum to `sum`. None where there are none.
#[must_use]
pub fn mean(sum: u128, count: u128) -> Option<f64> {
    (count != 0).then(|| sum as f64 / count as f64)
}

/// The mean of some values. None where there are none.
#[must_use]
pub fn mean_of(values: &[f64]) -> Option<f64> {
    quotient(values.iter().sum(), values.len() as f64)
}

/// How far a value is from the expected one: |value − expected| / expected. None where `expected` is not above 0.
#[must_use]
pub fn relative_difference(value: f64, expected: f64) -> Option<f64> {
    quotient((value - expected).abs(), expected)
}

/// Nanoseconds in seconds.
#[must_use]
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// `amount` per second over `nanos`. None where no time passed.
#[must_use]
pub fn per_second(amount: u64, nanos: u64) -> Option<f64> {
    (nanos != 0).then(|| amount as f64 / seconds(nanos))
}

/// **coverage** = distinct bytes that arrived / bytes that can be read from a device (size − holes − extents never
/// written), 0 – 1. None where there is nothing to read, and where more arrived than there is: then the count of one of
/// the two is wrong, a check says so, and no share above 100 % is shown.
#[must_use]
pub fn coverage(unique_bytes: u64, data_bytes: u64) -> Option<f64> {
    ratio(unique_bytes, data_bytes).filter(|_| unique_bytes <= data_bytes)
}

/// **amplification** = bytes read / distinct bytes that arrived. At least 1 where all that was read has arrived; reads in
/// flight or failed are above the line only. None where nothing arrived.
#[must_use]
pub fn amplification(total_bytes: u64, unique_bytes: u64) -> Option<f64> {
    ratio(total_bytes, unique_bytes)
}

/// **dead** = cached bytes of the model − (its size − what was copied out of it), not below 0: so much of what is cached
/// is certainly not needed any more. None where more was copied than there is.
#[must_use]
pub fn dead_bytes(cached_bytes: u64, size_bytes: u64, copied_bytes: u64) -> Option<u64> {
    let needed_at_most = size_bytes.checked_sub(copied_bytes)?;
    Some(cached_bytes.saturating_sub(needed_at_most))
}

/// **reread factor** = bytes read / size of the files. None for an empty model.
#[must_use]
pub fn reread_factor(total_bytes: u64, size_bytes: u64) -> Option<f64> {
    ratio(total_bytes, size_bytes)
}

/// **need factor** = bytes read in a step / bytes of the weights that the step uses. None where the need is 0.
#[must_use]
pub fn need_factor(read_bytes: u64, need_bytes: u64) -> Option<f64> {
    ratio(read_bytes, need_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        amplification, coverage, mean, mean_of, need_factor, per_second, quotient, ratio,
        relative_difference, reread_factor,
    };

    #[test]
    fn nothing_of_nothing_is_not_a_number() {
        assert_eq!(ratio(0, 0), None);
        assert_eq!(ratio(1, 4), Some(0.25));
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(5, 500_000_000), Some(10.0));
        assert_eq!((mean(0, 0), mean_of(&[])), (None, None));
        assert_eq!((mean(5, 2), mean_of(&[2.0, 3.0])), (Some(2.5), Some(2.5)));
        for whole in [0.0, -0.0, -1.0, f64::NAN] {
            assert_eq!(quotient(1.0, whole), None);
        }
        assert_eq!(quotient(f64::MAX, f64::MIN_POSITIVE), None);
        assert_eq!(quotient(f64::NAN, 1.0), None);
        assert_eq!(relative_difference(3.0, 0.0), None);
        assert_eq!(relative_difference(1.5, 2.0), Some(0.25));
    }

    proptest! {
        #[test]
        fn a_coverage_is_a_share(unique: u64, data: u64) {
            match coverage(unique, data) {
                Some(share) => {
                    prop_assert!((0.0..=1.0).contains(&share));
                    prop_assert_eq!(Some(share), ratio(unique, data));
                }
                None => prop_assert!(data == 0 || unique > data),
            }
        }

        /// What the quotient was made of comes back, and of whole numbers it is the ratio.
        #[test]
        fn a_quotient_times_its_whole_is_its_part(part in 0u64..1 << 50, whole in 0u64..1 << 50) {
            let found = quotient(part as f64, whole as f64);
            prop_assert_eq!(found, ratio(part, whole));
            prop_assert_eq!(found, mean(part.into(), whole.into()));
            let back = found.map_or(part as f64, |found| found * whole as f64);
            prop_assert!((back - part as f64).abs() <= part as f64 * 1e-15);
        }

        /// As many bytes in as many times the time are the same rate.
        #[test]
        fn a_rate_does_not_depend_on_how_long_it_was_kept(amount in 1u64..1 << 40, nanos in 1u64..1 << 40, times in 1u64..1000) {
            let rates = per_second(amount, nanos).zip(per_second(amount * times, nanos * times));
            prop_assert!(rates.is_some_and(|(one, other)| (one / other - 1.0).abs() < 1e-12));
        }

        #[test]
        fn a_mean_lies_between_its_values(values in prop::collection::vec(-1e9f64..1e9, 1..50)) {
            let found = mean_of(&values).unwrap_or(f64::NAN);
            let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(least, most), value| (least.min(*value), most.max(*value)));
            prop_assert!(least - 1e-3 <= found && found <= most + 1e-3);
        }

        /// Twice the distance on either side is twice the difference; none is 0.
        #[test]
        fn a_relative_difference_grows_with_the_distance(expected in 1e-3f64..1e9, part in 0.0f64..1.0) {
            let of = |value| relative_difference(value, expected).unwrap_or(f64::NAN);
            let distance = expected * part;
            prop_assert_eq!(of(expected), 0.0);
            prop_assert!((of(expected + distance) - part).abs() < 1e-9);
            prop_assert!((of(expected - distance) - part).abs() < 1e-9);
        }

        /// Of what has arrived, with repetitions, the distinct part is no larger: the factor is 1 or more.
        #[test]
        fn what_has_arrived_was_read_at_least_once(unique in 1u64..1 << 50, again in 0u64..1 << 50) {
            let factor = amplification(unique + again, unique).unwrap_or(0.0);
            prop_assert!(factor >= 1.0);
            prop_assert_eq!(factor > 1.0, again > unique >> 52);
        }

        /// Total / size = (total / unique) · (unique / size).
        #[test]
        fn the_factors_agree(total in 1u64..1 << 50, unique in 1u64..1 << 50, size in 1u64..1 << 50) {
            let unique = unique.min(size);
            let product = amplification(total, unique).zip(coverage(unique, size)).map(|(a, c)| a * c);
            let factor = reread_factor(total, size);
            let difference = product.zip(factor).map_or(f64::MAX, |(one, other)| (one / other - 1.0).abs());
            prop_assert!(difference < 1e-9);
            prop_assert_eq!(need_factor(total, size), factor);
        }
    }
}
