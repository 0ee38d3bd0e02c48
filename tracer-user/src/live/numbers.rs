//! Numbers as the screen shows them. What is not known is a dash, never 0.

use crate::units;

/// What stands where nothing is known.
pub const UNKNOWN: &str = "–";

fn known<T>(value: Option<T>, shown: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), shown)
}

pub fn bytes(value: Option<u64>) -> String {
    known(value, units::bytes)
}

/// Bytes with three digits.
pub fn short_bytes(value: Option<u64>) -> String {
    known(value, |count| {
        let mut value = count as f64;
        let mut unit = "B";
        for larger in ["KiB", "MiB", "GiB", "TiB"] {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = larger;
        }
        format!("{} {unit}", three_digits(value))
    })
}

/// Bytes per second.
pub fn rate(value: Option<f64>) -> String {
    known(value, |rate| units::rate(Some(rate)))
}

/// A share of 1, in per cent without decimals where they say nothing.
pub fn share(value: Option<f64>) -> String {
    known(value, |share| match share * 100.0 {
        percent if percent >= 0.95 || percent == 0.0 => format!("{percent:.0} %"),
        percent if percent < 0.05 => "<0.1 %".to_owned(),
        percent => format!("{percent:.1} %"),
    })
}

/// Times over.
pub fn times(value: Option<f64>) -> String {
    known(value, |factor| match factor {
        factor if factor >= 9.95 => format!("{factor:.0}×"),
        factor => format!("{factor:.1}×"),
    })
}

pub fn count(value: Option<u64>) -> String {
    known(value, units::count)
}

/// Things per second.
pub fn each_second(value: Option<f64>) -> String {
    known(value, |value| format!("{}/s", three_digits(value)))
}

/// A number with three significant digits, whole from 100 on.
pub fn three_digits(value: f64) -> String {
    match value {
        0.0 => "0".to_owned(),
        value if value >= 99.95 => units::count(value.round() as u64),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A length of time in words: `3.6 s`, `10 s`, `5 min`.
pub fn span(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 9.95 => format!("{seconds:.1} s"),
        seconds if seconds < 120.0 => format!("{seconds:.0} s"),
        seconds => format!("{:.0} min", seconds / 60.0),
    }
}

/// `0:17`, `5:03`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    let whole = seconds as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::{clock, each_second, share, short_bytes, span, three_digits, times};

    #[test]
    fn numbers_are_short_and_what_is_unknown_is_no_zero() {
        assert_eq!(share(None), "–");
        assert_eq!(share(Some(0.0)), "0 %");
        assert_eq!(share(Some(0.003)), "0.3 %");
        assert_eq!(share(Some(0.8451)), "85 %");
        assert_eq!(share(Some(0.0001)), "<0.1 %");
        assert_eq!(times(Some(1.724)), "1.7×");
        assert_eq!(times(Some(17.24)), "17×");
        assert_eq!(short_bytes(Some(388_000_000)), "370 MiB");
        assert_eq!(short_bytes(Some(1_700_000)), "1.62 MiB");
        assert_eq!(short_bytes(None), "–");
        assert_eq!(each_second(Some(1234.4)), "1,234/s");
        assert_eq!(three_digits(0.5), "0.50");
        assert_eq!(span(3.61), "3.6 s");
        assert_eq!(span(10.1), "10 s");
        assert_eq!(span(300.2), "5 min");
        assert_eq!(clock(3723.9), "1:02:03");
        assert_eq!(clock(17.0), "0:17");
    }
}
