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

/// Bytes per second.
pub fn rate(value: Option<f64>) -> String {
    known(value, |rate| units::rate(Some(rate)))
}

/// A share of 1, in per cent without decimals where they say nothing.
pub fn share(value: Option<f64>) -> String {
    known(value, |share| match share * 100.0 {
        percent if percent >= 9.95 || percent == 0.0 => format!("{percent:.0} %"),
        percent => format!("{percent:.1} %"),
    })
}

/// Times over.
pub fn times(value: Option<f64>) -> String {
    known(value, |factor| match factor {
        factor if factor >= 99.5 => format!("{factor:.0}×"),
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
        value if value >= 99.95 => units::count(value.round() as u64),
        value if value >= 9.995 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// Seconds: `0.42 s`, `17.3 s`, `5:03`, `1:02:03`.
pub fn time(seconds: f64) -> String {
    if seconds < 60.0 {
        return format!("{} s", three_digits(seconds));
    }
    clock(seconds)
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
    use super::{clock, each_second, share, three_digits, time, times};

    #[test]
    fn numbers_are_short_and_what_is_unknown_is_no_zero() {
        assert_eq!(share(None), "–");
        assert_eq!(share(Some(0.0)), "0 %");
        assert_eq!(share(Some(0.003)), "0.3 %");
        assert_eq!(share(Some(0.8451)), "85 %");
        assert_eq!(times(Some(17.24)), "17.2×");
        assert_eq!(times(Some(1234.0)), "1234×");
        assert_eq!(each_second(Some(1234.4)), "1,234/s");
        assert_eq!(three_digits(0.5), "0.50");
        assert_eq!(time(17.26), "17.3 s");
        assert_eq!(time(303.0), "5:03");
        assert_eq!(clock(3723.9), "1:02:03");
        assert_eq!(clock(17.0), "0:17");
    }
}
