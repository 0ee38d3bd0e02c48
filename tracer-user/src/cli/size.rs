//! Sizes and times on the command line.

use std::time::Duration;

pub use crate::units::{
    parse_bytes as bytes, parse_bytes_or_off as bytes_or_off, parse_duration as duration,
};

/// Size of the ring buffer: the kernel wants a power of two of at least a page.
pub fn ring_buffer(text: &str) -> Result<u32, String> {
    let bytes = bytes(text)?;
    u32::try_from(bytes)
        .ok()
        .filter(|bytes| bytes.is_power_of_two() && (4096..=1 << 30).contains(bytes))
        .ok_or_else(|| {
            format!(
                "{text:?} is no size of a ring buffer: a power of two from 4K to 1G, such as 16M"
            )
        })
}

/// How often metrics are sent: a time that is not too short.
pub fn sending(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < Duration::from_secs(1) {
        return Err("metrics are sent once a second at most; 60s is usual".to_owned());
    }
    Ok(time)
}

/// A share in percent, above 0 and at most 100: `1%`, or without the sign. Returns the percents.
pub fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    number
        .trim()
        .parse::<f64>()
        .ok()
        .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        .ok_or_else(|| format!("{text:?} is no share: more than 0% and at most 100%, such as 1%"))
}

#[cfg(test)]
mod tests {
    use super::{percent, ring_buffer};

    #[test]
    fn a_share_is_in_percent() {
        assert_eq!(percent("1%"), Ok(1.0));
        assert_eq!(percent("0.5"), Ok(0.5));
        for text in ["", "%", "0", "0%", "-1%", "101%", "NaN", "inf", "1%%"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ring_buffer_is_a_power_of_two() {
        assert_eq!(ring_buffer("16M"), Ok(16 << 20));
        for text in ["5000", "1K", "3M", "2G"] {
            assert!(ring_buffer(text).is_err(), "{text}");
        }
    }
}
