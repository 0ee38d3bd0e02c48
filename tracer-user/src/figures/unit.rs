//! What a figure is measured in, from which follows how it is written.

use crate::units::{bytes, count, factor, microseconds, rate, seconds, share, unobserved};

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Bytes per second.
    BytesPerSecond,
    Celsius,
    /// How many of something.
    Count,
    /// How many, on average.
    Mean,
    /// A ratio around 1 or above.
    Factor,
    /// KiB, as the kernel's own settings count.
    Kibibytes,
    /// Microseconds.
    Microseconds,
    /// Pages of the kernel.
    Pages,
    /// Something per second.
    PerSecond,
    /// Seconds.
    Seconds,
    /// Sectors of 512 bytes.
    Sectors,
    /// A part of 1.
    Share,
}

impl Unit {
    /// As the tables of `docs/METRICS.md` name it; empty where the figure is a plain number.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bytes => "B",
            Self::BytesPerSecond => "B/s",
            Self::Celsius => "°C",
            Self::Count | Self::Mean => "",
            Self::Factor => "ratio",
            Self::Kibibytes => "KiB",
            Self::Microseconds => "µs",
            Self::Pages => "pages",
            Self::PerSecond => "1/s",
            Self::Seconds => "s",
            Self::Sectors => "512 B",
            Self::Share => "of 1",
        }
    }

    /// Whether it is a ratio of two amounts. Few runs say little of a ratio.
    #[must_use]
    pub const fn is_ratio(self) -> bool {
        matches!(self, Self::Factor | Self::Share)
    }

    #[must_use]
    pub fn show(self, value: f64) -> String {
        let (sign, size) = if value < 0.0 {
            ("−", -value)
        } else {
            ("", value)
        };
        let whole = || {
            // A median of an even number of counts may be half.
            if size.fract() == 0.0 {
                count(size as u64)
            } else {
                format!("{size:.1}")
            }
        };
        let text = match self {
            Self::Bytes => bytes(size.round() as u64),
            Self::BytesPerSecond => rate(Some(size)),
            Self::Celsius => format!("{size:.0} °C"),
            Self::Count | Self::Pages | Self::Sectors => whole(),
            Self::Mean => format!("{size:.1}"),
            Self::Factor => factor(Some(size)),
            Self::Kibibytes => format!("{} KiB", whole()),
            Self::Microseconds => microseconds(size),
            Self::PerSecond => format!("{size:.2}"),
            Self::Seconds => seconds(Some(size)),
            Self::Share => share(Some(size)),
        };
        format!("{sign}{text}")
    }

    /// A value that may not have been observed.
    #[must_use]
    pub fn show_observed(self, value: Option<f64>) -> String {
        value.map_or_else(unobserved, |value| self.show(value))
    }

    /// A difference of two values; that of two shares is in percentage points.
    #[must_use]
    pub fn show_difference(self, value: f64) -> String {
        match self {
            Self::Share => format!("{:+.1} points", value * 100.0).replace('-', "−"),
            _ if value > 0.0 => format!("+{}", self.show(value)),
            _ => self.show(value),
        }
    }

    #[must_use]
    pub fn show_all(self, values: &[f64]) -> String {
        if values.is_empty() {
            return unobserved();
        }
        let shown: Vec<String> = values.iter().map(|value| self.show(*value)).collect();
        shown.join(", ")
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn show_range(self, values: &[f64]) -> String {
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
        assert_eq!(Unit::Count.show(26_938_752.0), "26,938,752");
        assert_eq!(Unit::Microseconds.show(87.4), "87 µs");
        assert_eq!(Unit::Microseconds.show(20_447.0), "20.4 ms");
        assert_eq!(Unit::Kibibytes.show(8192.0), "8,192 KiB");
        assert_eq!(Unit::Share.show_range(&[0.3, 0.1, 0.2]), "10.0 % – 30.0 %");
        assert_eq!(Unit::Share.show_range(&[0.3, 0.3]), "30.0 %");
        assert_eq!(Unit::Count.show_all(&[]), "not observed");
        assert_eq!(Unit::Bytes.show_observed(None), "not observed");
    }
}
