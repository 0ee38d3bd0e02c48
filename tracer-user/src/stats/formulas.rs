//! The ratios that figures are made of, each in one place. What would be no true figure is none: nothing below the line,
//! or a part that is larger than its whole.

/// `part / whole`, a plain quotient: shares, means. None where `whole` is 0.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// `amount` per second over `nanos`. None where no time passed.
#[must_use]
pub fn per_second(amount: u64, nanos: u64) -> Option<f64> {
    (nanos != 0).then(|| amount as f64 / (nanos as f64 / 1e9))
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

    use super::{amplification, coverage, need_factor, per_second, ratio, reread_factor};

    #[test]
    fn nothing_of_nothing_is_not_a_number() {
        assert_eq!(ratio(0, 0), None);
        assert_eq!(ratio(1, 4), Some(0.25));
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(5, 500_000_000), Some(10.0));
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
