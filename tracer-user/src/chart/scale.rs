//! Where a value lies on its axis.

/// How values are spread over an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    Linear {
        from: f64,
        to: f64,
    },
    /// Equal ratios are equally long. Both ends are above 0.
    Log {
        from: f64,
        to: f64,
    },
    /// Logarithmic to both sides of 0, between −`largest` and `largest`; up to `least` from 0 it is linear.
    SignedLog {
        least: f64,
        largest: f64,
    },
    /// Names side by side; a value is a place among them, from 0.
    Names(Vec<String>),
}

impl Scale {
    /// The place of a value: 0 is the begin of the axis, 1 its end. Values beyond them lie outside.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        match self {
            Self::Linear { from, to } => (value - from) / (to - from),
            Self::Log { from, to } => {
                let value = value.max(f64::MIN_POSITIVE);
                (value / from).ln() / (to / from).ln()
            }
            Self::SignedLog { least, largest } => {
                let bent = |value: f64| value.signum() * (1.0 + value.abs() / least).ln();
                0.5 + 0.5 * bent(value) / bent(*largest)
            }
            Self::Names(names) => (value + 0.5) / names.len().max(1) as f64,
        }
    }

    /// The smallest and the largest value.
    #[must_use]
    pub fn ends(&self) -> (f64, f64) {
        match self {
            Self::Linear { from, to } | Self::Log { from, to } => (*from, *to),
            Self::SignedLog { largest, .. } => (-largest, *largest),
            Self::Names(names) => (0.0, names.len().saturating_sub(1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Scale;

    fn scales() -> impl Strategy<Value = Scale> {
        (1.0..1e6_f64, 1e-3..1e6_f64, 0..3).prop_map(|(from, length, kind)| match kind {
            0 => Scale::Linear {
                from,
                to: from + length,
            },
            1 => Scale::Log {
                from,
                to: from + length,
            },
            _ => Scale::SignedLog {
                least: from,
                largest: from + length,
            },
        })
    }

    proptest! {
        #[test]
        fn ends_lie_at_the_ends_and_order_is_kept(scale in scales(), a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            let (from, to) = scale.ends();
            prop_assert!(scale.place(from).abs() < 1e-9);
            prop_assert!((scale.place(to) - 1.0).abs() < 1e-9);
            let (a, b) = (from + a * (to - from), from + b * (to - from));
            prop_assert_eq!(a <= b, scale.place(a) <= scale.place(b) + 1e-12);
        }
    }

    #[test]
    fn names_lie_in_the_middle_of_their_places() {
        let scale = Scale::Names(vec!["a".into(), "b".into()]);
        assert!((scale.place(0.0) - 0.25).abs() < 1e-12);
        assert!((scale.place(1.0) - 0.75).abs() < 1e-12);
    }

    #[test]
    fn zero_is_in_the_middle_of_a_signed_scale() {
        let scale = Scale::SignedLog {
            least: 512.0,
            largest: 1e9,
        };
        assert!((scale.place(0.0) - 0.5).abs() < 1e-12);
        assert!((scale.place(-1e6) + scale.place(1e6) - 1.0).abs() < 1e-12);
    }
}
