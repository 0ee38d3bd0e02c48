//! Numbers as a person reads them. Units are binary (GiB, MiB/s), as in the experiment's tables.

const KIB: f64 = 1024.0;

/// Bytes with a binary unit and three significant digits.
#[must_use]
pub fn bytes(count: u64) -> String {
    scaled(count as f64)
}

/// Bytes per second.
#[must_use]
pub fn rate(bytes_per_second: Option<f64>) -> String {
    bytes_per_second.map_or_else(unobserved, |rate| format!("{}/s", scaled(rate)))
}

/// Signed bytes.
#[must_use]
pub fn signed_bytes(count: i64) -> String {
    let sign = if count < 0 { "−" } else { "" };
    format!("{sign}{}", bytes(count.unsigned_abs()))
}

fn scaled(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < KIB {
            return if unit == "B" {
                format!("{value:.0} B")
            } else {
                format!("{value:.2} {unit}")
            };
        }
        value /= KIB;
    }
    format!("{value:.2} TiB")
}

/// A share of 1 in per cent.
#[must_use]
pub fn share(of_one: Option<f64>) -> String {
    // A sum of nothing is -0.
    of_one.map_or_else(unobserved, |share| format!("{:.1} %", share * 100.0 + 0.0))
}

/// A ratio such as an amplification.
#[must_use]
pub fn factor(ratio: Option<f64>) -> String {
    ratio.map_or_else(unobserved, |ratio| format!("{ratio:.3}×"))
}

/// Seconds.
#[must_use]
pub fn seconds(value: Option<f64>) -> String {
    value.map_or_else(unobserved, |value| format!("{value:.2} s"))
}

/// Microseconds in the unit that a reader would choose, to three digits: `87 µs`, `20.4 ms`, `1.20 s`.
#[must_use]
pub fn microseconds(value: f64) -> String {
    let three_digits = |value: f64| {
        let decimals = if value >= 99.95 {
            0
        } else if value >= 9.995 {
            1
        } else {
            2
        };
        format!("{value:.decimals$}")
    };
    if value < 999.5 {
        format!("{value:.0} µs")
    } else if value < 999_500.0 {
        format!("{} ms", three_digits(value / 1e3))
    } else {
        format!("{} s", three_digits(value / 1e6))
    }
}

/// A count with thin grouping.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count that may not have been observed.
#[must_use]
pub fn observed_count(value: Option<u64>) -> String {
    value.map_or_else(unobserved, count)
}

/// Bytes that may not have been observed.
#[must_use]
pub fn observed_bytes(value: Option<u64>) -> String {
    value.map_or_else(unobserved, bytes)
}

/// What stands where nothing was observed.
#[must_use]
pub fn unobserved() -> String {
    "not observed".to_owned()
}

#[cfg(test)]
mod tests {
    use super::{bytes, count, factor, microseconds, share, signed_bytes};

    #[test]
    fn numbers_read_as_documented() {
        assert_eq!(bytes(511), "511 B");
        assert_eq!(bytes(1024), "1.00 KiB");
        assert_eq!(
            bytes(12 * 1024 * 1024 * 1024 + 870 * 1024 * 1024),
            "12.85 GiB"
        );
        for (value, shown) in [
            (0.0, "0 µs"),
            (999.4, "999 µs"),
            (999.6, "1.00 ms"),
            (9_994.0, "9.99 ms"),
            (9_996.0, "10.0 ms"),
            (20_447.0, "20.4 ms"),
            (999_600.0, "1.00 s"),
            (61_000_000.0, "61.0 s"),
        ] {
            assert_eq!(microseconds(value), shown);
        }
        assert_eq!(signed_bytes(-2048), "−2.00 KiB");
        assert_eq!(count(26_938_752), "26,938,752");
        assert_eq!(count(7), "7");
        assert_eq!(share(Some(0.669)), "66.9 %");
        assert_eq!(factor(None), "not observed");
    }
}
