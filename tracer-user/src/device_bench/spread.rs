//! The middle of a few figures, and how far they lie apart.

use crate::schema::SpreadRecord;

/// Median, smallest and largest; None of none.
pub fn spread(figures: impl IntoIterator<Item = f64>) -> Option<SpreadRecord> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    let upper = *figures.get(middle)?;
    let median = if figures.len().is_multiple_of(2) {
        f64::midpoint(*figures.get(middle - 1)?, upper)
    } else {
        upper
    };
    Some(SpreadRecord {
        median,
        least: *figures.first()?,
        largest: *figures.last()?,
    })
}

#[cfg(test)]
mod tests {
    use crate::schema::SpreadRecord;

    use super::spread;
    use proptest::prelude::*;

    #[test]
    fn a_median_is_in_the_middle() {
        let of = |figures: &[f64]| spread(figures.iter().copied());
        assert_eq!(of(&[]), None);
        let expected = |median, least, largest| {
            Some(SpreadRecord {
                median,
                least,
                largest,
            })
        };
        assert_eq!(of(&[3.0]), expected(3.0, 3.0, 3.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), expected(2.0, 1.0, 9.0));
        assert_eq!(of(&[9.0, 1.0, 2.0, 4.0]), expected(3.0, 1.0, 9.0));
    }

    proptest! {
        #[test]
        fn as_many_lie_below_as_above(figures in proptest::collection::vec(-1e9..1e9f64, 1..50)) {
            let found = spread(figures.iter().copied()).expect("some");
            let below = figures.iter().filter(|figure| **figure < found.median).count();
            let above = figures.iter().filter(|figure| **figure > found.median).count();
            prop_assert!(below * 2 <= figures.len() && above * 2 <= figures.len());
            prop_assert!(figures.iter().all(|figure| (found.least..=found.largest).contains(figure)));
        }
    }
}
