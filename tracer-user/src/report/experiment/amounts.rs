//! Values of one figure over runs, as a person reads them.

use crate::units::{bytes, count, factor, rate, seconds, share, unobserved};

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    BytesPerSecond,
    Count,
    Factor,
    PerSecond,
    Seconds,
    Share,
}

impl Unit {
    /// One value.
    pub(super) fn show(self, value: f64) -> String {
        let (sign, size) = if value < 0.0 {
            ("−", -value)
        } else {
            ("", value)
        };
        let text = match self {
            Self::Bytes => bytes(size.round() as u64),
            Self::BytesPerSecond => rate(Some(size)),
            // A median of an even number of counts may be half.
            Self::Count if size.fract() != 0.0 => format!("{size:.1}"),
            Self::Count => count(size as u64),
            Self::Factor => factor(Some(size)),
            Self::PerSecond => format!("{size:.2}"),
            Self::Seconds => seconds(Some(size)),
            Self::Share => share(Some(size)),
        };
        format!("{sign}{text}")
    }

    /// A difference of two values; that of two shares is in percentage points.
    pub(super) fn show_difference(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:+.1} points", value * 100.0).replace('-', "−"),
            _ if value > 0.0 => format!("+{}", self.show(value)),
            _ => self.show(value),
        }
    }

    /// Every value.
    pub(super) fn show_all(self, values: &[f64]) -> String {
        if values.is_empty() {
            return unobserved();
        }
        let shown: Vec<String> = values.iter().map(|value| self.show(*value)).collect();
        shown.join(", ")
    }

    /// The smallest and the largest value.
    pub(super) fn show_range(self, values: &[f64]) -> String {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        match (sorted.first(), sorted.last()) {
            (Some(low), Some(high)) => {
                let (low, high) = (self.show(*low), self.show(*high));
                if low == high {
                    low
                } else {
                    format!("{low} – {high}")
                }
            }
            _ => unobserved(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn values_and_differences_read_as_meant() {
        assert_eq!(Unit::Bytes.show(-2048.0), "−2.00 KiB");
        assert_eq!(Unit::Bytes.show_difference(2048.0), "+2.00 KiB");
        assert_eq!(Unit::Share.show(0.669), "66.9 %");
        assert_eq!(Unit::Share.show_difference(-0.015), "−1.5 points");
        assert_eq!(Unit::Count.show(2.5), "2.5");
        assert_eq!(Unit::Share.show_range(&[0.3, 0.1, 0.2]), "10.0 % – 30.0 %");
        assert_eq!(Unit::Share.show_range(&[0.3, 0.3]), "30.0 %");
        assert_eq!(Unit::Count.show_all(&[]), "not observed");
    }
}
