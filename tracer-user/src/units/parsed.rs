//! Sizes and times as a person writes them, on the command line and in plans. Sizes are binary, as in the experiment:
//! `10G` is 10 GiB.

use std::time::Duration;

/// Bytes from `1048576`, `1024K`, `1M`, `10G`, `1.5GiB`.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = unit
        .strip_suffix("IB")
        .or(unit.strip_suffix('B'))
        .unwrap_or(&unit);
    let shift = match unit {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => {
            return Err(format!(
                "{text:?} is no size: write a number with K, M, G or T, such as 600M or 10G"
            ));
        }
    };
    let number: f64 = number
        .parse()
        .map_err(|_| format!("{text:?} is no size: write a number such as 600M or 10G"))?;
    let bytes = number * (1u64 << shift) as f64;
    if !(1.0..9e18).contains(&bytes) {
        return Err(format!("{text:?} is out of range"));
    }
    Ok(bytes as u64)
}

/// Bytes of something that can be turned off: `off`, `0`, or as of [`parse_bytes`].
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_bytes_or_off(text: &str) -> Result<u64, String> {
    match text.trim() {
        "off" | "0" => Ok(0),
        size => parse_bytes(size).map_err(|error| format!("{error}, or off")),
    }
}

/// A time such as `30s` or `5m`.
///
/// # Errors
/// What is wrong with the text, and how to write it.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a time such as 30s or 5m"))
}

#[cfg(test)]
mod tests {
    use super::{parse_bytes, parse_bytes_or_off, parse_duration};

    #[test]
    fn some_sizes_can_be_off() {
        assert_eq!(parse_bytes_or_off("off"), Ok(0));
        assert_eq!(parse_bytes_or_off(" 0"), Ok(0));
        assert_eq!(parse_bytes_or_off("128K"), Ok(128 << 10));
        for text in ["", "on", "-1", "0K"] {
            assert!(parse_bytes_or_off(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_binary() {
        for (text, size) in [
            ("1", 1),
            ("4096", 4096),
            ("10G", 10 << 30),
            ("10g", 10 << 30),
            ("600MiB", 600 << 20),
            ("1.5K", 1536),
            ("2 GB", 2 << 30),
        ] {
            assert_eq!(parse_bytes(text), Ok(size), "{text}");
        }
        for text in ["", "G", "-1G", "10X", "1e3", "99999999T", "0"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_units() {
        assert_eq!(
            parse_duration("1m 30s"),
            Ok(std::time::Duration::from_secs(90))
        );
        assert!(parse_duration("30").is_err());
    }
}
