//! Ratios of counts, which do not exist where the whole is zero.

/// `part / whole`, or `None` where `whole` is 0.
#[must_use]
pub fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole != 0).then(|| part as f64 / whole as f64)
}

/// `amount` per second over `nanos`, or `None` where no time passed.
#[must_use]
pub fn per_second(amount: u64, nanos: u64) -> Option<f64> {
    (nanos != 0).then(|| amount as f64 / (nanos as f64 / 1e9))
}

#[cfg(test)]
mod tests {
    use super::{per_second, ratio};

    #[test]
    fn nothing_of_nothing_is_not_a_number() {
        assert_eq!(ratio(0, 0), None);
        assert_eq!(ratio(1, 4), Some(0.25));
        assert_eq!(per_second(5, 0), None);
        assert_eq!(per_second(5, 500_000_000), Some(10.0));
    }
}
