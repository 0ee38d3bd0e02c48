//! Single values of a plan: words, numbers, times.

use std::time::Duration;

use toml::Spanned;

use crate::units::parse_duration;

use super::source::Complaints;

pub(super) fn word<T: Copy + Default>(
    written: Option<Spanned<String>>,
    known: &[(&str, T)],
    complaints: &mut Complaints<'_>,
) -> T {
    let Some(written) = written else {
        return T::default();
    };
    let found = known.iter().find(|(name, _)| name == written.get_ref());
    if found.is_none() {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        complaints.at(
            Some(written.span()),
            format!("{:?} is none of {}", written.get_ref(), names.join(", ")),
        );
    }
    found.map_or_else(T::default, |(_, value)| *value)
}

pub(super) fn number(
    written: Option<Spanned<i64>>,
    default: i64,
    least: i64,
    complaints: &mut Complaints<'_>,
) -> u64 {
    let value = written
        .as_ref()
        .map_or(default, |written| *written.get_ref());
    if value < least {
        complaints.at(
            written.map(|written| written.span()),
            format!("{value} is less than {least}"),
        );
    }
    value.unsigned_abs()
}

pub(super) fn time(
    written: Option<Spanned<String>>,
    default: Duration,
    must_pass: bool,
    complaints: &mut Complaints<'_>,
) -> Duration {
    let Some(written) = written else {
        return default;
    };
    let parsed = parse_duration(written.get_ref()).and_then(|time| {
        if must_pass && time.is_zero() {
            Err("no run ends within no time".to_owned())
        } else {
            Ok(time)
        }
    });
    complaints.take(written.span(), parsed).unwrap_or(default)
}
