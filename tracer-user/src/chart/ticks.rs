//! Which values an axis names, and how short their names are.

use crate::figures::Unit;

use super::scale::Scale;

/// A named value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Its place, 0 to 1.
    pub(super) place: f64,
    pub(super) name: String,
}

const KIB: f64 = 1024.0;
const BYTE_UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// Ticks for an axis: about `wanted` of them, never more than twice as many. Of names all are given.
pub(super) fn ticks(scale: &Scale, unit: Unit, wanted: usize) -> Vec<Tick> {
    let values: Vec<f64> = match scale {
        Scale::Linear { from, to } => {
            let step = step(*from, *to, unit, wanted);
            let first = (from / step - 1e-9).ceil() as i64;
            let last = (to / step + 1e-9).floor() as i64;
            (first..=last).map(|at| at as f64 * step).collect()
        }
        Scale::Log { from, to } => of_log(*from, *to, unit, wanted),
        Scale::SignedLog { least, largest } => {
            let side = of_log(least.max(1.0) * 8.0, *largest, unit, wanted / 2);
            let below = side.iter().rev().map(|value| -value);
            below.chain([0.0]).chain(side.iter().copied()).collect()
        }
        Scale::Names(names) => {
            let named = names.iter().enumerate();
            return named
                .map(|(at, name)| Tick {
                    place: scale.place(at as f64),
                    name: name.clone(),
                })
                .collect();
        }
    };
    let named = values.into_iter().map(|value| Tick {
        place: scale.place(value),
        name: short(unit, value),
    });
    named
        .filter(|tick| (-1e-9..=1.0 + 1e-9).contains(&tick.place))
        .collect()
}

/// The distance of the ticks: 1, 2 or 5 times a power of 10; of bytes a power of 2.
fn step(from: f64, to: f64, unit: Unit, wanted: usize) -> f64 {
    let raw = (to - from) / wanted.max(1) as f64;
    if is_bytes(unit) {
        return raw.log2().round().exp2().max(1.0);
    }
    let power = 10.0_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw * (1.0 - 1e-9))
        .unwrap_or(10.0 * power);
    let whole = matches!(unit, Unit::Count | Unit::Pages | Unit::Sectors);
    if whole { step.max(1.0) } else { step }
}

fn of_log(from: f64, to: f64, unit: Unit, wanted: usize) -> Vec<f64> {
    let base: f64 = if is_bytes(unit) { 2.0 } else { 10.0 };
    let exponent = |value: f64| value.ln() / base.ln();
    let (first, last) = (
        (exponent(from) - 1e-9).ceil() as i32,
        (exponent(to) + 1e-9).floor() as i32,
    );
    let every = ((last - first + 1).max(1) as usize).div_ceil(wanted.max(1)) as i32;
    (first..=last)
        .filter(|power| power.rem_euclid(every) == 0)
        .map(|power| base.powi(power))
        .collect()
}

const fn is_bytes(unit: Unit) -> bool {
    matches!(unit, Unit::Bytes | Unit::BytesPerSecond)
}

/// A value in as few characters as tell it: `200 MiB`, `0.5 s`, `25 %`.
pub(super) fn short(unit: Unit, value: f64) -> String {
    let size = value.abs();
    let sign = if value < 0.0 { "−" } else { "" };
    let text = match unit {
        Unit::Bytes | Unit::BytesPerSecond => {
            let mut size = size;
            let mut at = 0;
            while size >= KIB && at + 1 < BYTE_UNITS.len() {
                size /= KIB;
                at += 1;
            }
            let per = if unit == Unit::Bytes { "" } else { "/s" };
            let name = BYTE_UNITS.get(at).copied().unwrap_or("B");
            if size == 0.0 {
                "0".to_owned()
            } else {
                format!("{} {name}{per}", digits(size))
            }
        }
        Unit::Seconds => format!("{} s", digits(size)),
        Unit::Microseconds => {
            if size >= 1e6 {
                format!("{} s", digits(size / 1e6))
            } else if size >= 1e3 {
                format!("{} ms", digits(size / 1e3))
            } else {
                format!("{} µs", digits(size))
            }
        }
        Unit::Share => format!("{} %", digits(size * 100.0)),
        Unit::Factor => format!("{}×", digits(size)),
        Unit::Celsius => format!("{} °C", digits(size)),
        Unit::Kibibytes => format!("{} KiB", digits(size)),
        Unit::Count | Unit::Mean | Unit::Pages | Unit::PerSecond | Unit::Sectors => {
            if size >= 1e6 {
                format!("{} M", digits(size / 1e6))
            } else if size >= 1e4 {
                format!("{} k", digits(size / 1e3))
            } else {
                digits(size)
            }
        }
    };
    format!("{sign}{text}")
}

/// At most three digits behind the point, and no zeros at the end.
fn digits(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{short, ticks};
    use crate::{chart::Scale, figures::Unit};

    fn names(scale: &Scale, unit: Unit, wanted: usize) -> Vec<String> {
        let ticks = ticks(scale, unit, wanted).into_iter();
        ticks.map(|tick| tick.name).collect()
    }

    #[test]
    fn names_are_round_in_their_unit() {
        let of = |to: f64| Scale::Linear { from: 0.0, to };
        assert_eq!(names(&of(13.4), Unit::Seconds, 6), ["0 s", "5 s", "10 s"]);
        assert_eq!(
            names(&of(900.0 * 1048576.0), Unit::Bytes, 4),
            ["0", "256 MiB", "512 MiB", "768 MiB"]
        );
        assert_eq!(names(&of(1.0), Unit::Share, 4), ["0 %", "50 %", "100 %"]);
        assert_eq!(names(&of(3.0), Unit::Count, 8), ["0", "1", "2", "3"]);
        assert_eq!(
            names(
                &Scale::Log {
                    from: 10.0,
                    to: 20_000.0
                },
                Unit::Microseconds,
                5
            ),
            ["10 µs", "100 µs", "1 ms", "10 ms"]
        );
        assert_eq!(
            names(
                &Scale::SignedLog {
                    least: 512.0,
                    largest: 1e9
                },
                Unit::Bytes,
                6
            ),
            [
                "−16 MiB",
                "−256 KiB",
                "−4 KiB",
                "0",
                "4 KiB",
                "256 KiB",
                "16 MiB"
            ]
        );
        assert_eq!(short(Unit::Count, 1_500_000.0), "1.5 M");
    }

    proptest! {
        #[test]
        fn there_are_some_ticks_and_not_too_many(from in -1e6..1e12_f64, length in 1e-3..1e12_f64, wanted in 3..12_usize) {
            let scale = Scale::Linear { from, to: from + length };
            for unit in [Unit::Seconds, Unit::Mean] {
                let found = ticks(&scale, unit, wanted);
                prop_assert!(!found.is_empty() && found.len() <= 2 * wanted + 1, "{:?}", found);
                prop_assert!(found.iter().all(|tick| (-1e-6..1.0 + 1e-6).contains(&tick.place)));
                prop_assert!(found.windows(2).all(|pair| pair[0].place < pair[1].place));
            }
        }
    }
}
